import { Button } from '@mantine/core'
import { IconCompass } from '@tabler/icons-react'
import { Link, type ErrorComponentProps } from '@tanstack/react-router'

import { EmptyState } from '@/components/ui/empty-state'
import { Page } from '@/components/ui/page'
import { ProblemNote } from '@/components/ui/problem-note'

/** For addresses that lead nowhere. */
export function NotFound() {
  return (
    <Page title="Not found">
      <EmptyState icon={<IconCompass size={22} />} title="There is no such page">
        <p>The address may be mistyped, or what it showed is gone.</p>
        <Button variant="default" renderRoot={(props) => <Link to="/" {...props} />}>
          Show all monitors
        </Button>
      </EmptyState>
    </Page>
  )
}

/** For faults while a page is drawn. */
export function RouteError({ error, reset }: ErrorComponentProps) {
  return (
    <Page title="Something went wrong">
      <ProblemNote title="This page could not be shown" error={error} retry={reset} />
    </Page>
  )
}
