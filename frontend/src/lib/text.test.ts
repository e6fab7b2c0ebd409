import { describe, expect, it } from 'vitest'

import { viewOutputs } from './outputs'
import { readFormSearch, readMonitorSearch } from './page-search'
import { reasonWords, resultState, stateSentence } from './status'
import { tokenizeYamlLine } from './yaml-tokens'

describe('states', () => {
  it('names results', () => {
    expect([0, 1, 2].map((status) => resultState({ status }))).toEqual(['OK', 'Error', 'Failed'])
    expect(resultState({ status: 2, unknown: true })).toBe('Unknown')
  })
  it('has words for reasons it does not know', () => {
    expect(reasonWords('connect_refused')).toBe('Connection refused')
    expect(reasonWords('quantum_flux')).toBe('Quantum flux')
    expect(reasonWords('ok')).toBe('')
  })
  it('says nothing while all is well', () => {
    expect(stateSentence({ status: 'OK', pools: [], message: 'x' })).toBe('')
    expect(stateSentence({ status: 'Failed', pools: [], reason: 'timeout' })).toBe('Timeout.')
  })
})

it('orders outputs as people read them', () => {
  const names = viewOutputs({ result10: 'j', result2: 'b', respTime: 4.2, resultCount: 2 }).map((row) => row.name)
  expect(names).toEqual(['respTime', 'resultCount', 'result2', 'result10'])
})

describe('page searches', () => {
  it('takes a window only if both ends make sense', () => {
    expect(readMonitorSearch({ from: '1767225600000', to: 1767229200000 })).toEqual({
      from: 1767225600000,
      to: 1767229200000,
    })
    expect(readMonitorSearch({ from: 10, to: 5, range: '7d', tab: 'nope' })).toEqual({ range: '7d' })
  })
  it('takes a clone only by id', () => {
    expect(readFormSearch({ clone: '7', type: 'dns' })).toEqual({ clone: 7, type: 'dns' })
    expect(readFormSearch({ clone: '<b>' })).toEqual({})
  })
})

describe('tokenizeYamlLine', () => {
  it.each(['  - {name: a, value: b}', 'spec:', "  rule: 'a: b' # c", '# note', '', '  url: https://a/b?c=d', 'x y'])(
    'loses nothing of %j',
    (line) => {
      expect(
        tokenizeYamlLine(line)
          .map((token) => token.text)
          .join(''),
      ).toBe(line)
    },
  )
  it('tells keys from values', () => {
    expect(tokenizeYamlLine('  interval: 30').map((token) => token.kind)).toEqual(['mark', 'key', 'mark', 'number'])
  })
})
