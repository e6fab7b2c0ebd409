import { useMutation } from '@tanstack/react-query'

import { api, unwrap } from '@/api/client'
import type { MonitorSpec, ProbeRequest } from '@/api/types'

const POLL_MS = 400
const LIMIT_MS = 70_000

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}

/** Follows a request until a runner has answered it, or it expired. */
async function follow(request: ProbeRequest): Promise<ProbeRequest> {
  const deadline = Date.now() + LIMIT_MS
  let current = request
  while ((current.state === 'pending' || current.state === 'running') && Date.now() < deadline) {
    // The next question is asked only after the last answer.
    // oxlint-disable-next-line no-await-in-loop
    await pause(POLL_MS)
    // oxlint-disable-next-line no-await-in-loop
    current = await unwrap(api().GET('/api/probes/{uuid}', { params: { path: { uuid: request.id } } }))
  }
  return current
}

/** Runs a draft once, without saving it. */
export function useTestDraft() {
  return useMutation({
    mutationFn: async ({ namespace, spec }: { namespace?: string; spec: MonitorSpec }) =>
      follow(
        await unwrap(
          api().POST('/api/probes', {
            params: { query: { wait: 5 } },
            body: { spec, ...(namespace && { namespace }) },
          }),
        ),
      ),
  })
}

/** Runs a stored monitor now, beside its schedule. */
export function useRunNow() {
  return useMutation({
    mutationFn: async (id: number) =>
      follow(await unwrap(api().POST('/api/monitors/{id}/run', { params: { path: { id } } }))),
  })
}
