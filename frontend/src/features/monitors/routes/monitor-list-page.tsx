import { Button, Skeleton } from '@mantine/core'
import { IconPlus } from '@tabler/icons-react'
import { getRouteApi, Link } from '@tanstack/react-router'
import { useCallback, useMemo } from 'react'

import { Guarded } from '@/components/ui/guarded'
import { Page } from '@/components/ui/page'
import { ProblemNote } from '@/components/ui/problem-note'
import { formatCount } from '@/lib/format'
import {
  buildRows,
  countStates,
  distinct,
  isFiltered,
  matchIgnoringState,
  sortMonitors,
  type ListSearch,
} from '@/lib/monitor-list'
import { writeBlock } from '@/lib/permissions'

import { useMonitors } from '../api/get-monitors'
import { NoMonitors, NothingMatches } from '../components/empty-list'
import { ListToolbar } from '../components/list-toolbar'
import { MonitorTable } from '../components/monitor-table'
import { SummaryTiles } from '../components/summary-tiles'

const route = getRouteApi('/')

/** All monitors with their live state. */
export function MonitorListPage() {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const { data, error, refetch } = useMonitors()

  const change = useCallback(
    (part: Partial<ListSearch>) => {
      void navigate({ search: (before) => ({ ...before, ...part }), replace: true, resetScroll: false })
    },
    [navigate],
  )

  const all = useMemo(() => data ?? [], [data])
  const { q, type, group, ns, state, by, sort = 'state', desc = false } = search
  const matching = useMemo(() => matchIgnoringState(all, { q, type, group, ns }), [all, q, type, group, ns])
  const shown = useMemo(
    () => (state ? matching.filter((monitor) => monitor.state.status === state) : matching),
    [matching, state],
  )
  const rows = useMemo(() => buildRows(sortMonitors(shown, sort, desc), by), [shown, sort, desc, by])
  const groups = useMemo(() => distinct(all, 'group'), [all])
  const namespaces = useMemo(() => distinct(all, 'namespace'), [all])

  const blocked = writeBlock()
  const create = (
    <Guarded blocked={blocked}>
      <Button
        leftSection={<IconPlus size={16} />}
        disabled={Boolean(blocked)}
        {...(!blocked && { renderRoot: (props: object) => <Link to="/monitors/new" {...props} /> })}
      >
        New monitor
      </Button>
    </Guarded>
  )

  return (
    <Page title="Monitors" lead={data && summary(all.length, shown.length, search)} actions={create}>
      {error && !data && (
        <ProblemNote title="The monitors could not be loaded" error={error} retry={() => void refetch()} />
      )}
      {!data && !error && <ListSkeleton />}
      {data && data.length === 0 && <NoMonitors />}
      {data && data.length > 0 && (
        <>
          <SummaryTiles counts={countStates(matching)} selected={state} onSelect={(next) => change({ state: next })} />
          <ListToolbar search={search} groups={groups} namespaces={namespaces} onChange={change} />
          {rows.length === 0 ? (
            <NothingMatches
              onClear={() =>
                change({ q: undefined, state: undefined, type: undefined, group: undefined, ns: undefined })
              }
            />
          ) : (
            <MonitorTable
              rows={rows}
              sort={sort}
              desc={desc}
              onSort={(next, down) =>
                change({ sort: next === 'state' ? undefined : next, desc: down ? true : undefined })
              }
            />
          )}
        </>
      )}
    </Page>
  )
}

function summary(total: number, shown: number, search: ListSearch): string {
  const noun = total === 1 ? 'monitor' : 'monitors'
  return isFiltered(search) ? `${formatCount(shown)} of ${formatCount(total)} ${noun}` : `${formatCount(total)} ${noun}`
}

function ListSkeleton() {
  return (
    <div aria-busy="true" aria-label="Loading the monitors" role="status">
      <Skeleton height={84} radius={10} mb={18} />
      <Skeleton height={36} width="45%" radius={8} mb={12} />
      <Skeleton height={360} radius={10} />
    </div>
  )
}
