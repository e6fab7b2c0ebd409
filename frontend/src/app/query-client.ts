import { QueryClient } from '@tanstack/react-query'

import { ApiError } from '@/api/problem'

/** Refusals are final; only silence and server faults are worth a second try. */
function shouldRetry(failures: number, error: unknown): boolean {
  if (error instanceof ApiError && error.status >= 400 && error.status < 500) return false
  return failures < 2
}

export const queryClient = new QueryClient({
  defaultOptions: {
    // The server may be this very machine: what the browser thinks of its network does not matter.
    queries: { retry: shouldRetry, staleTime: 1_000, refetchOnWindowFocus: true, networkMode: 'always' },
    mutations: { networkMode: 'always' },
  },
})
