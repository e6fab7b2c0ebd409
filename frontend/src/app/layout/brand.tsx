import { Link } from '@tanstack/react-router'

import classes from './shell.module.css'

/** The mark and the name; leads home. */
export function Brand() {
  return (
    <Link to="/" className={classes.brand} aria-label="NanoMon, to the monitors">
      <svg width="24" height="24" viewBox="0 0 32 32" fill="none" aria-hidden="true">
        <rect width="32" height="32" rx="8" className={classes.brandTile} />
        <path
          d="M5 17h5l3-8 5 15 3.2-7H27"
          stroke="#3dd68c"
          strokeWidth="2.6"
          strokeLinecap="round"
          strokeLinejoin="round"
        />
      </svg>
      NanoMon
    </Link>
  )
}
