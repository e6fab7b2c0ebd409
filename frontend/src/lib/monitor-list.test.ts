import { describe, expect, it } from 'vitest'

import { buildRows, countStates, matchIgnoringState, readListSearch, sortMonitors } from './monitor-list'
import { makeMonitor } from './testing'

const shop = makeMonitor({ name: 'Shop home', group: 'web', namespace: 'shop', target: 'https://shop.example/' })
const db = makeMonitor({ name: 'Orders 10', type: 'tcp', group: 'data', namespace: 'data', status: 'Failed' })
const db2 = makeMonitor({ name: 'Orders 9', type: 'tcp', group: 'data', namespace: 'data', status: 'Error' })
const all = [shop, db, db2]

describe('readListSearch', () => {
  it('keeps what it understands and drops the rest', () => {
    expect(
      readListSearch({ q: 'a', state: 'Failed', type: 'smtp', by: 'group', sort: 'colour', desc: 'true', x: 1 }),
    ).toEqual({ q: 'a', state: 'Failed', by: 'group', desc: true })
  })
  it('takes a number that the URL parser made of a word', () => {
    expect(readListSearch({ q: 10, group: 7 })).toEqual({ q: '10', group: '7' })
  })
})

describe('matchIgnoringState', () => {
  it('wants every word, in any field, in any case', () => {
    expect(matchIgnoringState(all, { q: 'SHOP example' })).toEqual([shop])
    expect(matchIgnoringState(all, { q: 'orders data' })).toEqual([db, db2])
    expect(matchIgnoringState(all, { q: 'orders shop' })).toEqual([])
  })
  it('filters by type, group and namespace together', () => {
    expect(matchIgnoringState(all, { type: 'tcp', group: 'data', ns: 'data' })).toEqual([db, db2])
    expect(matchIgnoringState(all, { type: 'http', group: 'data' })).toEqual([])
  })
  it('leaves the state to the tiles', () => {
    expect(matchIgnoringState(all, { state: 'OK' })).toHaveLength(3)
  })
})

describe('sortMonitors', () => {
  const names = (list: typeof all) => list.map((monitor) => monitor.name)
  it('puts trouble first', () => {
    expect(names(sortMonitors(all))).toEqual(['Orders 10', 'Orders 9', 'Shop home'])
  })
  it('sorts names as people count', () => {
    expect(names(sortMonitors(all, 'name'))).toEqual(['Orders 9', 'Orders 10', 'Shop home'])
    expect(names(sortMonitors(all, 'name', true))).toEqual(['Shop home', 'Orders 10', 'Orders 9'])
  })
  it('does not touch its input', () => {
    sortMonitors(all, 'name')
    expect(all[0]).toBe(shop)
  })
})

describe('buildRows', () => {
  it('heads each group with its counts', () => {
    const rows = buildRows(sortMonitors(all), 'group')
    expect(rows.map((row) => (row.kind === 'head' ? `# ${row.title} ${row.total}` : row.monitor.name))).toEqual([
      '# data 2',
      'Orders 10',
      'Orders 9',
      '# web 1',
      'Shop home',
    ])
    const head = rows[0]
    expect(head?.kind === 'head' && head.counts).toMatchObject({ Failed: 1, Error: 1, OK: 0 })
  })
  it('has unique keys', () => {
    const keys = buildRows(all, 'state').map((row) => row.key)
    expect(new Set(keys).size).toBe(keys.length)
  })
})

it('counts states', () => {
  expect(countStates(all)).toEqual({ OK: 1, Error: 1, Failed: 1, Unknown: 0, Paused: 0 })
})

it('stays fast with ten thousand', () => {
  const many = Array.from({ length: 10_000 }, (_, n) => makeMonitor({ name: `svc ${n}`, group: `g${n % 50}` }))
  const start = performance.now()
  buildRows(sortMonitors(matchIgnoringState(many, { q: 'svc 9' })), 'group')
  expect(performance.now() - start).toBeLessThan(400)
})
