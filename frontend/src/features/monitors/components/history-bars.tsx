import { useQuery } from '@tanstack/react-query'

import type { Monitor } from '@/api/types'
import { binPoints, type Bin } from '@/lib/bins'
import { STATE_TEXT } from '@/lib/status'

import { seriesQuery } from '../api/get-series'
import classes from './history-bars.module.css'

const HOUR = 3_600_000
const BINS = 30
const WIDTH = 5
const HEIGHT = 24

function heights(bins: Bin[]): number[] {
  const most = Math.max(...bins.map((bin) => bin.avg ?? 0), 0.001)
  return bins.map((bin) => {
    if (!bin.state) return 3
    if (bin.state !== 'OK' || bin.avg === undefined) return HEIGHT
    return Math.round(6 + (HEIGHT - 6) * Math.sqrt(bin.avg / most))
  })
}

function describe(bins: Bin[]): string {
  const runs = bins.reduce((sum, bin) => sum + bin.runs, 0)
  if (runs === 0) return 'No runs in the last hour'
  const bad = bins.filter((bin) => bin.state && bin.state !== 'OK').length
  return bad === 0 ? `Last hour: ${runs} runs, all up` : `Last hour: ${runs} runs, trouble in ${bad} of ${BINS} spans`
}

/** The last hour in two-minute bars: height is the response time, colour and full height are trouble. */
export function HistoryBars({ monitor, paused }: { monitor: Monitor; paused: boolean }) {
  const { data, dataUpdatedAt: now } = useQuery({
    ...seriesQuery(monitor.id, { length: HOUR }, 120),
    enabled: !paused,
    staleTime: 30_000,
    refetchInterval: 30_000,
  })
  if (!data) return <div className={classes.wait} />
  const bins = binPoints(data.points, now - HOUR, now + 1000, BINS)
  const tall = heights(bins)
  return (
    <svg
      className={classes.root}
      viewBox={`0 0 ${BINS * WIDTH} ${HEIGHT}`}
      width={BINS * WIDTH}
      height={HEIGHT}
      role="img"
      aria-label={describe(bins)}
    >
      {bins.map((bin, index) => (
        <rect
          // Bins have no identity but their place.
          // oxlint-disable-next-line react/no-array-index-key
          key={index}
          x={index * WIDTH + 0.5}
          y={HEIGHT - (tall[index] ?? 0)}
          width={WIDTH - 1.5}
          height={tall[index] ?? 0}
          rx="1"
          data-state={bin.state ? STATE_TEXT[bin.state].token : 'none'}
        />
      ))}
    </svg>
  )
}
