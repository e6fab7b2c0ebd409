import { Button } from '@mantine/core'
import { IconFlask } from '@tabler/icons-react'

import { ApiError } from '@/api/problem'
import { Guarded } from '@/components/ui/guarded'
import { Panel } from '@/components/ui/panel'
import { ProblemNote } from '@/components/ui/problem-note'

import { useTestDraft } from '../api/run-probe'
import type { MonitorDraft } from '../api/write-monitor'
import classes from './monitor-form.module.css'
import { ProbeOutcome } from './probe-outcome'

/** Runs the draft once and shows what it found, before anything is saved. */
export function DraftTest({
  blocked,
  spec,
  onRefused,
}: {
  blocked: string | undefined
  /** The draft as it is now; undefined if the form found faults in it. */
  spec: () => MonitorDraft | undefined
  onRefused: (error: unknown) => void
}) {
  const test = useTestDraft()
  const run = () => {
    const draft = spec()
    if (!draft) return
    test.mutate(draft, {
      onError: (error) => {
        if (error instanceof ApiError && error.status === 400) onRefused(error)
      },
    })
  }
  const refused = test.error instanceof ApiError && test.error.status === 400
  return (
    <Panel
      title="Test run"
      aside={
        <Guarded blocked={blocked}>
          <Button
            variant="default"
            size="compact-md"
            leftSection={<IconFlask size={15} />}
            loading={test.isPending}
            disabled={Boolean(blocked)}
            onClick={run}
          >
            Test
          </Button>
        </Guarded>
      }
    >
      {test.data && !test.isPending && <ProbeOutcome request={test.data} />}
      {test.error && !test.isPending && (
        <ProblemNote title={refused ? 'The draft has a fault' : 'The test could not run'} error={test.error} />
      )}
      {test.isPending && <p className={classes.hint}>A runner is probing the target…</p>}
      {test.isIdle && (
        <p className={classes.hint}>
          Runs the draft once from a runner, without saving it, and shows its verdict with every output that a rule can
          use.
        </p>
      )}
    </Panel>
  )
}
