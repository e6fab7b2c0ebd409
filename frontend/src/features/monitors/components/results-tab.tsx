import { Button, Skeleton, Switch } from '@mantine/core'
import { IconHourglass } from '@tabler/icons-react'
import { useState } from 'react'

import type { Monitor, Result } from '@/api/types'
import { EmptyState } from '@/components/ui/empty-state'
import { ProblemNote } from '@/components/ui/problem-note'
import { ResultsTable } from '@/components/ui/results-table'

import classes from './results-tab.module.css'

export const FIRST_PAGE = 50
const MOST = 1000

/** The newest results with their outputs; more on demand. */
export function ResultsTab({
  monitor,
  results,
  error,
  max,
  onMore,
}: {
  monitor: Monitor
  results: Result[] | undefined
  error: unknown
  max: number
  onMore: (max: number) => void
}) {
  const [troubleOnly, setTroubleOnly] = useState(false)
  if (error && !results) return <ProblemNote title="The results could not be loaded" error={error} />
  if (!results) return <Skeleton height={260} />
  if (results.length === 0) {
    return (
      <EmptyState icon={<IconHourglass size={22} />} title="No results yet">
        <p>
          {monitor.state.status === 'Paused'
            ? 'The monitor is paused. Resume it, and its results appear here.'
            : `The first run follows within ${monitor.interval}.`}
        </p>
      </EmptyState>
    )
  }
  const shown = troubleOnly ? results.filter((result) => result.status !== 0) : results
  return (
    <>
      <div className={classes.bar}>
        <Switch
          size="xs"
          label="Only trouble"
          checked={troubleOnly}
          onChange={(event) => setTroubleOnly(event.currentTarget.checked)}
        />
        <span>
          newest {results.length}
          {troubleOnly && `, ${shown.length} with trouble`}
        </span>
      </div>
      {shown.length > 0 ? (
        <ResultsTable results={shown} />
      ) : (
        <p className={classes.calm}>None of the newest {results.length} runs had trouble.</p>
      )}
      {results.length >= max && max < MOST && (
        <div className={classes.more}>
          <Button variant="default" size="compact-md" onClick={() => onMore(Math.min(MOST, max * 4))}>
            Show more
          </Button>
        </div>
      )}
    </>
  )
}
