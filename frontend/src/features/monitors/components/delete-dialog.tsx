import { Button, Group, Modal, Text } from '@mantine/core'
import { notifications } from '@mantine/notifications'
import { useNavigate } from '@tanstack/react-router'

import type { Monitor } from '@/api/types'
import { ProblemNote } from '@/components/ui/problem-note'

import { useMonitorWrites } from '../api/write-monitor'

/** Asks before a monitor and its history go. */
export function DeleteDialog({ monitor, opened, onClose }: { monitor: Monitor; opened: boolean; onClose: () => void }) {
  const { remove } = useMonitorWrites()
  const navigate = useNavigate()
  const confirm = () =>
    remove.mutate(monitor.id, {
      onSuccess: () => {
        notifications.show({ message: `${monitor.name} is deleted.`, color: 'gray' })
        void navigate({ to: '/' })
      },
    })
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title="Delete this monitor?"
      centered
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <Text size="md" mb="lg" style={{ overflowWrap: 'anywhere' }}>
        <b>{monitor.name}</b> will no longer be probed, and its results and history go with it. This cannot be undone.
      </Text>
      {remove.error && <ProblemNote title="It could not be deleted" error={remove.error} />}
      <Group justify="flex-end" mt="md">
        <Button variant="default" onClick={onClose} data-autofocus>
          Keep it
        </Button>
        <Button color="red.8" loading={remove.isPending} onClick={confirm}>
          Delete
        </Button>
      </Group>
    </Modal>
  )
}
