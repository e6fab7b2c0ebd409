import { describe, expect, it } from 'vitest'

import type { MonitorSpec } from '@/api/types'

import { checkForm, emptyForm, formField, formOfMonitor, placeRefusal, slugOf, specOfForm } from './monitor-form'
import { TEMPLATES } from './templates'
import { makeMonitor } from './testing'

describe('specOfForm', () => {
  it('leaves defaults to the server', () => {
    const form = emptyForm()
    form.name = ' Shop '
    form.type = 'tcp'
    form.tcp.address = ' db:5432 '
    expect(specOfForm(form)).toEqual({
      displayName: 'Shop',
      interval: '30s',
      suspend: false,
      tcp: { address: 'db:5432' },
    })
  })
  it('drops headers that are empty and keeps the others', () => {
    const form = emptyForm()
    form.http.url = 'http://a/'
    form.http.headers = [
      { name: 'Accept', value: '*/*' },
      { name: '', value: '' },
    ]
    expect(specOfForm(form).http?.headers).toEqual([{ name: 'Accept', value: '*/*' }])
  })
  it('keeps what the form does not know and replaces the target', () => {
    const base = { interval: '10s', runnerPools: ['edge'], http: { url: 'http://old/' }, rule: 'status == 200' }
    const form = emptyForm()
    form.type = 'ping'
    form.ping.host = 'a'
    const spec = specOfForm(form, base)
    expect(spec.runnerPools).toEqual(['edge'])
    expect(spec.http).toBeUndefined()
    expect(spec.rule).toBeUndefined()
    expect(spec.ping).toEqual({ host: 'a' })
  })
})

it('a stored monitor survives the way through the form', () => {
  const spec: MonitorSpec = {
    displayName: 'Zone',
    group: 'dns',
    interval: '1m30s',
    suspend: true,
    dns: { name: 'a.example', recordType: 'MX', server: '[::1]:5353', network: 'ip6', timeout: '2s' },
    rule: 'resultCount > 0',
    runnerPools: ['default'],
  }
  const monitor = makeMonitor({ name: 'Zone', type: 'dns', group: 'dns', spec })
  expect(specOfForm(formOfMonitor(monitor), monitor.spec)).toEqual(spec)
})

describe('checkForm', () => {
  it('asks for what is missing', () => {
    expect(Object.keys(checkForm(emptyForm())).toSorted()).toEqual(['http.url', 'name'])
  })
  it('looks at the chosen type only', () => {
    const form = emptyForm()
    Object.assign(form, { name: 'a', type: 'ping', interval: '1ms' })
    form.ping = { host: 'h', count: '', interval: '10ms', timeout: '2m' }
    expect(Object.keys(checkForm(form)).toSorted()).toEqual(['interval', 'ping.interval', 'ping.timeout'])
  })
})

describe('formField', () => {
  it.each([
    ['spec.http.url', 'http.url'],
    ['http.headers[2].value', 'http.headers.2.value'],
    ['spec.interval', 'interval'],
    ['displayName', 'name'],
    ['target', 'tcp.address'],
    ['runnerPools[0]', undefined],
  ])('%s → %s', (field, at) => {
    expect(formField(field, 'tcp')).toBe(at)
  })
})

describe('placeRefusal', () => {
  it('puts faults at their fields and the others on top', () => {
    const placed = placeRefusal(
      {
        message: 'invalid',
        fields: [
          { field: 'spec.http.url', message: 'no host' },
          { field: 'runnerPools', message: 'unknown pool' },
        ],
      },
      'http',
    )
    expect(placed).toEqual({ fields: { 'http.url': 'no host' }, rest: ['runnerPools: unknown pool'] })
  })
  it('understands the sentences of the reference', () => {
    const at = (message: string) => Object.keys(placeRefusal({ message, fields: [] }, 'dns').fields)
    expect(at('missing monitor target')).toEqual(['dns.name'])
    expect(at('invalid monitor interval')).toEqual(['interval'])
    expect(at('rule invalid: no such name')).toEqual(['rule'])
    expect(placeRefusal({ message: 'disk full', fields: [] }, 'dns').rest).toEqual(['disk full'])
  })
})

it('makes object names', () => {
  expect(slugOf('Shop: Ünïcode  page!')).toBe('shop-unicode-page')
  expect(slugOf('…')).toBe('')
  expect(slugOf('a'.repeat(80))).toHaveLength(63)
})

it('every template is complete but for name and target', () => {
  for (const template of TEMPLATES) {
    const faults = checkForm({ ...template.values(), name: 'x' })
    expect(Object.keys(faults), template.key).toHaveLength(1)
  }
})
