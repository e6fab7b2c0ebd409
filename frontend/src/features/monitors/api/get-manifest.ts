import { useQuery } from '@tanstack/react-query'

import { api, unwrap } from '@/api/client'

/** The monitor as the YAML that kubectl takes. */
export function useManifest(id: number, updated: string) {
  return useQuery({
    queryKey: ['monitors', id, 'manifest', updated],
    queryFn: ({ signal }) =>
      unwrap(api().GET('/api/monitors/{id}/manifest', { params: { path: { id } }, parseAs: 'text', signal })),
  })
}
