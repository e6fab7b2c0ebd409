import { describe, expect, it } from 'vitest'

import { durationFault, formatDuration, parseDuration } from './duration'

describe('parseDuration', () => {
  it.each([
    ['30s', 30_000],
    ['1m30s', 90_000],
    ['1.5h', 5_400_000],
    ['500ms', 500],
    ['.5s', 500],
    ['2us', 0.002],
    ['0', 0],
    ['+1s', 1000],
  ])('reads %s', (text, ms) => {
    expect(parseDuration(text)).toBeCloseTo(ms, 9)
  })
  it.each(['', '30', 's', '-1s', '1 s', '1d', '1s2', 'abc', '1..5s'])('refuses %j', (text) => {
    expect(parseDuration(text)).toBeUndefined()
  })
})

describe('durationFault', () => {
  it('names the bound that is broken', () => {
    expect(durationFault('500ms', 1000, 60_000)).toBe('At least 1s.')
    expect(durationFault('2m', 1000, 60_000)).toBe('At most 1m.')
    expect(durationFault('soon', 1000, 60_000)).toMatch(/duration such as/)
    expect(durationFault('1s', 1000, 60_000)).toBeUndefined()
  })
})

describe('formatDuration', () => {
  it.each([500, 1000, 90_000, 3_600_000, 86_400_000, 5_400_000])('is read back: %d', (ms) => {
    expect(parseDuration(formatDuration(ms))).toBe(ms)
  })
})
