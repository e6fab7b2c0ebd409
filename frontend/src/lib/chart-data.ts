import type { Series, SeriesPoint } from '@/api/types'

export const PHASES = ['dns', 'connect', 'tls', 'firstByte', 'transfer'] as const
export type Phase = (typeof PHASES)[number]

export const PHASE_LABELS: Record<Phase, string> = {
  dns: 'DNS',
  connect: 'Connect',
  tls: 'TLS',
  firstByte: 'First byte',
  transfer: 'Transfer',
}

type Column = (number | null)[]

export interface ChartData {
  /** Seconds since 1970, ascending; the start of each bucket, or the moment of each run. */
  xs: number[]
  avg: Column
  min: Column
  max: Column
  /** Cumulated phases from `dns` up, so that the last one is their sum; absent if no point has phases. */
  stack: Record<Phase, Column> | undefined
  /** The phases that occur, in their order. */
  phases: Phase[]
  /** The point behind each x; undefined where a gap was put in. */
  points: (SeriesPoint | undefined)[]
  /** Width of a point in seconds: the bucket, or the monitor's interval. */
  width: number
}

const finite = (value: number | null | undefined): number | null => value ?? null

function hasPhases(point: SeriesPoint): boolean {
  return PHASES.some((phase) => point[phase] !== null && point[phase] !== undefined)
}

/** Makes the chart's columns; where points are missing, a null breaks the line. */
export function buildChart(series: Series, intervalMs: number): ChartData {
  const width = series.bucketSeconds > 0 ? series.bucketSeconds : intervalMs / 1000
  const gap = width * (series.bucketSeconds > 0 ? 1.5 : 2.5)
  const xs: number[] = []
  const points: (SeriesPoint | undefined)[] = []
  for (const point of series.points) {
    const x = Date.parse(point.t) / 1000
    const last = xs.at(-1)
    if (last !== undefined && x - last > gap) {
      xs.push((last + x) / 2)
      points.push(undefined)
    }
    xs.push(x)
    points.push(point)
  }
  const phases = PHASES.filter((phase) => series.points.some((point) => typeof point[phase] === 'number'))
  return {
    xs,
    points,
    width,
    avg: points.map((point) => finite(point?.avg)),
    min: points.map((point) => finite(point?.min ?? point?.avg)),
    max: points.map((point) => finite(point?.max ?? point?.avg)),
    phases,
    stack: phases.length > 0 ? stackPhases(points) : undefined,
  }
}

function stackPhases(points: (SeriesPoint | undefined)[]): Record<Phase, Column> {
  const stack: Record<Phase, Column> = { dns: [], connect: [], tls: [], firstByte: [], transfer: [] }
  for (const point of points) {
    const drawn = point !== undefined && hasPhases(point)
    let sum = 0
    for (const phase of PHASES) {
      sum += point?.[phase] ?? 0
      stack[phase].push(drawn ? sum : null)
    }
  }
  return stack
}

const DAY = 86_400

/** Labels of a time axis whose ticks are `incr` seconds apart, in the reader's zone. */
export function timeLabels(ticks: number[], incr: number): string[] {
  return ticks.map((tick) => {
    const date = new Date(tick * 1000)
    const midnight = date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0
    if (incr >= 28 * DAY) return date.toLocaleDateString('en', { month: 'short', year: '2-digit' })
    if (incr >= DAY || midnight) return date.toLocaleDateString('en', { month: 'short', day: 'numeric' })
    const clock = [date.getHours(), date.getMinutes()].map((part) => String(part).padStart(2, '0')).join(':')
    return incr < 60 ? `${clock}:${String(date.getSeconds()).padStart(2, '0')}` : clock
  })
}
