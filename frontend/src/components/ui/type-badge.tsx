import type { ProbeType } from '@/api/types'

import classes from './type-badge.module.css'

/** The type of probe as a small label. */
export function TypeBadge({ type }: { type: ProbeType }) {
  return <span className={classes.root}>{type.toUpperCase()}</span>
}
