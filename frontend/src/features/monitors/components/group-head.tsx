import type { StateWord } from '@/api/types'
import { StatusIcon } from '@/components/ui/status-mark'
import { formatCount } from '@/lib/format'
import { STATE_TEXT, STATES } from '@/lib/status'

import classes from './monitor-table.module.css'

/** A group's heading row with its counts per state. */
export function GroupHead({
  title,
  counts,
  total,
}: {
  title: string
  counts: Record<StateWord, number>
  total: number
}) {
  const label = title in STATE_TEXT ? STATE_TEXT[title as StateWord].label : title
  return (
    <div role="cell" className={classes.groupHead} aria-colspan={7}>
      <span className={classes.groupTitle}>{label}</span>
      <span className={classes.groupTotal}>{formatCount(total)}</span>
      <span className={classes.groupCounts}>
        {STATES.filter((state) => counts[state] > 0 && state !== title).map((state) => (
          <span key={state}>
            <StatusIcon state={state} size={11} />
            <span className="nm-sr">{STATE_TEXT[state].label}</span>
            {formatCount(counts[state])}
          </span>
        ))}
      </span>
    </div>
  )
}
