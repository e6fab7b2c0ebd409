import { StatusIcon } from '@/components/ui/status-mark'
import type { StateWord } from '@/api/types'
import { formatCount } from '@/lib/format'
import { STATE_TEXT } from '@/lib/status'

import classes from './summary-tiles.module.css'

const ORDER: StateWord[] = ['OK', 'Error', 'Failed', 'Paused', 'Unknown']

/** Counts per state; each tile filters the list by its state. */
export function SummaryTiles({
  counts,
  selected,
  onSelect,
}: {
  counts: Record<StateWord, number>
  selected: StateWord | undefined
  onSelect: (state: StateWord | undefined) => void
}) {
  const total = ORDER.reduce((sum, state) => sum + counts[state], 0)
  return (
    <div className={classes.root} role="group" aria-label="Filter by state">
      {ORDER.map((state) => {
        const { label, token, meaning } = STATE_TEXT[state]
        const pressed = selected === state
        return (
          <button
            key={state}
            type="button"
            className={classes.tile}
            data-state={token}
            data-zero={counts[state] === 0 || undefined}
            aria-pressed={pressed}
            title={meaning}
            onClick={() => onSelect(pressed ? undefined : state)}
          >
            <span className={classes.label}>
              <StatusIcon state={state} size={13} />
              {label}
            </span>
            <span className={classes.count}>{formatCount(counts[state])}</span>
            <span className={classes.share} aria-hidden="true">
              <i style={{ width: `${total === 0 ? 0 : (counts[state] / total) * 100}%` }} />
            </span>
          </button>
        )
      })}
    </div>
  )
}
