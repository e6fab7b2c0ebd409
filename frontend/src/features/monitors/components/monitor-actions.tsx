import { ActionIcon, Button, Menu } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { notifications } from '@mantine/notifications'
import {
  IconBolt,
  IconCopyPlus,
  IconDots,
  IconPencil,
  IconPlayerPause,
  IconPlayerPlay,
  IconTrash,
} from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'

import { errorSentence } from '@/api/problem'
import type { Monitor } from '@/api/types'
import { Guarded } from '@/components/ui/guarded'
import { editBlock, writeBlock } from '@/lib/permissions'

import { useMonitorWrites } from '../api/write-monitor'
import { DeleteDialog } from './delete-dialog'

/** What can be done with a monitor; what cannot is disabled and says why. */
export function MonitorActions({ monitor, running, onRun }: { monitor: Monitor; running: boolean; onRun: () => void }) {
  const [deleting, dialog] = useDisclosure(false)
  const { suspend } = useMonitorWrites()
  const blocked = editBlock(monitor)
  const runBlocked = writeBlock()
  const paused = monitor.state.status === 'Paused'
  const id = String(monitor.id)

  const togglePause = () =>
    suspend.mutate(
      { monitor, paused: !paused },
      {
        onError: (error) =>
          notifications.show({
            color: 'red',
            title: paused ? 'It could not be resumed' : 'It could not be paused',
            message: errorSentence(error),
          }),
      },
    )

  return (
    <>
      <Guarded blocked={runBlocked}>
        <Button
          variant="default"
          leftSection={<IconBolt size={15} />}
          loading={running}
          disabled={Boolean(runBlocked)}
          onClick={onRun}
        >
          Run now
        </Button>
      </Guarded>
      <Guarded blocked={blocked}>
        <Button
          variant="default"
          leftSection={paused ? <IconPlayerPlay size={15} /> : <IconPlayerPause size={15} />}
          loading={suspend.isPending}
          disabled={Boolean(blocked)}
          onClick={togglePause}
        >
          {paused ? 'Resume' : 'Pause'}
        </Button>
      </Guarded>
      <Guarded blocked={blocked}>
        <Button
          variant="default"
          leftSection={<IconPencil size={15} />}
          disabled={Boolean(blocked)}
          {...(!blocked && {
            renderRoot: (props: object) => <Link to="/monitors/$id/edit" params={{ id }} {...props} />,
          })}
        >
          Edit
        </Button>
      </Guarded>
      <Menu position="bottom-end">
        <Menu.Target>
          <ActionIcon variant="default" size={36} aria-label="More actions">
            <IconDots size={17} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item
            leftSection={<IconCopyPlus size={15} />}
            disabled={Boolean(runBlocked)}
            renderRoot={(props) => <Link to="/monitors/new" search={{ clone: monitor.id }} {...props} />}
          >
            Clone
          </Menu.Item>
          <Menu.Divider />
          <Menu.Item
            color="red"
            leftSection={<IconTrash size={15} />}
            disabled={Boolean(blocked)}
            title={blocked}
            onClick={dialog.open}
          >
            Delete…
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <DeleteDialog monitor={monitor} opened={deleting} onClose={dialog.close} />
    </>
  )
}
