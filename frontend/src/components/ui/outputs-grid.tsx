import { viewOutputs } from '@/lib/outputs'

import classes from './outputs-grid.module.css'

/** A run's outputs as names and values. */
export function OutputsGrid({ outputs }: { outputs: Record<string, number | string> }) {
  const rows = viewOutputs(outputs)
  if (rows.length === 0) return <p className={classes.none}>The run ended before anything could be measured.</p>
  return (
    <dl className={classes.grid}>
      {rows.map(({ name, value }) => (
        <div key={name} className={classes.item}>
          <dt>{name}</dt>
          <dd title={value}>{value}</dd>
        </div>
      ))}
    </dl>
  )
}
