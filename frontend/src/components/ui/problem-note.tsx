import { Alert, Button } from '@mantine/core'
import { IconAlertTriangle } from '@tabler/icons-react'

import { errorSentence } from '@/api/problem'

/** Says that something could not be loaded or done, and offers to try again. */
export function ProblemNote({ title, error, retry }: { title: string; error: unknown; retry?: () => void }) {
  return (
    <Alert color="red" variant="light" icon={<IconAlertTriangle size={18} />} title={title} role="alert">
      {errorSentence(error)}
      {retry && (
        <div style={{ marginTop: 10 }}>
          <Button size="compact-sm" variant="default" onClick={retry}>
            Try again
          </Button>
        </div>
      )}
    </Alert>
  )
}
