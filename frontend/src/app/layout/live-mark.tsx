import { useIsFetching, useQueryClient } from '@tanstack/react-query'
import { useSyncExternalStore } from 'react'

import classes from './shell.module.css'

/** Whether the polled list is arriving: live, or the server is out of reach. */
export function LiveMark() {
  const client = useQueryClient()
  useIsFetching()
  const state = useSyncExternalStore(
    (notify) => client.getQueryCache().subscribe(notify),
    () => {
      const active = client.getQueryCache().findAll({ type: 'active' })
      if (active.length === 0) return 'idle'
      const lost = active.some((query) => query.state.fetchFailureCount > 0 || query.state.status === 'error')
      return lost ? 'lost' : 'live'
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
