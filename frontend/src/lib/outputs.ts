import { formatBytes, formatMs } from '@/lib/format'

export interface OutputView {
  name: string
  value: string
  text: boolean
}

const ORDER = [
  'status',
  'respTime',
  'dnsTime',
  'connectTime',
  'tlsTime',
  'firstByteTime',
  'transferTime',
  'avgRtt',
  'minRtt',
  'maxRtt',
  'packetsRecv',
  'packetLoss',
  'resultCount',
]

function rank(name: string): number {
  const at = ORDER.indexOf(name)
  return at < 0 ? ORDER.length : at
}

function show(name: string, value: number | string): string {
  if (typeof value === 'string') return value
  if (/(Time|Rtt)$/.test(name)) return formatMs(value)
  if (name === 'bodyLen') return formatBytes(value)
  if (name === 'packetLoss') return `${value} %`
  if (name === 'certExpiryDays') return `${value} d`
  return String(value)
}

/** A run's outputs with units, in the order people read them. */
export function viewOutputs(outputs: Record<string, number | string>): OutputView[] {
  return Object.entries(outputs)
    .toSorted(([a], [b]) => rank(a) - rank(b) || a.localeCompare(b, 'en', { numeric: true }))
    .map(([name, value]) => ({ name, value: show(name, value), text: typeof value === 'string' }))
}
