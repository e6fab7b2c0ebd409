import { Alert, Button, Skeleton } from '@mantine/core'
import { notifications } from '@mantine/notifications'
import { IconLock } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { useState } from 'react'

import { lastETag } from '@/api/client'
import type { Monitor } from '@/api/types'
import { Page } from '@/components/ui/page'
import { ProblemNote } from '@/components/ui/problem-note'
import { formOfMonitor } from '@/lib/monitor-form'
import { editBlock } from '@/lib/permissions'

import { monitorQuery } from '../api/get-monitor'
import { useMonitorWrites } from '../api/write-monitor'
import { MonitorForm } from '../components/monitor-form'

const route = getRouteApi('/monitors/$id/edit')

/** Changes a monitor. What is fetched once stays under the form: polling must not overwrite typing. */
export function MonitorEditPage() {
  const id = Number(route.useParams().id)
  const { data, error, refetch } = useQuery({
    ...monitorQuery(id),
    refetchInterval: false,
    refetchOnWindowFocus: false,
  })
  return (
    <Page
      title={data ? `Edit ${data.name}` : 'Edit monitor'}
      lead={data && `${data.namespace}/${data.objectName}`}
      narrow
    >
      {error && !data && (
        <ProblemNote title="The monitor could not be loaded" error={error} retry={() => void refetch()} />
      )}
      {!data && !error && <Skeleton height={420} radius={10} />}
      {data && <EditForm key={data.id} monitor={data} />}
    </Page>
  )
}

function EditForm({ monitor }: { monitor: Monitor }) {
  const { update } = useMonitorWrites()
  const navigate = route.useNavigate()
  const blocked = editBlock(monitor)
  const params = { id: String(monitor.id) }
  const [etag] = useState(() => lastETag(`/api/monitors/${monitor.id}`))
  return (
    <>
      {blocked && (
        <Alert variant="light" color="gray" icon={<IconLock size={18} />} title="Read-only" mb="md">
          {blocked}
        </Alert>
      )}
      <MonitorForm
        editing
        initial={formOfMonitor(monitor)}
        base={monitor.spec}
        blocked={blocked}
        submitLabel="Save changes"
        cancel={
          <Button
            variant="subtle"
            color="gray"
            renderRoot={(props) => <Link to="/monitors/$id" params={params} {...props} />}
          >
            Cancel
          </Button>
        }
        onSubmit={async (draft) => {
          const saved = await update.mutateAsync({ id: monitor.id, draft, etag })
          notifications.show({ message: `${saved.name} is saved.`, color: 'green' })
          await navigate({ to: '/monitors/$id', params })
        }}
      />
    </>
  )
}
