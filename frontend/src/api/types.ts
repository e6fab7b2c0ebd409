import type { components } from '@/api/__generated__/schema'

type Schemas = components['schemas']

/** The four kinds of probe; the document says `string`, since it may grow. */
export type ProbeType = 'http' | 'tcp' | 'ping' | 'dns'

export type Monitor = Omit<Schemas['Monitor'], 'type'> & { type: ProbeType }
export type MonitorState = Schemas['MonitorState']
export type MonitorSpec = Schemas['MonitorSpec']
export type StateWord = Schemas['StateWord']
export type Result = Schemas['Result']
export type Series = Schemas['Series']
export type SeriesPoint = Schemas['Point']
export type ProbeRequest = Schemas['ProbeRequest']
export type OutputDoc = Schemas['OutputInfo']
export type Problem = Schemas['Problem']
