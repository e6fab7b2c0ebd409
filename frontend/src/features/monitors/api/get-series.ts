import { keepPreviousData, queryOptions, useQuery } from '@tanstack/react-query'

import { api, unwrap } from '@/api/client'

/** A window of time in milliseconds since 1970; `to` absent means now. */
export interface TimeWindow {
  length: number
  from?: number
  to?: number
}

function bounds({ length, from, to }: TimeWindow): { from: string; to: string } {
  const end = to ?? Date.now()
  return { from: new Date(from ?? end - length).toISOString(), to: new Date(end).toISOString() }
}

/** How often a window that ends now is worth fetching again. */
function refreshMs({ length, to }: TimeWindow): number | false {
  if (to) return false
  return Math.min(60_000, Math.max(5_000, length / 500))
}

/** Bucketed history of one monitor. */
export function seriesQuery(id: number, window: TimeWindow, points: number) {
  return queryOptions({
    queryKey: ['monitors', id, 'series', window, points],
    queryFn: ({ signal }) =>
      unwrap(
        api().GET('/api/monitors/{id}/series', {
          params: { path: { id }, query: { ...bounds(window), points } },
          signal,
        }),
      ),
    refetchInterval: refreshMs(window),
    staleTime: 5_000,
  })
}

export function useSeries(id: number, window: TimeWindow, points = 400) {
  return useQuery({ ...seriesQuery(id, window, points), placeholderData: keepPreviousData })
}
