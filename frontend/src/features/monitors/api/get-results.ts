import { useQuery } from '@tanstack/react-query'

import { getUnchanged } from '@/api/client'
import type { Result } from '@/api/types'

/** The newest results of one monitor. */
export function useResults(id: number, max: number) {
  return useQuery({
    queryKey: ['monitors', id, 'results', max],
    queryFn: ({ signal }) => getUnchanged<Result[]>(`/api/monitors/${id}/results?max=${max}`, signal),
    refetchInterval: 2_000,
    structuralSharing: false,
  })
}
