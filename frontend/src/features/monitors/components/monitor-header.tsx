import { Anchor } from '@mantine/core'
import { IconLock } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'

import type { Monitor } from '@/api/types'
import { Age } from '@/components/ui/age'
import { useDocumentTitle } from '@/components/ui/page'
import { StatusPill } from '@/components/ui/status-mark'
import { TypeBadge } from '@/components/ui/type-badge'
import { editBlock } from '@/lib/permissions'
import { STATE_TEXT, stateSentence } from '@/lib/status'

import classes from './monitor-header.module.css'

/** Who the monitor is, how it is, since when and why. */
export function MonitorHeader({ monitor, actions }: { monitor: Monitor; actions: ReactNode }) {
  useDocumentTitle(monitor.name)
  const { state, managedBy } = monitor
  const sentence = stateSentence(state)
  return (
    <header className={classes.root}>
      <nav className={classes.crumbs} aria-label="Breadcrumb">
        <Link to="/">Monitors</Link>
        <span aria-hidden="true">/</span>
        <Link to="/" search={{ group: monitor.group }}>
          {monitor.group}
        </Link>
      </nav>
      <div className={classes.line}>
        <div className={classes.titles}>
          <div className={classes.nameLine}>
            <h1 className={classes.name}>{monitor.name}</h1>
            <span data-testid="state">
              <StatusPill state={state.status} />
            </span>
            <span className={classes.since}>
              {state.since && (
                <>
                  for <Age at={state.since} />
                </>
              )}
            </span>
          </div>
          <div className={classes.facts}>
            <TypeBadge type={monitor.type} />
            {monitor.type === 'http' && /^https?:\/\//.test(monitor.target) ? (
              <Anchor className={classes.target} href={monitor.target} target="_blank" rel="noreferrer noopener">
                {monitor.target}
              </Anchor>
            ) : (
              <span className={classes.target}>{monitor.target}</span>
            )}
            <span className={classes.dot} aria-hidden="true" />
            <span>every {monitor.interval}</span>
            <span className={classes.dot} aria-hidden="true" />
            <span>
              checked <Age at={state.lastCheckTime} suffix={state.lastCheckTime ? ' ago' : ''} />
            </span>
          </div>
        </div>
        <div className={classes.actions}>{actions}</div>
      </div>
      {sentence && state.status !== 'OK' && (
        <p className={classes.reason} data-state={STATE_TEXT[state.status].token} data-testid="reason">
          {sentence}
          {state.status === 'Error' && monitor.rule && <code className={classes.rule}>{monitor.rule}</code>}
        </p>
      )}
      {!managedBy.editable && (
        <p className={classes.owner}>
          <IconLock size={15} aria-hidden="true" />
          <span>
            {managedBy.owner && !managedBy.reason?.includes(managedBy.owner) && (
              <>
                Owned by <b>{managedBy.owner}</b>.{' '}
              </>
            )}
            {editBlock(monitor)}
          </span>
        </p>
      )}
    </header>
  )
}
