const UNIT_MS: Record<string, number> = { ns: 1e-6, us: 1e-3, µs: 1e-3, μs: 1e-3, ms: 1, s: 1e3, m: 6e4, h: 36e5 }

/** Milliseconds of a Go duration (`1m30s`, `500ms`), or undefined if it is none. */
export function parseDuration(text: string): number | undefined {
  const rest = text.startsWith('+') ? text.slice(1) : text
  if (rest === '0') return 0
  if (!/^((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+$/.test(rest)) return undefined
  let sum = 0
  for (const [, number, unit] of rest.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g)) {
    sum += Number(number) * (UNIT_MS[unit ?? ''] ?? 0)
  }
  return sum
}

/** Says what is wrong with a duration, or nothing. Bounds are in milliseconds. */
export function durationFault(text: string, min: number, max: number): string | undefined {
  const ms = parseDuration(text)
  if (ms === undefined) return 'Write a duration such as 500ms, 30s, 5m or 1h30m.'
  if (ms < min) return `At least ${formatDuration(min)}.`
  if (ms > max) return `At most ${formatDuration(max)}.`
  return undefined
}

/** The shortest exact form of whole milliseconds in Go's syntax: 90000 → `1m30s`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${ms}ms`
  const hours = Math.floor(ms / 36e5)
  const minutes = Math.floor((ms % 36e5) / 6e4)
  const seconds = (ms % 6e4) / 1000
  return (hours ? `${hours}h` : '') + (minutes ? `${minutes}m` : '') + (seconds ? `${seconds}s` : '') || '0s'
}
