import type { SeriesPoint } from '@/api/types'
import { PHASE_LABELS, PHASES } from '@/lib/chart-data'
import { formatDateTime, formatMs } from '@/lib/format'

import { PHASE_TOKENS } from './chart-options'
import classes from './response-chart.module.css'

function Row({ token, label, value }: { token?: string; label: string; value: string }) {
  return (
    <div className={classes.tipRow}>
      {token && <span className={classes.swatch} style={{ background: `var(${token})` }} />}
      {label}
      <b>{value}</b>
    </div>
  )
}

/** What the chart says about the point under the pointer. */
export function ChartTip({
  point,
  width,
  left,
  room,
}: {
  point: SeriesPoint
  width: number
  left: number
  room: number
}) {
  const flip = left > room - 230
  const known = PHASES.filter((phase) => point[phase] !== null && point[phase] !== undefined)
  return (
    <div className={classes.tip} style={flip ? { right: room - left + 12 } : { left: left + 12 }} aria-hidden="true">
      <div className={classes.tipTime}>{formatDateTime(point.t)}</div>
      <Row
        {...(known.length === 0 && { token: '--nm-series' })}
        label={point.n > 1 ? 'Average' : 'Response'}
        value={formatMs(point.avg)}
      />
      {point.n > 1 && <Row label="Range" value={`${formatMs(point.min)} – ${formatMs(point.max)}`} />}
      {known.map((phase) => (
        <Row key={phase} token={PHASE_TOKENS[phase]} label={PHASE_LABELS[phase]} value={formatMs(point[phase])} />
      ))}
      {point.error > 0 && <Row token="--nm-error" label="Error" value={String(point.error)} />}
      {point.failed > 0 && <Row token="--nm-failed" label="Failed" value={String(point.failed)} />}
      {point.n > 1 && <Row label={`Runs in ${spanWords(width)}`} value={String(point.n)} />}
    </div>
  )
}

function spanWords(seconds: number): string {
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`
  if (seconds < 86_400) return `${Math.round(seconds / 3600)} h`
  return `${Math.round(seconds / 86_400)} d`
}
