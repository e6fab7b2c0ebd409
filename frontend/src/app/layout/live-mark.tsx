import { useIsFetching, useQueryClient } from '@tanstack/react-query'
import { useSyncExternalStore } from 'react'

import { ApiError } from '@/api/problem'

import classes from './shell.module.css'

/** No answer, or one from something in between. */
function isSilence(reason: unknown): boolean {
  return reason instanceof ApiError && (reason.status === 0 || (reason.status >= 502 && reason.status <= 504))
}

/** Whether the polled list is arriving: live, or the server is out of reach. */
export function LiveMark() {
  const client = useQueryClient()
  useIsFetching()
  const state = useSyncExternalStore(
    (notify) => client.getQueryCache().subscribe(notify),
    () => {
      const active = client.getQueryCache().findAll({ type: 'active' })
      if (active.length === 0) return 'idle'
      return active.some((query) => isSilence(query.state.fetchFailureReason)) ? 'lost' : 'live'
    },
  )
  if (state === 'idle') return null
  return (
    <div className={classes.live} data-lost={state === 'lost' || undefined} role="status">
      <span className={classes.pulse} aria-hidden="true" />
      {state === 'lost' ? 'Reconnecting' : 'Live'}
    </div>
  )
}
