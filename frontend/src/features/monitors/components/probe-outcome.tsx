import type { ProbeRequest } from '@/api/types'
import { OutputsGrid } from '@/components/ui/outputs-grid'
import { StatusPill } from '@/components/ui/status-mark'
import { formatMs } from '@/lib/format'
import { reasonWords, resultState } from '@/lib/status'

import classes from './probe-outcome.module.css'

/** What a single run found: verdict, why, and every output. */
export function ProbeOutcome({ request }: { request: ProbeRequest }) {
  const { result } = request
  if (!result) {
    return (
      <p className={classes.none} role="status">
        {request.state === 'expired'
          ? 'No runner took the run in time. Is a runner of this pool alive?'
          : 'The run has not been answered yet.'}
      </p>
    )
  }
  const state = resultState(result)
  return (
    <div className={classes.root} role="status" data-testid="outcome">
      <div className={classes.verdict}>
        <StatusPill state={state} />
        <span className={classes.words}>
          {state === 'OK'
            ? 'The run succeeded and the rule holds.'
            : result.message || `${reasonWords(result.reason)}.`}
        </span>
        <span className={classes.took}>
          {result.durationMs !== null && result.durationMs !== undefined && formatMs(result.durationMs)}
          {result.runner && ` on ${result.runner}`}
        </span>
      </div>
      <OutputsGrid outputs={result.outputs} />
    </div>
  )
}
