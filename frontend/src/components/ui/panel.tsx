import type { ReactNode } from 'react'

import classes from './panel.module.css'

/** A bordered surface with an optional heading row. */
export function Panel({
  title,
  aside,
  children,
  flush = false,
}: {
  title?: string
  aside?: ReactNode
  children: ReactNode
  /** No padding around the content, for tables. */
  flush?: boolean
}) {
  return (
    <section className={classes.root} aria-label={title}>
      {(title || aside) && (
        <header className={classes.head}>
          {title && <h2 className={classes.title}>{title}</h2>}
          {aside && <div className={classes.aside}>{aside}</div>}
        </header>
      )}
      <div className={classes.body} data-flush={flush || undefined}>
        {children}
      </div>
    </section>
  )
}
