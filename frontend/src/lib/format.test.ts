import { describe, expect, it } from 'vitest'

import { formatAge, formatBytes, formatCount, formatMs, formatShare } from './format'

describe('formatMs', () => {
  it.each([
    [0.4213, '0.42 ms'],
    [8.44, '8.4 ms'],
    [218.4, '218 ms'],
    [1420, '1.42 s'],
    [90_000, '1.5 min'],
    [null, '–'],
    [Number.NaN, '–'],
  ])('%s → %s', (ms, text) => {
    expect(formatMs(ms)).toBe(text)
  })
})

describe('formatShare', () => {
  it('never rounds an outage away', () => {
    expect(formatShare(0.9999999)).toBe('99.999 %')
    expect(formatShare(1)).toBe('100 %')
    expect(formatShare(0.98765)).toBe('98.76 %')
    expect(formatShare(0)).toBe('0.0 %')
    expect(formatShare(null)).toBe('–')
  })
})

describe('formatAge', () => {
  it.each([
    [0, '0s'],
    [8_400, '8s'],
    [252_000, '4m 12s'],
    [3_600_000, '1h'],
    [3_605_000, '1h'],
    [11_100_000, '3h 5m'],
    [1_051_200_000, '12d 4h'],
    [-5, '0s'],
  ])('%d ms → %s', (ms, text) => {
    expect(formatAge(ms)).toBe(text)
  })
})

it('writes counts and bytes', () => {
  expect(formatCount(12_345)).toBe('12\u202f345')
  expect(formatBytes(999)).toBe('999 B')
  expect(formatBytes(15_256)).toBe('15.3 kB')
})
