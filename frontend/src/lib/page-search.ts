import type { ProbeType, StateWord } from '@/api/types'
import { PROBE_TYPES } from '@/lib/monitor-list'
import { STATES } from '@/lib/status'

export const RANGES = ['1h', '6h', '24h', '7d', '30d', '90d', '1y'] as const
export type Range = (typeof RANGES)[number]

const HOUR = 3_600_000
/** The length of each range in milliseconds. */
export const RANGE_MS: Record<Range, number> = {
  '1h': HOUR,
  '6h': 6 * HOUR,
  '24h': 24 * HOUR,
  '7d': 7 * 24 * HOUR,
  '30d': 30 * 24 * HOUR,
  '90d': 90 * 24 * HOUR,
  '1y': 365 * 24 * HOUR,
}

export const MONITOR_TABS = ['results', 'manifest', 'details'] as const
export type MonitorTab = (typeof MONITOR_TABS)[number]

export const CHART_MODES = ['phases', 'total'] as const
export type ChartMode = (typeof CHART_MODES)[number]

export interface MonitorSearch {
  range?: Range
  /** A window chosen by dragging over the chart, in milliseconds since 1970. */
  from?: number
  to?: number
  tab?: MonitorTab
  /** How the chart draws: the total with its spread, or its phases stacked. */
  chart?: ChartMode
}

function pick<T extends string>(value: unknown, words: readonly T[]): T | undefined {
  return words.find((word) => word === value)
}

function compact<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as T
}

/** Reads the search of a monitor's page; a window counts only if both ends make sense. */
export function readMonitorSearch(raw: Record<string, unknown>): MonitorSearch {
  const from = Number(raw.from)
  const to = Number(raw.to)
  const window = Number.isSafeInteger(from) && Number.isSafeInteger(to) && from > 0 && to - from >= 1000
  return compact({
    range: pick(raw.range, RANGES),
    from: window ? from : undefined,
    to: window ? to : undefined,
    tab: pick(raw.tab, MONITOR_TABS),
    chart: pick(raw.chart, CHART_MODES),
  })
}

export interface FormSearch {
  type?: ProbeType
  template?: string
  /** The id of the monitor to start from. */
  clone?: number
}

/** Reads the search of the page that creates a monitor. */
export function readFormSearch(raw: Record<string, unknown>): FormSearch {
  const clone = Number(raw.clone)
  return compact({
    type: pick(raw.type, PROBE_TYPES),
    template: typeof raw.template === 'string' ? raw.template : undefined,
    clone: Number.isSafeInteger(clone) && clone > 0 ? clone : undefined,
  })
}

export interface ResultsSearch {
  state?: StateWord
  q?: string
}

/** Reads the search of the results page. */
export function readResultsSearch(raw: Record<string, unknown>): ResultsSearch {
  return compact({
    state: pick(raw.state, STATES),
    q: typeof raw.q === 'string' || typeof raw.q === 'number' ? String(raw.q).slice(0, 200) || undefined : undefined,
  })
}
