import type { Monitor, MonitorSpec, ProbeType } from '@/api/types'
import { durationFault } from '@/lib/duration'

type DnsSpec = Required<NonNullable<MonitorSpec['dns']>>
type RecordType = DnsSpec['recordType']
type Network = DnsSpec['network']

/** The form's fields: laid out as in the spec, so that the API's field paths lead to them; an empty text is "default". */
export interface FormValues {
  name: string
  namespace: string
  group: string
  interval: string
  type: ProbeType
  rule: string
  suspend: boolean
  http: {
    url: string
    method: string
    timeout: string
    headers: { name: string; value: string }[]
    body: string
    bodyRegex: string
    validateTLS: boolean
    followRedirects: boolean
  }
  tcp: { address: string; timeout: string }
  ping: { host: string; count: number | ''; interval: string; timeout: string }
  dns: { name: string; recordType: RecordType; server: string; network: Network; timeout: string }
}

/** The field that holds a type's target. */
export const TARGET_FIELD: Record<ProbeType, string> = {
  http: 'http.url',
  tcp: 'tcp.address',
  ping: 'ping.host',
  dns: 'dns.name',
}

/** A form with every default. */
export function emptyForm(): FormValues {
  return {
    name: '',
    namespace: '',
    group: '',
    interval: '30s',
    type: 'http',
    rule: '',
    suspend: false,
    http: {
      url: '',
      method: 'GET',
      timeout: '',
      headers: [],
      body: '',
      bodyRegex: '',
      validateTLS: true,
      followRedirects: true,
    },
    tcp: { address: '', timeout: '' },
    ping: { host: '', count: '', interval: '', timeout: '' },
    dns: { name: '', recordType: 'A', server: '', network: 'ip', timeout: '' },
  }
}

/** The type that a spec's one target names. */
export function typeOfSpec(spec: MonitorSpec): ProbeType {
  return spec.tcp ? 'tcp' : spec.ping ? 'ping' : spec.dns ? 'dns' : 'http'
}

/** Drops nulls and undefined, so that a default shows through. */
function given<T extends object>(part: T | null | undefined): Partial<T> {
  return Object.fromEntries(
    Object.entries(part ?? {}).filter(([, value]) => value !== null && value !== undefined),
  ) as Partial<T>
}

/** Fills the form from a stored monitor. */
export function formOfMonitor(monitor: Monitor): FormValues {
  const { spec } = monitor
  const empty = emptyForm()
  return {
    ...empty,
    name: monitor.name,
    namespace: monitor.namespace,
    group: monitor.group === 'default' ? '' : monitor.group,
    interval: spec.interval ?? empty.interval,
    type: typeOfSpec(spec),
    rule: spec.rule ?? '',
    suspend: spec.suspend ?? false,
    http: {
      ...empty.http,
      ...given(spec.http),
      headers: (spec.http?.headers ?? []).map(({ name, value }) => ({ name, value: value ?? '' })),
    } as FormValues['http'],
    tcp: { ...empty.tcp, ...given(spec.tcp) },
    ping: { ...empty.ping, ...given(spec.ping) },
    dns: { ...empty.dns, ...given(spec.dns) },
  }
}

/** Leaves out what is empty: the server fills in its defaults. */
function filled<T extends object>(part: T): Partial<T> {
  return Object.fromEntries(Object.entries(part).filter(([, value]) => value !== '')) as Partial<T>
}

/** The spec that the form describes; what the form does not know is kept from `base`. */
export function specOfForm(values: FormValues, base?: MonitorSpec): MonitorSpec {
  const { http: _h, tcp: _t, ping: _p, dns: _d, rule: _r, group: _g, ...kept } = base ?? { interval: '' }
  const spec: MonitorSpec = {
    ...kept,
    interval: values.interval.trim(),
    suspend: values.suspend,
  }
  if (values.name.trim()) spec.displayName = values.name.trim()
  else delete spec.displayName
  if (values.group.trim()) spec.group = values.group.trim()
  if (values.rule.trim()) spec.rule = values.rule.trim()
  const { type } = values
  if (type === 'http') {
    const headers = values.http.headers.filter((header) => header.name.trim() !== '' || header.value !== '')
    const { headers: _all, ...rest } = values.http
    spec.http = { ...filled(rest), url: rest.url.trim(), ...(headers.length > 0 && { headers }) }
  }
  if (type === 'tcp') spec.tcp = { ...filled(values.tcp), address: values.tcp.address.trim() }
  if (type === 'ping') {
    const { count, ...rest } = values.ping
    spec.ping = { ...filled(rest), host: rest.host.trim(), ...(count !== '' && { count }) }
  }
  if (type === 'dns') spec.dns = { ...filled(values.dns), name: values.dns.name.trim() }
  return spec
}

