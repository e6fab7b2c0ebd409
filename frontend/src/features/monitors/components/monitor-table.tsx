import { useMediaQuery } from '@mantine/hooks'
import { IconArrowDown, IconArrowUp } from '@tabler/icons-react'
import { useWindowVirtualizer } from '@tanstack/react-virtual'
import { useLayoutEffect, useRef, useState } from 'react'

import type { ListRow, Sort } from '@/lib/monitor-list'

import { GroupHead } from './group-head'
import { MonitorRow } from './monitor-row'
import classes from './monitor-table.module.css'

const COLUMNS: { key: string; label: string; sort?: Sort; className: string | undefined }[] = [
  { key: 'state', label: 'State', sort: 'state', className: classes.state },
  { key: 'name', label: 'Monitor', sort: 'name', className: classes.name },
  { key: 'group', label: 'Group', className: classes.group },
  { key: 'history', label: 'Last hour', className: classes.history },
  { key: 'value', label: 'Value', sort: 'value', className: classes.value },
  { key: 'since', label: 'Since', sort: 'since', className: classes.since },
  { key: 'checked', label: 'Checked', sort: 'checked', className: classes.checked },
]

const HEAD_HEIGHT = 38

/** The monitors as a table that draws only the rows in sight. */
export function MonitorTable({
  rows,
  sort,
  desc,
  onSort,
}: {
  rows: ListRow[]
  sort: Sort
  desc: boolean
  onSort: (sort: Sort, desc: boolean) => void
}) {
  const phone = useMediaQuery('(max-width: 48em)', undefined, { getInitialValueInEffect: false }) ?? false
  const body = useRef<HTMLDivElement>(null)
  const [offset, setOffset] = useState(0)
  const height = phone ? 74 : 54
  useLayoutEffect(() => {
    if (body.current) setOffset(body.current.getBoundingClientRect().top + window.scrollY)
    // oxlint-disable-next-line react/exhaustive-effect-dependencies -- the phone's layout moves the table
  }, [phone])

  const virtual = useWindowVirtualizer({
    count: rows.length,
    estimateSize: (index) => (rows[index]?.kind === 'head' ? HEAD_HEIGHT : height),
    getItemKey: (index) => rows[index]?.key ?? index,
    overscan: 12,
    scrollMargin: offset,
  })
  // Row heights depend on the window's width and on the kind of row behind an index.
  // oxlint-disable-next-line react/exhaustive-effect-dependencies -- they are what the heights depend on
  useLayoutEffect(() => virtual.measure(), [virtual, height, rows])

  return (
    <div className={classes.root} role="table" aria-label="Monitors" aria-rowcount={rows.length + 1}>
      <div role="rowgroup">
        <div className={classes.head} role="row" aria-rowindex={1}>
          {COLUMNS.map(({ key, label, sort: by, className }) => (
            <div
              key={key}
              role="columnheader"
              className={className}
              {...(by && { 'aria-sort': sort === by ? (desc ? 'descending' : 'ascending') : 'none' })}
            >
              {by ? (
                <button type="button" className={classes.sort} onClick={() => onSort(by, sort === by ? !desc : false)}>
                  {label}
                  {sort === by && (desc ? <IconArrowDown size={13} /> : <IconArrowUp size={13} />)}
                </button>
              ) : (
                label
              )}
            </div>
          ))}
        </div>
      </div>
      <div ref={body} role="rowgroup" style={{ position: 'relative', height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((item) => {
          const row = rows[item.index]
          if (!row) return null
          return (
            <div
              key={item.key}
              role="row"
              aria-rowindex={item.index + 2}
              className={classes.slot}
              style={{ height: item.size, transform: `translateY(${item.start - offset}px)` }}
            >
              {row.kind === 'head' ? (
                <GroupHead title={row.title} counts={row.counts} total={row.total} />
              ) : (
                <MonitorRow monitor={row.monitor} scrolling={virtual.isScrolling} />
              )}
            </div>
          )
        })}
      </div>
    </div>
  )
}
