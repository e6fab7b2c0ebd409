import 'uplot/dist/uPlot.min.css'

import { useElementSize } from '@mantine/hooks'
import { useEffect, useRef, useState } from 'react'
import uPlot from 'uplot'

import { type ChartData } from '@/lib/chart-data'
import type { ChartMode } from '@/lib/page-search'

import { chartColumns, chartOptions } from './chart-options'
import { ChartTip } from './chart-tip'
import classes from './response-chart.module.css'

const HEIGHT = 268

/** The response time over time; dragging over it zooms. Key it by the colour scheme: colours are read once. */
export function ResponseChart({
  data,
  mode,
  from,
  to,
  label,
  onZoom,
}: {
  data: ChartData
  mode: ChartMode
  /** The window in milliseconds: the axis shows all of it, measured or not. */
  from: number
  to: number
  label: string
  onZoom: (from: number, to: number) => void
}) {
  const { ref: frame, width } = useElementSize()
  const host = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | null>(null)
  const latest = useRef({ data, onZoom })
  const [hover, setHover] = useState<{ index: number; left: number } | null>(null)

  useEffect(() => {
    latest.current = { data, onZoom }
  })

  useEffect(() => {
    const element = host.current
    if (!element) return
    const options = chartOptions(
      element,
      mode,
      { width: element.clientWidth || 600, height: HEIGHT },
      () => latest.current.data,
      {
        onHover: (index, left) => setHover(index === null || left < 0 ? null : { index, left }),
        onZoom: (start, end) => latest.current.onZoom(start, end),
      },
    )
    const made = new uPlot(options, [[]], element)
    plot.current = made
    return () => {
      made.destroy()
      plot.current = null
      setHover(null)
    }
  }, [mode])

  useEffect(() => {
    plot.current?.batch(() => {
      plot.current?.setData(chartColumns(data, mode), true)
      plot.current?.setScale('x', { min: from / 1000, max: to / 1000 })
    })
  }, [data, mode, from, to])

  useEffect(() => {
    if (width > 0) plot.current?.setSize({ width, height: HEIGHT })
  }, [width])

  const shown = hover && data.points[hover.index]
  return (
    <div ref={frame} className={classes.frame} role="img" aria-label={label}>
      <div ref={host} className={classes.host} />
      {shown && <ChartTip point={shown} width={data.width} left={hover.left + 62} room={width} />}
    </div>
  )
}
