import type { Monitor, ProbeType, StateWord } from '@/api/types'
import { STATES, stateRank } from '@/lib/status'

export const PROBE_TYPES: ProbeType[] = ['http', 'tcp', 'ping', 'dns']
export const GROUPINGS = ['none', 'group', 'namespace', 'type', 'state'] as const
export const SORTS = ['state', 'name', 'value', 'since', 'checked'] as const

export type Grouping = (typeof GROUPINGS)[number]
export type Sort = (typeof SORTS)[number]

/** What the list shows; it lives in the URL, where absent means the default. */
export interface ListSearch {
  q?: string
  state?: StateWord
  type?: ProbeType
  group?: string
  ns?: string
  by?: Grouping
  sort?: Sort
  desc?: boolean
}

function oneOf<T extends string>(value: unknown, words: readonly T[]): T | undefined {
  return words.find((word) => word === value)
}

function text(value: unknown): string | undefined {
  const written = typeof value === 'number' || typeof value === 'boolean' ? String(value) : value
  return typeof written === 'string' && written !== '' ? written.slice(0, 200) : undefined
}

/** Reads the URL's search; whatever is not understood is dropped. */
export function readListSearch(raw: Record<string, unknown>): ListSearch {
  const search: ListSearch = {
    q: text(raw.q),
    state: oneOf(raw.state, STATES),
    type: oneOf(raw.type, PROBE_TYPES),
    group: text(raw.group),
    ns: text(raw.ns),
    by: oneOf(raw.by, GROUPINGS),
    sort: oneOf(raw.sort, SORTS),
    desc: raw.desc === true || raw.desc === 'true' ? true : undefined,
  }
  return Object.fromEntries(Object.entries(search).filter(([, value]) => value !== undefined))
}

/** Whether anything narrows the list. */
export function isFiltered(search: ListSearch): boolean {
  return Boolean(search.q || search.state || search.type || search.group || search.ns)
}

function matchesText(monitor: Monitor, words: string[]): boolean {
  const hay =
    `${monitor.name}\n${monitor.target}\n${monitor.namespace}/${monitor.objectName}\n${monitor.group}`.toLowerCase()
  return words.every((word) => hay.includes(word))
}

/** The monitors that match everything but the state: the tiles count these. */
export function matchIgnoringState(monitors: Monitor[], search: ListSearch): Monitor[] {
  const words = (search.q ?? '').toLowerCase().split(/\s+/).filter(Boolean)
  return monitors.filter(
    (monitor) =>
      (!search.type || monitor.type === search.type) &&
      (!search.group || monitor.group === search.group) &&
      (!search.ns || monitor.namespace === search.ns) &&
      (words.length === 0 || matchesText(monitor, words)),
  )
}

/** How many monitors are in each state. */
export function countStates(monitors: Monitor[]): Record<StateWord, number> {
  const counts: Record<StateWord, number> = { OK: 0, Error: 0, Failed: 0, Unknown: 0, Paused: 0 }
  for (const monitor of monitors) counts[monitor.state.status] += 1
  return counts
}

const NAMES = new Intl.Collator('en', { numeric: true, sensitivity: 'base' })

function compare(a: Monitor, b: Monitor, sort: Sort): number {
  switch (sort) {
    case 'state':
      return stateRank(a.state.status) - stateRank(b.state.status)
    case 'value':
      return (a.state.lastValue ?? -1) - (b.state.lastValue ?? -1)
    case 'since':
      return (a.state.since ?? '').localeCompare(b.state.since ?? '')
    case 'checked':
      return (a.state.lastCheckTime ?? '').localeCompare(b.state.lastCheckTime ?? '')
    case 'name':
      return 0
  }
}

/** Sorts a copy; equal ones go by name, then id, so that rows do not jump between polls. */
export function sortMonitors(monitors: Monitor[], sort: Sort = 'state', desc = false): Monitor[] {
  const sign = desc ? -1 : 1
  return monitors.toSorted((a, b) => {
    const primary = sign * compare(a, b, sort)
    if (primary !== 0) return primary
    const byName = NAMES.compare(a.name, b.name) || a.id - b.id
    return sort === 'name' ? sign * byName : byName
  })
}

export type ListRow =
  | { kind: 'head'; key: string; title: string; counts: Record<StateWord, number>; total: number }
  | { kind: 'monitor'; key: string; monitor: Monitor }

function groupTitle(monitor: Monitor, by: Exclude<Grouping, 'none'>): string {
  if (by === 'state') return monitor.state.status
  return monitor[by]
}

/** The rows of the list: sorted monitors, under a heading per group if grouped. */
export function buildRows(sorted: Monitor[], by: Grouping = 'none'): ListRow[] {
  if (by === 'none') return sorted.map((monitor) => ({ kind: 'monitor', key: `m${monitor.id}`, monitor }))
  const groups = new Map<string, Monitor[]>()
  for (const monitor of sorted) {
    const title = groupTitle(monitor, by)
    const members = groups.get(title)
    if (members) members.push(monitor)
    else groups.set(title, [monitor])
  }
  const titles = [...groups.keys()].toSorted((a, b) =>
    by === 'state' ? stateRank(a as StateWord) - stateRank(b as StateWord) : NAMES.compare(a, b),
  )
  return titles.flatMap((title) => {
    const members = groups.get(title) ?? []
    const head: ListRow = { kind: 'head', key: `g${title}`, title, counts: countStates(members), total: members.length }
    return [head, ...members.map((monitor): ListRow => ({ kind: 'monitor', key: `m${monitor.id}`, monitor }))]
  })
}

/** The distinct values of a field, in order. */
export function distinct(monitors: Monitor[], field: 'group' | 'namespace'): string[] {
  return [...new Set(monitors.map((monitor) => monitor[field]))].toSorted(NAMES.compare)
}
