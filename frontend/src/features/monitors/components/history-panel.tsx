import { Button, SegmentedControl, useComputedColorScheme } from '@mantine/core'
import { IconChartAreaLine, IconZoomReset } from '@tabler/icons-react'
import { useMemo } from 'react'

import type { Monitor } from '@/api/types'
import { EmptyState } from '@/components/ui/empty-state'
import { Panel } from '@/components/ui/panel'
import { ProblemNote } from '@/components/ui/problem-note'
import { buildChart, PHASE_LABELS, type Phase } from '@/lib/chart-data'
import { parseDuration } from '@/lib/duration'
import { formatDateTime } from '@/lib/format'
import { RANGE_MS, RANGES, type ChartMode, type MonitorSearch, type Range } from '@/lib/page-search'

import { useSeries } from '../api/get-series'
import { PHASE_TOKENS } from './chart-options'
import { ResponseChart } from './response-chart'
import classes from './response-chart.module.css'

/** The response-time chart with its range, zoom and legend. */
export function HistoryPanel({
  monitor,
  search,
  onChange,
}: {
  monitor: Monitor
  search: MonitorSearch
  onChange: (change: Partial<MonitorSearch>) => void
}) {
  const scheme = useComputedColorScheme('light', { getInitialValueInEffect: false })
  const range: Range = search.range ?? '24h'
  const zoomed = search.from !== undefined && search.to !== undefined
  const window = zoomed
    ? { length: (search.to ?? 0) - (search.from ?? 0), from: search.from, to: search.to }
    : { length: RANGE_MS[range] }
  const { data, error, refetch, dataUpdatedAt } = useSeries(monitor.id, window)
  const chart = useMemo(
    () => data && buildChart(data, parseDuration(monitor.interval) ?? 60_000),
    [data, monitor.interval],
  )
  const mode: ChartMode = chart?.stack ? (search.chart ?? 'phases') : 'total'
  const to = search.to ?? dataUpdatedAt
  const from = search.from ?? to - window.length

  return (
    <Panel
      title="Response time"
      aside={
        <>
          {zoomed && (
            <Button
              size="compact-sm"
              variant="default"
              leftSection={<IconZoomReset size={14} />}
              onClick={() => onChange({ from: undefined, to: undefined })}
            >
              Reset zoom
            </Button>
          )}
          {chart?.stack && (
            <SegmentedControl
              size="xs"
              aria-label="What the chart shows"
              data={[
                { value: 'phases', label: 'Phases' },
                { value: 'total', label: 'Total' },
              ]}
              value={mode}
              onChange={(value) => onChange({ chart: value === 'phases' ? undefined : (value as ChartMode) })}
            />
          )}
          <SegmentedControl
            size="xs"
            aria-label="Range of the chart"
            data={[...RANGES]}
            value={zoomed ? '' : range}
            onChange={(value) =>
              onChange({ range: value === '24h' ? undefined : (value as Range), from: undefined, to: undefined })
            }
          />
        </>
      }
    >
      {error && !data && (
        <ProblemNote title="The history could not be loaded" error={error} retry={() => void refetch()} />
      )}
      {!chart && !error && <div className={classes.frame} aria-busy="true" />}
      {chart && chart.xs.length === 0 && (
        <div className={classes.frame}>
          <EmptyState icon={<IconChartAreaLine size={22} />} title="No runs in this range">
            <p>The chart fills as results arrive. Choose a longer range to look further back.</p>
          </EmptyState>
        </div>
      )}
      {chart && chart.xs.length > 0 && (
        <>
          <ResponseChart
            key={`${scheme} ${mode}`}
            data={chart}
            mode={mode}
            from={from}
            to={to}
            label={`Response time of ${monitor.name} from ${formatDateTime(new Date(from))} to ${formatDateTime(new Date(to))}`}
            onZoom={(start, end) => onChange({ from: start, to: end })}
          />
          <Legend phases={mode === 'phases' ? chart.phases : []} />
        </>
      )}
    </Panel>
  )
}

function Legend({ phases }: { phases: Phase[] }) {
  return (
    <div className={classes.legend} aria-hidden="true">
      {phases.length > 0 ? (
        phases.map((phase) => (
          <span key={phase}>
            <i className={classes.swatch} style={{ background: `var(${PHASE_TOKENS[phase]})` }} />
            {PHASE_LABELS[phase]}
          </span>
        ))
      ) : (
        <span>
          <i className={classes.swatch} style={{ background: 'var(--nm-series)' }} />
          Average, with its spread
        </span>
      )}
      <span>
        <i className={classes.swatch} style={{ background: 'var(--nm-error)' }} />
        Error
      </span>
      <span>
        <i className={classes.swatch} style={{ background: 'var(--nm-failed)' }} />
        Failed
      </span>
    </div>
  )
}
