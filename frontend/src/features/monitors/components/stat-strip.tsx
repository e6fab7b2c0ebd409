import type { Monitor, Result } from '@/api/types'
import { formatMs, formatShare } from '@/lib/format'

import { useUptime } from '../api/get-uptime'
import classes from './stat-strip.module.css'

const WINDOW_WORDS: Record<string, string> = {
  '24h': '24 hours',
  '7d': '7 days',
  '30d': '30 days',
  '90d': '90 days',
  '365d': '1 year',
}
const SHOWN = ['24h', '7d', '30d', '90d']

function tone(uptime: number | null | undefined): string | undefined {
  if (uptime === null || uptime === undefined) return undefined
  return uptime >= 0.999 ? 'ok' : uptime >= 0.98 ? 'error' : 'failed'
}

function coverageWords(coverage: number | null | undefined): string {
  if (coverage === null || coverage === undefined || coverage === 0) return 'nothing measured'
  return coverage >= 0.9995 ? 'fully measured' : `${formatShare(coverage)} measured`
}

/** Uptime per window with how much of it was measured, the last value, and the certificate. */
export function StatStrip({ monitor, newest }: { monitor: Monitor; newest: Result | undefined }) {
  const { data } = useUptime(monitor.id)
  const days = newest?.outputs.certExpiryDays
  return (
    <dl className={classes.root}>
      <Stat
        label="Last value"
        value={formatMs(monitor.state.lastValue)}
        note={newest ? valueNote(monitor) : 'no run yet'}
      />
      {SHOWN.map((window) => {
        const found = data?.windows.find((entry) => entry.window === window)
        return (
          <Stat
            key={window}
            label={`Uptime ${WINDOW_WORDS[window]}`}
            value={formatShare(found?.uptime)}
            note={data ? coverageWords(found?.coverage) : '…'}
            tone={tone(found?.uptime)}
          />
        )
      })}
      {typeof days === 'number' && (
        <Stat
          label="Certificate"
          value={days < 0 ? 'expired' : `${days} days`}
          note={days < 0 ? `${-days} days ago` : 'until it expires'}
          tone={days < 7 ? 'failed' : days < 21 ? 'error' : undefined}
        />
      )}
    </dl>
  )
}

function valueNote(monitor: Monitor): string {
  return monitor.type === 'ping'
    ? 'average round trip'
    : monitor.type === 'tcp'
      ? 'to connect'
      : monitor.type === 'dns'
        ? 'to look up'
        : 'to respond'
}

function Stat({
  label,
  value,
  note,
  tone: colour,
}: {
  label: string
  value: string
  note: string
  tone?: string | undefined
}) {
  return (
    <div className={classes.stat}>
      <dt>{label}</dt>
      <dd className={classes.value} data-tone={colour}>
        {value}
      </dd>
      <dd className={classes.note}>{note}</dd>
    </div>
  )
}
