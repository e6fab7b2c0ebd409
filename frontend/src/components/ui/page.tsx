import type { ReactNode } from 'react'
import { useEffect } from 'react'

import classes from './page.module.css'

/** A page's frame: title, actions, content. Sets the document's title too. */
export function Page({
  title,
  lead,
  actions,
  children,
  narrow = false,
}: {
  title: string
  lead?: ReactNode
  actions?: ReactNode
  children: ReactNode
  narrow?: boolean
}) {
  useDocumentTitle(title)
  return (
    <div className={classes.page} data-narrow={narrow || undefined}>
      <header className={classes.head}>
        <div className={classes.titles}>
          <h1 className={classes.title}>{title}</h1>
          {lead && <div className={classes.lead}>{lead}</div>}
        </div>
        {actions && <div className={classes.actions}>{actions}</div>}
      </header>
      {children}
    </div>
  )
}

/** `title · NanoMon` while the component is mounted. */
export function useDocumentTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · NanoMon`
  }, [title])
}
