import { Tooltip } from '@mantine/core'
import type { ReactElement } from 'react'

/**
 * An action that may be disabled with a reason: the reason is a tooltip, also for keyboards (the wrapper takes the
 * focus that a disabled button cannot).
 */
export function Guarded({ blocked, children }: { blocked: string | undefined; children: ReactElement }) {
  if (!blocked) return children
  return (
    <Tooltip label={blocked} events={{ hover: true, focus: true, touch: true }}>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <span tabIndex={0} role="note" aria-label={blocked} style={{ display: 'inline-flex', borderRadius: 8 }}>
        {children}
      </span>
    </Tooltip>
  )
}
