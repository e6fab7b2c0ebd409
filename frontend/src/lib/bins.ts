import type { SeriesPoint, StateWord } from '@/api/types'

export interface Bin {
  /** Undefined: no run fell into this bin. */
  state?: Extract<StateWord, 'OK' | 'Error' | 'Failed'>
  /** Average of the runs that have a value, in milliseconds. */
  avg?: number
  runs: number
}

/** Sorts points into `count` equal bins over [from, to); the worst state of a bin wins. */
export function binPoints(points: SeriesPoint[], from: number, to: number, count: number): Bin[] {
  const bins = Array.from({ length: count }, () => ({ n: 0, error: 0, failed: 0, sum: 0, valued: 0 }))
  for (const point of points) {
    const at = Math.floor(((Date.parse(point.t) - from) / (to - from)) * count)
    const bin = bins[at]
    if (!bin) continue
    bin.n += point.n
    bin.error += point.error
    bin.failed += point.failed
    if (point.avg !== null && point.avg !== undefined) {
      const weight = Math.max(1, point.n - point.failed)
      bin.sum += point.avg * weight
      bin.valued += weight
    }
  }
  return bins.map(({ n, error, failed, sum, valued }) => ({
    runs: n,
    ...(n > 0 && { state: failed > 0 ? 'Failed' : error > 0 ? 'Error' : 'OK' }),
    ...(valued > 0 && { avg: sum / valued }),
  }))
}
