import { useQuery } from '@tanstack/react-query'

import { api, unwrap } from '@/api/client'

/** What the server says about itself. */
export function useStatus() {
  return useQuery({
    queryKey: ['status'],
    queryFn: ({ signal }) => unwrap(api().GET('/api/status', { signal })),
    refetchInterval: 5_000,
  })
}
