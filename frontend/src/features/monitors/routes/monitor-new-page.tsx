import { Button, Skeleton } from '@mantine/core'
import { notifications } from '@mantine/notifications'
import { getRouteApi, Link } from '@tanstack/react-router'

import { Page } from '@/components/ui/page'
import { ProblemNote } from '@/components/ui/problem-note'
import { emptyForm, formOfMonitor, type FormValues } from '@/lib/monitor-form'
import { writeBlock } from '@/lib/permissions'
import { TEMPLATES } from '@/lib/templates'

import { useMonitor } from '../api/get-monitor'
import { useMonitorWrites } from '../api/write-monitor'
import { MonitorForm } from '../components/monitor-form'
import classes from '../components/monitor-form.module.css'

const route = getRouteApi('/monitors/new')

/** Creates a monitor: from nothing, a template, or another monitor. */
export function MonitorNewPage() {
  const search = route.useSearch()
  if (search.clone !== undefined) return <ClonePage id={search.clone} />
  const template = TEMPLATES.find((entry) => entry.key === search.template)
  const initial = template?.values() ?? { ...emptyForm(), ...(search.type && { type: search.type }) }
  return (
    <Page
      title="New monitor"
      lead={template ? template.help : 'Start from a template, or fill in what you need'}
      narrow
    >
      <ul className={classes.templates} aria-label="Templates">
        {TEMPLATES.map(({ key, title, help }) => (
          <li key={key}>
            <Link
              to="/monitors/new"
              search={{ template: key }}
              replace
              preload={false}
              className={classes.template}
              title={help}
              aria-current={template?.key === key ? 'true' : undefined}
            >
              {title}
            </Link>
          </li>
        ))}
      </ul>
      <CreateForm key={template?.key ?? 'empty'} initial={initial} />
    </Page>
  )
}

function ClonePage({ id }: { id: number }) {
  const { data, error } = useMonitor(id)
  return (
    <Page title="New monitor" lead={data && `A copy of ${data.name}`} narrow>
      {error && !data && <ProblemNote title="The monitor to copy could not be loaded" error={error} />}
      {!data && !error && <Skeleton height={420} radius={10} />}
      {data && <CreateForm initial={{ ...formOfMonitor(data), name: `${data.name} (copy)` }} />}
    </Page>
  )
}

function CreateForm({ initial }: { initial: FormValues }) {
  const { create } = useMonitorWrites()
  const navigate = route.useNavigate()
  return (
    <MonitorForm
      initial={initial}
      blocked={writeBlock()}
      submitLabel="Create monitor"
      cancel={
        <Button variant="subtle" color="gray" renderRoot={(props) => <Link to="/" {...props} />}>
          Cancel
        </Button>
      }
      onSubmit={async (draft) => {
        const made = await create.mutateAsync(draft)
        notifications.show({ message: `${made.name} is created; its first run follows at once.`, color: 'green' })
        await navigate({ to: '/monitors/$id', params: { id: String(made.id) } })
      }}
    />
  )
}
