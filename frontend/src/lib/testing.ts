import type { Monitor, StateWord } from '@/api/types'

let last = 0

/** A monitor for tests. */
export function makeMonitor(part: Partial<Monitor> & { status?: StateWord } = {}): Monitor {
  const { status = 'OK', ...rest } = part
  last += 1
  const name = rest.name ?? `monitor ${last}`
  return {
    id: last,
    name,
    type: 'http',
    interval: '30s',
    target: 'http://a.example/',
    rule: '',
    enabled: true,
    group: 'default',
    properties: {},
    createdAt: '2026-01-01T00:00:00Z',
    labels: {},
    updated: '2026-01-01T00:00:00Z',
    namespace: 'default',
    objectName: name.replaceAll(' ', '-'),
    spec: { interval: '30s', http: { url: 'http://a.example/' } },
    state: { status, pools: [] },
    managedBy: { source: 'api', editable: true },
    ...rest,
  }
}
