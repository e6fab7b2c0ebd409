import { useQuery } from '@tanstack/react-query'

import { api, unwrap } from '@/api/client'

/** Uptime and coverage over the standard windows. */
export function useUptime(id: number) {
  return useQuery({
    queryKey: ['monitors', id, 'uptime'],
    queryFn: ({ signal }) => unwrap(api().GET('/api/monitors/{id}/uptime', { params: { path: { id } }, signal })),
    refetchInterval: 30_000,
  })
}
