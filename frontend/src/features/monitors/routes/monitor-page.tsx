import { CloseButton, Skeleton, Tabs } from '@mantine/core'
import { notifications } from '@mantine/notifications'
import { getRouteApi } from '@tanstack/react-router'
import { useState } from 'react'

import { ApiError, errorSentence } from '@/api/problem'
import { EmptyState } from '@/components/ui/empty-state'
import { Page } from '@/components/ui/page'
import pageClasses from '@/components/ui/page.module.css'
import { Panel } from '@/components/ui/panel'
import { ProblemNote } from '@/components/ui/problem-note'
import type { MonitorSearch, MonitorTab } from '@/lib/page-search'

import { useMonitor } from '../api/get-monitor'
import { useResults } from '../api/get-results'
import { useRunNow } from '../api/run-probe'
import { DetailsTab } from '../components/details-tab'
import { HistoryPanel } from '../components/history-panel'
import { ManifestTab } from '../components/manifest-tab'
import { MonitorActions } from '../components/monitor-actions'
import { MonitorHeader } from '../components/monitor-header'
import { ProbeOutcome } from '../components/probe-outcome'
import { FIRST_PAGE, ResultsTab } from '../components/results-tab'
import { StatStrip } from '../components/stat-strip'
import classes from './monitor-page.module.css'

const route = getRouteApi('/monitors/$id')

/** One monitor: state, uptime, history, results, manifest. */
export function MonitorPage() {
  const id = Number(route.useParams().id)
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const [max, setMax] = useState(FIRST_PAGE)
  const { data: monitor, error, refetch } = useMonitor(id)
  const results = useResults(id, max)
  const run = useRunNow()

  const change = (part: Partial<MonitorSearch>) => {
    void navigate({ search: (before) => ({ ...before, ...part }), replace: true, resetScroll: false })
  }

  if (!monitor) {
    if (!error) return <PageSkeleton />
    const gone = error instanceof ApiError && (error.status === 404 || error.status === 400)
    return (
      <Page title={gone ? 'No such monitor' : 'Monitor'}>
        {gone ? (
          <EmptyState title="This monitor does not exist">
            <p>It may have been deleted; its name may live on under a new number.</p>
          </EmptyState>
        ) : (
          <ProblemNote title="The monitor could not be loaded" error={error} retry={() => void refetch()} />
        )}
      </Page>
    )
  }

  const runNow = () =>
    run.mutate(id, {
      onError: (fault) =>
        notifications.show({ color: 'red', title: 'It could not be run', message: errorSentence(fault) }),
      onSettled: () => void results.refetch(),
    })

  return (
    <div className={pageClasses.page}>
      <MonitorHeader
        monitor={monitor}
        actions={<MonitorActions monitor={monitor} running={run.isPending} onRun={runNow} />}
      />
      {run.data && (
        <div className={classes.block}>
          <Panel title="Run just now" aside={<CloseButton aria-label="Dismiss" onClick={() => run.reset()} />}>
            <ProbeOutcome request={run.data} />
          </Panel>
        </div>
      )}
      <StatStrip monitor={monitor} newest={results.data?.[0]} />
      <div className={classes.block}>
        <HistoryPanel monitor={monitor} search={search} onChange={change} />
      </div>
      <Tabs
        value={search.tab ?? 'results'}
        onChange={(tab) => change({ tab: tab === 'results' ? undefined : (tab as MonitorTab) })}
        keepMounted={false}
      >
        <Tabs.List className={classes.tabs}>
          <Tabs.Tab value="results">Results</Tabs.Tab>
          <Tabs.Tab value="details">Settings</Tabs.Tab>
          <Tabs.Tab value="manifest">Manifest</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="results">
          <Panel flush>
            <ResultsTab monitor={monitor} results={results.data} error={results.error} max={max} onMore={setMax} />
          </Panel>
        </Tabs.Panel>
        <Tabs.Panel value="details">
          <Panel flush>
            <DetailsTab monitor={monitor} />
          </Panel>
        </Tabs.Panel>
        <Tabs.Panel value="manifest">
          <ManifestTab monitor={monitor} />
        </Tabs.Panel>
      </Tabs>
    </div>
  )
}

function PageSkeleton() {
  return (
    <div className={pageClasses.page} aria-busy="true" role="status" aria-label="Loading the monitor">
      <Skeleton height={56} width="50%" mb={24} />
      <Skeleton height={88} radius={10} mb={16} />
      <Skeleton height={340} radius={10} mb={16} />
      <Skeleton height={300} radius={10} />
    </div>
  )
}
