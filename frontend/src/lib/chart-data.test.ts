import { describe, expect, it } from 'vitest'

import type { SeriesPoint } from '@/api/types'

import { binPoints } from './bins'
import { buildChart } from './chart-data'

const START = Date.parse('2026-01-01T00:00:00Z')
const point = (minute: number, part: Partial<SeriesPoint> = {}): SeriesPoint => ({
  t: new Date(START + minute * 60_000).toISOString(),
  n: 2,
  ok: 2,
  error: 0,
  failed: 0,
  avg: 10,
  ...part,
})

describe('buildChart', () => {
  it('breaks the line where buckets are missing', () => {
    const chart = buildChart({ bucketSeconds: 60, points: [point(0), point(1), point(5)] }, 30_000)
    expect(chart.avg).toEqual([10, 10, null, 10])
    expect(chart.xs.toSorted((a, b) => a - b)).toEqual(chart.xs)
  })
  it('takes the interval as width of raw points, and forgives one missed run', () => {
    const chart = buildChart({ bucketSeconds: 0, points: [point(0), point(2), point(5)] }, 60_000)
    expect(chart.avg).toEqual([10, 10, null, 10])
    expect(chart.width).toBe(60)
  })
  it('stacks phases and leaves failed runs out', () => {
    const chart = buildChart(
      {
        bucketSeconds: 60,
        points: [point(0, { dns: 1, connect: 2, firstByte: 4 }), point(1, { avg: undefined, failed: 2, ok: 0 })],
      },
      60_000,
    )
    expect(chart.phases).toEqual(['dns', 'connect', 'firstByte'])
    expect(chart.stack?.connect).toEqual([3, null])
    expect(chart.stack?.transfer).toEqual([7, null])
  })
  it('has no stack without phases', () => {
    expect(buildChart({ bucketSeconds: 60, points: [point(0)] }, 60_000).stack).toBeUndefined()
  })
})

describe('binPoints', () => {
  it('lets the worst state win and weighs averages by runs', () => {
    const bins = binPoints(
      [
        point(0, { n: 3, avg: 10 }),
        point(1, { n: 1, avg: 50 }),
        point(2, { error: 1 }),
        point(3, { failed: 1, error: 1 }),
      ],
      START,
      START + 10 * 60_000,
      5,
    )
    expect(bins[0]).toEqual({ state: 'OK', avg: 20, runs: 4 })
    expect(bins[1]?.state).toBe('Failed')
    expect(bins[4]).toEqual({ runs: 0 })
  })
  it('ignores what lies outside', () => {
    const bins = binPoints([point(-1), point(10)], START, START + 10 * 60_000, 5)
    expect(bins.every((bin) => bin.runs === 0)).toBe(true)
  })
})
