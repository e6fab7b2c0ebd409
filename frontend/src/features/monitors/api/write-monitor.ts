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

/** Everything that writes monitors; each one leaves the cache as the server answered. */
export function useMonitorWrites() {
  const client = useQueryClient()
  const settle = (monitor: Monitor) => {
    client.setQueryData(monitorQuery(monitor.id).queryKey, monitor)
    return client.invalidateQueries({ queryKey: monitorsQuery.queryKey, exact: true })
  }

  const create = useMutation({
    mutationFn: (draft: MonitorDraft) => unwrap(api().POST('/api/monitors', { body: draft })),
    onSuccess: settle,
  })
  const update = useMutation({
    mutationFn: ({ id, draft }: { id: number; draft: MonitorDraft }) =>
      unwrap(api().PUT('/api/monitors/{id}', { params: { path: { id } }, body: draft })),
    onSuccess: settle,
  })
  const suspend = useMutation({
    mutationFn: ({ monitor, paused }: { monitor: Monitor; paused: boolean }) =>
      unwrap(
        api().PUT('/api/monitors/{id}', {
          params: { path: { id: monitor.id } },
          body: { name: monitor.name, spec: { ...monitor.spec, suspend: paused } },
        }),
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
