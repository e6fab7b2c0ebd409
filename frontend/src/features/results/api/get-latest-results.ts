import { useQuery } from '@tanstack/react-query'

import { getUnchanged } from '@/api/client'
import type { Result } from '@/api/types'

/** The newest results of all monitors, polled. */
export function useLatestResults(max: number, live: boolean) {
  return useQuery({
    queryKey: ['results', max],
    queryFn: ({ signal }) => getUnchanged<Result[]>(`/api/results?max=${max}`, signal),
    refetchInterval: live ? 2_000 : false,
    structuralSharing: false,
  })
}
