import { Link } from '@tanstack/react-router'
import { memo } from 'react'

import type { Monitor } from '@/api/types'
import { Age } from '@/components/ui/age'
import { StatusMark } from '@/components/ui/status-mark'
import { TypeBadge } from '@/components/ui/type-badge'
import { formatMs } from '@/lib/format'
import { reasonWords, stateSentence } from '@/lib/status'

import { HistoryBars } from './history-bars'
import classes from './monitor-table.module.css'

/** One monitor: its cells; the link on its name covers the whole row. */
export const MonitorRow = memo(function MonitorRow({ monitor, scrolling }: { monitor: Monitor; scrolling: boolean }) {
  const { state } = monitor
  const bad = state.status === 'Error' || state.status === 'Failed' || state.status === 'Unknown'
  const reason = bad ? reasonWords(state.reason) : ''
  return (
    <div className={classes.row} data-bad={state.status === 'Failed' || undefined}>
      <div role="cell" className={classes.state} title={stateSentence(state) || undefined}>
        <StatusMark state={state.status} />
        {reason && <span className={classes.reason}>{reason}</span>}
      </div>
      <div role="cell" className={classes.name}>
        <span className={classes.title}>
          <Link
            to="/monitors/$id"
            params={{ id: String(monitor.id) }}
            className={classes.link}
            preload={false}
            title={monitor.name}
          >
            {monitor.name}
          </Link>
          <TypeBadge type={monitor.type} />
        </span>
        <span className={classes.target} title={monitor.target}>
          {monitor.target}
        </span>
      </div>
      <div role="cell" className={classes.group}>
        <span className="nm-clip" title={monitor.group}>
          {monitor.group}
        </span>
        <span className={classes.namespace} title={monitor.namespace}>
          {monitor.namespace}
        </span>
      </div>
      <div role="cell" className={classes.history}>
        <HistoryBars monitor={monitor} paused={scrolling} />
      </div>
      <div role="cell" className={classes.value}>
        {formatMs(state.lastValue)}
      </div>
      <div role="cell" className={classes.since}>
        <Age at={state.since} />
      </div>
      <div role="cell" className={classes.checked}>
        <Age at={state.lastCheckTime} suffix=" ago" />
      </div>
    </div>
  )
})
