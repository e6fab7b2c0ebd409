import { IconChevronRight } from '@tabler/icons-react'
import { Fragment, useState, type ReactNode } from 'react'

import type { Result } from '@/api/types'
import { formatClock, formatDateTime, formatMs } from '@/lib/format'
import { reasonWords, resultState } from '@/lib/status'

import { Age } from './age'
import { OutputsGrid } from './outputs-grid'
import classes from './results-table.module.css'
import { StatusMark } from './status-mark'

/** Results, newest first; each row opens to show the run's outputs. */
export function ResultsTable({
  results,
  monitorCell,
}: {
  results: Result[]
  /** Draws the monitor of a result, on pages that show several. */
  monitorCell?: (result: Result) => ReactNode
}) {
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set())
  const toggle = (key: string) =>
    setOpen((before) => {
      const after = new Set(before)
      if (!after.delete(key)) after.add(key)
      return after
    })
  return (
    <div className={classes.scroll}>
      <table className={classes.table}>
        <thead>
          <tr>
            <th scope="col">State</th>
            {monitorCell && <th scope="col">Monitor</th>}
            <th scope="col">Time</th>
            <th scope="col" className={classes.number}>
              Value
            </th>
            <th scope="col">Finding</th>
            <th scope="col" className={classes.wide}>
              Runner
            </th>
          </tr>
        </thead>
        <tbody>
          {results.map((result) => {
            const key = `${result.monitor_id}/${result.pool}/${result.date}`
            const shown = open.has(key)
            const state = resultState(result)
            return (
              <Fragment key={key}>
                <tr className={classes.row} data-open={shown || undefined}>
                  <td>
                    <button
                      type="button"
                      className={classes.toggle}
                      aria-expanded={shown}
                      aria-label={`Outputs of the run at ${formatDateTime(result.date)}`}
                      onClick={() => toggle(key)}
                    >
                      <IconChevronRight size={14} className={classes.chevron} aria-hidden="true" />
                      <StatusMark state={state} />
                    </button>
                  </td>
                  {monitorCell && <td className={classes.monitor}>{monitorCell(result)}</td>}
                  <td className={classes.time}>
                    <span className={classes.date}>{formatDateTime(result.date)}</span>
                    <span className={classes.clock}>{formatClock(result.date)}</span>
                    <span className={classes.ago}>
                      <Age at={result.date} suffix=" ago" />
                    </span>
                  </td>
                  <td className={classes.number}>{result.status === 2 ? '–' : formatMs(result.value)}</td>
                  <td className={classes.finding}>
                    {result.message || (state === 'OK' ? '' : reasonWords(result.reason))}
                    {result.initial && <span className={classes.flag}>first run</span>}
                    {result.late && <span className={classes.flag}>late</span>}
                  </td>
                  <td className={classes.wide}>
                    <span className={classes.runner}>{[result.pool, result.runner].filter(Boolean).join(' · ')}</span>
                  </td>
                </tr>
                {shown && (
                  <tr className={classes.detail}>
                    <td colSpan={monitorCell ? 6 : 5}>
                      <OutputsGrid outputs={result.outputs} />
                    </td>
                  </tr>
                )}
              </Fragment>
            )
          })}
        </tbody>
      </table>
    </div>
  )
}
