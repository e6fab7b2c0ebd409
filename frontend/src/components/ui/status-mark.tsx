import type { StateWord } from '@/api/types'
import { STATE_TEXT } from '@/lib/status'

import classes from './status-mark.module.css'

/** A state as shape and colour: each state has a shape of its own, so colour never stands alone. */
export function StatusIcon({ state, size = 14 }: { state: StateWord; size?: number }) {
  return (
    <svg
      className={classes.icon}
      data-state={STATE_TEXT[state].token}
      width={size}
      height={size}
      viewBox="0 0 16 16"
      aria-hidden="true"
    >
      {SHAPES[state]}
    </svg>
  )
}

const SHAPES: Record<StateWord, React.ReactNode> = {
  OK: (
    <>
      <circle cx="8" cy="8" r="7" className={classes.body} />
      <path d="m5 8.2 2.1 2.1L11.2 6" className={classes.sign} />
    </>
  ),
  Error: (
    <>
      <path d="M8 1.4 15.2 14H.8z" className={classes.body} strokeLinejoin="round" />
      <path d="M8 6v3.6M8 11.8v.1" className={classes.sign} />
    </>
  ),
  Failed: (
    <>
      <rect x="1.2" y="1.2" width="13.6" height="13.6" rx="3" className={classes.body} />
      <path d="m5.4 5.4 5.2 5.2m0-5.2-5.2 5.2" className={classes.sign} />
    </>
  ),
  Paused: (
    <>
      <circle cx="8" cy="8" r="7" className={classes.body} />
      <path d="M6.2 5.6v4.8M9.8 5.6v4.8" className={classes.sign} />
    </>
  ),
  Unknown: <circle cx="8" cy="8" r="6" className={classes.ring} />,
}

/** The icon with its word. */
export function StatusMark({ state, size }: { state: StateWord; size?: number }) {
  return (
    <span className={classes.mark} data-state={STATE_TEXT[state].token}>
      <StatusIcon state={state} {...(size ? { size } : {})} />
      {STATE_TEXT[state].label}
    </span>
  )
}

/** The state as a soft pill, for headers. */
export function StatusPill({ state }: { state: StateWord }) {
  return (
    <span className={classes.pill} data-state={STATE_TEXT[state].token}>
      <StatusIcon state={state} />
      {STATE_TEXT[state].label}
    </span>
  )
}
