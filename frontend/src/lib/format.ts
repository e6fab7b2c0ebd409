/** Milliseconds as people read them: `0.42 ms`, `8.4 ms`, `218 ms`, `1.42 s`. */
export function formatMs(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return '–'
  if (ms < 1) return `${ms.toFixed(2)} ms`
  if (ms < 100) return `${ms.toFixed(1)} ms`
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(2)} s`
  return `${(ms / 60_000).toFixed(1)} min`
}

/** A share of 1 as a percentage that never rounds an outage away: 0.99999 → `99.999 %`, 1 → `100 %`. */
export function formatShare(share: number | null | undefined): string {
  if (share === null || share === undefined) return '–'
  if (share >= 1) return '100 %'
  const percent = share * 100
  const digits = percent >= 99.9 ? 3 : percent >= 10 ? 2 : 1
  const scale = 10 ** digits
  return `${(Math.floor(percent * scale) / scale).toFixed(digits)} %`
}

const AGES: [number, string][] = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'm'],
  [1, 's'],
]

/** An age in at most two units: `8s`, `4m 12s`, `3h 5m`, `12d 4h`. */
export function formatAge(ms: number): string {
  let left = Math.max(0, Math.floor(ms / 1000))
  const parts: string[] = []
  for (const [seconds, unit] of AGES) {
    const count = Math.floor(left / seconds)
    if (count > 0) parts.push(`${count}${unit}`)
    else if (parts.length > 0) break
    left -= count * seconds
    if (parts.length === 2) break
  }
  return parts.join(' ') || '0s'
}

const DATE_TIME = new Intl.DateTimeFormat(undefined, {
  year: 'numeric',
  month: 'short',
  day: '2-digit',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
})
const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
})

/** Date and time in the reader's zone. */
export function formatDateTime(date: Date | string): string {
  return DATE_TIME.format(new Date(date))
}

/** The time of day in the reader's zone. */
export function formatClock(date: Date | string): string {
  return CLOCK.format(new Date(date))
}

/** Bytes as people read them. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`
  return `${(bytes / 1e6).toFixed(1)} MB`
}

/** A count with thin separators: 12 345. */
export function formatCount(count: number): string {
  return count.toLocaleString('en').replaceAll(',', '\u202f')
}
