import uPlot from 'uplot'

import { PHASES, timeLabels, type ChartData, type Phase } from '@/lib/chart-data'
import { cssColor, withAlpha } from '@/lib/css-color'
import { formatMs } from '@/lib/format'
import type { ChartMode } from '@/lib/page-search'

export const PHASE_TOKENS: Record<Phase, string> = {
  dns: '--nm-phase-dns',
  connect: '--nm-phase-connect',
  tls: '--nm-phase-tls',
  firstByte: '--nm-phase-first-byte',
  transfer: '--nm-phase-transfer',
}

/** The columns in the order of the series that {@link chartOptions} makes. */
export function chartColumns(data: ChartData, mode: ChartMode): uPlot.AlignedData {
  if (mode === 'phases' && data.stack) {
    const { stack } = data
    return [data.xs, ...PHASES.toReversed().map((phase) => stack[phase])]
  }
  return [data.xs, data.max, data.avg, data.min]
}

/** Paints a strip under the plot where runs went wrong, and a tint above it. */
function troublePlugin(host: HTMLElement, current: () => ChartData): uPlot.Plugin {
  const failed = cssColor(host, '--nm-failed')
  const error = cssColor(host, '--nm-error')
  const paint = (plot: uPlot, share: number, alpha: number) => {
    const { xs, points, width } = current()
    const { ctx } = plot
    const { left, top, width: wide, height } = plot.bbox
    const tall = share > 0 ? height * share : 4 * devicePixelRatio
    ctx.save()
    ctx.beginPath()
    ctx.rect(left, top, wide, height)
    ctx.clip()
    points.forEach((point, index) => {
      const color = point && (point.failed > 0 ? failed : point.error > 0 ? error : undefined)
      const x = xs[index]
      if (!color || x === undefined) return
      const from = plot.valToPos(x, 'x', true)
      const to = Math.max(plot.valToPos(x + width, 'x', true), from + 2 * devicePixelRatio)
      ctx.fillStyle = withAlpha(color, alpha)
      ctx.fillRect(from, top + height - tall, to - from, tall)
    })
    ctx.restore()
  }
  return { hooks: { drawClear: (plot) => paint(plot, 1, 0.1), draw: (plot) => paint(plot, 0, 1) } }
}

/** Everything uPlot needs to draw; colours are those of the scheme at this moment. */
export function chartOptions(
  host: HTMLElement,
  mode: ChartMode,
  size: { width: number; height: number },
  current: () => ChartData,
  hooks: { onHover: (index: number | null, left: number) => void; onZoom: (from: number, to: number) => void },
): uPlot.Options {
  const muted = cssColor(host, '--nm-muted')
  const line = cssColor(host, '--nm-line')
  const font = '12px "Inter Variable", system-ui, sans-serif'
  const axis = { stroke: muted, font, ticks: { show: false }, grid: { stroke: line, width: 1 } }
  return {
    ...size,
    padding: [10, 12, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      drag: { x: true, y: false, setScale: false },
      points: { show: mode === 'total', size: 7 },
    },
    scales: { x: { time: true }, y: { range: (_plot, _min, max) => [0, Math.max(max * 1.12, 1)] } },
    axes: [
      {
        ...axis,
        size: 30,
        grid: { show: false },
        values: (_plot, ticks, _axis, _space, incr) => timeLabels(ticks, incr),
      },
      { ...axis, size: 62, values: (_plot, ticks) => ticks.map((tick) => (tick === 0 ? '0' : formatTick(tick))) },
    ],
    ...(mode === 'phases' ? phaseSeries(host) : totalSeries(host)),
    plugins: [troublePlugin(host, current)],
    hooks: {
      setCursor: [(plot) => hooks.onHover(plot.cursor.idx ?? null, plot.cursor.left ?? -1)],
      setSelect: [
        (plot) => {
          if (plot.select.width < 4) return
          const from = plot.posToVal(plot.select.left, 'x') * 1000
          const to = plot.posToVal(plot.select.left + plot.select.width, 'x') * 1000
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
          if (to - from >= 1000) hooks.onZoom(Math.round(from), Math.round(to))
        },
      ],
    },
  }
}

function formatTick(ms: number): string {
  return formatMs(ms).replace(/\.0+ /, ' ')
}

function totalSeries(host: HTMLElement): Pick<uPlot.Options, 'series' | 'bands'> {
  const blue = cssColor(host, '--nm-series')
  const edge = { stroke: 'transparent', width: 0, points: { show: false } }
  return {
    series: [{}, edge, { stroke: blue, width: 1.75, points: { show: false } }, edge],
    bands: [{ series: [1, 3], fill: withAlpha(blue, 0.15) }],
  }
}

function phaseSeries(host: HTMLElement): Pick<uPlot.Options, 'series' | 'bands'> {
  const colors = PHASES.toReversed().map((phase) => cssColor(host, PHASE_TOKENS[phase]))
  const last = colors.length - 1
  return {
    series: [
      {},
      ...colors.map((color, index) => ({
        stroke: color,
        width: 1.25,
        points: { show: false },
        ...(index === last && { fill: withAlpha(color, 0.42) }),
      })),
    ],
    bands: colors.slice(0, last).map((color, index) => ({
      series: [index + 1, index + 2] as [number, number],
      fill: withAlpha(color, 0.42),
    })),
  }
}
