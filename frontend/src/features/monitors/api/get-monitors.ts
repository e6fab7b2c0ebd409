import { queryOptions, useQuery } from '@tanstack/react-query'

import { getUnchanged } from '@/api/client'
import type { Monitor } from '@/api/types'

/** All monitors with their state, polled; unchanged answers keep the same array. */
export const monitorsQuery = queryOptions({
  queryKey: ['monitors'],
  queryFn: ({ signal }) => getUnchanged<Monitor[]>('/api/monitors', signal),
  refetchInterval: 2_000,
  structuralSharing: false,
})

export function useMonitors() {
  return useQuery(monitorsQuery)
}
