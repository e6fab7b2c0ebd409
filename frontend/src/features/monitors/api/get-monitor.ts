import { queryOptions, useQuery, useQueryClient } from '@tanstack/react-query'

import { getUnchanged } from '@/api/client'
import type { Monitor } from '@/api/types'

import { monitorsQuery } from './get-monitors'

/** One monitor with its state, polled. */
export function monitorQuery(id: number) {
  return queryOptions({
    queryKey: ['monitors', id],
    queryFn: ({ signal }) => getUnchanged<Monitor>(`/api/monitors/${id}`, signal),
    refetchInterval: 2_000,
    structuralSharing: false,
  })
}

/** One monitor; shown at once from the list if it has been loaded. */
export function useMonitor(id: number) {
  const client = useQueryClient()
  return useQuery({
    ...monitorQuery(id),
    placeholderData: () => client.getQueryData(monitorsQuery.queryKey)?.find((monitor) => monitor.id === id),
  })
}
