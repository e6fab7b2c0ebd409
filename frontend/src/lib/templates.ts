import { emptyForm, type FormValues } from '@/lib/monitor-form'

export interface Template {
  key: string
  title: string
  help: string
  values: () => FormValues
}

function form(part: Partial<FormValues>): FormValues {
  return { ...emptyForm(), ...part }
}

/** Starting points for what people monitor most. */
export const TEMPLATES: Template[] = [
  {
    key: 'website',
    title: 'Website',
    help: 'A page answers with success, fast enough',
    values: () => form({ type: 'http', rule: 'status >= 200 && status < 400 && respTime < 2000' }),
  },
  {
    key: 'health',
    title: 'Health endpoint',
    help: 'An API says that it is well',
    values: () => {
      const values = form({ type: 'http', interval: '15s', rule: "status == 200 && body =~ 'ok'" })
      values.http.headers = [{ name: 'Accept', value: 'application/json' }]
      return values
    },
  },
  {
    key: 'certificate',
    title: 'Certificate',
    help: 'Warn three weeks before it expires',
    values: () => form({ type: 'http', interval: '1h', rule: 'certExpiryDays > 21' }),
  },
  {
    key: 'version',
    title: 'Text on a page',
    help: 'Find a value in the answer and compare it',
    values: () => {
      const values = form({ type: 'http', rule: 'regexMatch >= 2' })
      values.http.bodyRegex = 'version (\\d+)'
      return values
    },
  },
  {
    key: 'port',
    title: 'TCP port',
    help: 'A database or broker takes connections',
    values: () => form({ type: 'tcp', interval: '10s', rule: 'respTime < 500' }),
  },
  {
    key: 'host',
    title: 'Host by ping',
    help: 'A machine replies without loss',
    values: () => form({ type: 'ping', interval: '10s', rule: 'packetLoss == 0' }),
  },
  {
    key: 'record',
    title: 'DNS record',
    help: 'A name resolves to what it should',
    values: () => form({ type: 'dns', interval: '1m', rule: "'192.0.2.10' IN (result1, result2)" }),
  },
]