const SECOND = 1000
const DAY = 86_400_000

/** What can be said without the server: whatever is missing, and durations that are none. */
export function checkForm(values: FormValues): Record<string, string> {
  const faults: Record<string, string> = {}
  const note = (field: string, fault: string | undefined) => {
    if (fault) faults[field] = fault
  }
  if (!values.name.trim()) note('name', 'Give the monitor a name.')
  note(
    'interval',
    values.interval.trim() ? durationFault(values.interval.trim(), SECOND, DAY) : 'Say how often it runs.',
  )
  const { type } = values
  const timeout = values[type].timeout.trim()
  if (timeout) note(`${type}.timeout`, durationFault(timeout, 1, 60 * SECOND))
  const target = { http: values.http.url, tcp: values.tcp.address, ping: values.ping.host, dns: values.dns.name }[type]
  if (!target.trim()) note(TARGET_FIELD[type], TARGET_MISSING[type])
  else if (type === 'http' && !/^https?:\/\/[^/\s?#]/i.test(target.trim()))
    note('http.url', 'Write an absolute URL that starts with http:// or https://.')
  else if (type === 'tcp' && !/:\d{1,5}$/.test(target.trim()))
    note('tcp.address', 'Write host:port, an IPv6 address in brackets: [2001:db8::1]:443.')
  if (type === 'ping' && values.ping.interval.trim())
    note('ping.interval', durationFault(values.ping.interval.trim(), 100, 60 * SECOND))
  return faults
}

const TARGET_MISSING: Record<ProbeType, string> = {
  http: 'Which URL is requested?',
  tcp: 'Which host and port are connected to?',
  ping: 'Which host is pinged?',
  dns: 'Which name is looked up?',
}

/** The form's field for an API field such as `spec.http.headers[0].value`; undefined if it has none. */
export function formField(apiField: string, type: ProbeType): string | undefined {
  const path = apiField.replace(/^spec\./, '').replace(/\[(\d+)\]/g, '.$1')
  if (path === 'displayName' || path === 'metadata.name') return 'name'
  if (path === 'target') return TARGET_FIELD[type]
  if (['name', 'namespace', 'group', 'interval', 'rule', 'suspend', 'type'].includes(path)) return path
  return /^(http|tcp|ping|dns)\.\w/.test(path) ? path : undefined
}

/** Guesses the field from the reference's sentence, for answers without `errors`. */
function fieldOfSentence(sentence: string): string | undefined {
  if (/\brule\b/.test(sentence)) return 'rule'
  const word = /\b(name|interval|target|type|group)\b/.exec(sentence)
  return word?.[1]
}

/** Sorts a refusal into faults at fields and what is left for the top of the form. */
export function placeRefusal(
  refusal: { message: string; fields: { field: string; message: string }[] },
  type: ProbeType,
): { fields: Record<string, string>; rest: string[] } {
  const fields: Record<string, string> = {}
  const rest: string[] = []
  for (const { field, message } of refusal.fields) {
    const at = formField(field, type)
    if (at) fields[at] ??= message
    else rest.push(`${field}: ${message}`)
  }
  if (refusal.fields.length === 0) {
    const guess = fieldOfSentence(refusal.message)
    const at = guess && formField(guess, type)
    if (at) fields[at] = refusal.message
    else rest.push(refusal.message)
  }
  return { fields, rest }
}

/** The object name that the API makes of a name: lower case, words joined by hyphens. */
export function slugOf(name: string): string {
  return name
    .normalize('NFKD')
    .replace(/[\u0300-\u036f]/g, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 63)
    .replace(/-+$/, '')
}
