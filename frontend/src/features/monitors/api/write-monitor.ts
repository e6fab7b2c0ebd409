import { useMutation, useQueryClient } from '@tanstack/react-query'

import { api, unwrap } from '@/api/client'
import type { Monitor, MonitorSpec } from '@/api/types'

import { monitorQuery } from './get-monitor'
import { monitorsQuery } from './get-monitors'

export interface MonitorDraft {
  name: string
  namespace?: string
  spec: MonitorSpec
}

/** An answered monitor, its type read as one of the four. */
async function written(answer: Promise<unknown>): Promise<Monitor> {
  return (await answer) as Monitor
}

/** Everything that writes monitors; each one leaves the cache as the server answered. */
export function useMonitorWrites() {
  const client = useQueryClient()
  const settle = (monitor: Monitor) => {
    client.setQueryData(monitorQuery(monitor.id).queryKey, monitor)
    return client.invalidateQueries({ queryKey: monitorsQuery.queryKey, exact: true })
  }

  const create = useMutation({
    mutationFn: (draft: MonitorDraft) => written(unwrap(api().POST('/api/monitors', { body: draft }))),
    onSuccess: settle,
  })
  const update = useMutation({
    // With the tag under which it was opened: a change made meanwhile is not overwritten.
    mutationFn: ({ id, draft, etag }: { id: number; draft: MonitorDraft; etag: string | undefined }) =>
      written(
        unwrap(
          api().PUT('/api/monitors/{id}', {
            params: { path: { id } },
            body: draft,
            ...(etag && { headers: { 'If-Match': etag } }),
          }),
        ),
      ),
    onSuccess: settle,
  })
  const suspend = useMutation({
    mutationFn: ({ monitor, paused }: { monitor: Monitor; paused: boolean }) =>
      written(
        unwrap(
          api().PUT('/api/monitors/{id}', {
            params: { path: { id: monitor.id } },
            body: { name: monitor.name, spec: { ...monitor.spec, suspend: paused } },
          }),
        ),
      ),
    onSuccess: settle,
  })
  const remove = useMutation({
    mutationFn: (id: number) => unwrap(api().DELETE('/api/monitors/{id}', { params: { path: { id } } })),
    onSuccess: (_, id) => {
      client.setQueryData(monitorsQuery.queryKey, (list) => list?.filter((monitor) => monitor.id !== id))
      client.removeQueries({ queryKey: ['monitors', id] })
      return client.invalidateQueries({ queryKey: monitorsQuery.queryKey, exact: true })
    },
  })
  return { create, update, suspend, remove }
}
