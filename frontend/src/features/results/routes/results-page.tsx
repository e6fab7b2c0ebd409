import { Button, SegmentedControl, Skeleton, TextInput } from '@mantine/core'
import { IconListDetails, IconPlayerPause, IconPlayerPlay, IconSearch } from '@tabler/icons-react'
import { getRouteApi, Link } from '@tanstack/react-router'
import { useMemo, useState } from 'react'

import type { Result, StateWord } from '@/api/types'
import { EmptyState } from '@/components/ui/empty-state'
import { Page } from '@/components/ui/page'
import { Panel } from '@/components/ui/panel'
import { ProblemNote } from '@/components/ui/problem-note'
import { ResultsTable } from '@/components/ui/results-table'
import type { ResultsSearch } from '@/lib/page-search'
import { resultState, STATE_TEXT } from '@/lib/status'

import { useLatestResults } from '../api/get-latest-results'
import classes from './results-page.module.css'

const route = getRouteApi('/results')
const MAX = 200
const CHOICES: (StateWord | 'all')[] = ['all', 'OK', 'Error', 'Failed']

function drawMonitor(result: Result) {
  return (
    <div className={classes.monitor}>
      <Link to="/monitors/$id" params={{ id: String(result.monitor_id) }} preload={false} title={result.monitor_name}>
        {result.monitor_name}
      </Link>
      <span title={result.monitor_target}>{result.monitor_target}</span>
    </div>
  )
}

/** The newest results over all monitors. */
export function ResultsPage() {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const [live, setLive] = useState(true)
  const { data, error, refetch } = useLatestResults(MAX, live)
  const change = (part: Partial<ResultsSearch>) => {
    void navigate({ search: (before) => ({ ...before, ...part }), replace: true, resetScroll: false })
  }
  const shown = useMemo(() => {
    const words = (search.q ?? '').toLowerCase().split(/\s+/).filter(Boolean)
    return (data ?? []).filter(
      (result) =>
        (!search.state || resultState(result) === search.state) &&
        words.every((word) => `${result.monitor_name}\n${result.monitor_target}`.toLowerCase().includes(word)),
    )
  }, [data, search.q, search.state])

  return (
    <Page
      title="Results"
      lead={`The newest ${MAX} results of all monitors`}
      actions={
        <Button
          variant="default"
          leftSection={live ? <IconPlayerPause size={15} /> : <IconPlayerPlay size={15} />}
          onClick={() => setLive(!live)}
          aria-pressed={!live}
        >
          {live ? 'Hold' : 'Go on'}
        </Button>
      }
    >
      <div className={classes.bar}>
        <TextInput
          className={classes.search}
          placeholder="Search monitor or target…"
          aria-label="Search results"
          leftSection={<IconSearch size={15} />}
          value={search.q ?? ''}
          onChange={(event) => change({ q: event.currentTarget.value || undefined })}
        />
        <SegmentedControl
          size="xs"
          aria-label="State"
          data={CHOICES.map((value) => ({ value, label: value === 'all' ? 'All' : STATE_TEXT[value].label }))}
          value={search.state ?? 'all'}
          onChange={(value) => change({ state: value === 'all' ? undefined : (value as StateWord) })}
        />
      </div>
      {error && !data && (
        <ProblemNote title="The results could not be loaded" error={error} retry={() => void refetch()} />
      )}
      {!data && !error && <Skeleton height={420} radius={10} />}
      {data && (
        <Panel flush>
          {shown.length > 0 ? (
            <ResultsTable results={shown} monitorCell={drawMonitor} />
          ) : (
            <EmptyState
              icon={<IconListDetails size={22} />}
              title={data.length === 0 ? 'No results yet' : 'No result matches'}
            >
              <p>
                {data.length === 0
                  ? 'As soon as a monitor has run, what it found appears here.'
                  : 'Only the newest results are searched; a monitor’s own page shows more of them.'}
              </p>
            </EmptyState>
          )}
        </Panel>
      )}
    </Page>
  )
}
