import type { Monitor } from '@/api/types'
import { Age } from '@/components/ui/age'
import { StatusMark } from '@/components/ui/status-mark'
import { formatDateTime, formatMs } from '@/lib/format'
import { reasonWords } from '@/lib/status'

import classes from './details-tab.module.css'

function settings(monitor: Monitor): [string, string][] {
  const { spec } = monitor
  const rows: [string, string | number | boolean | null | undefined][] = [
    ['Object', `${monitor.namespace}/${monitor.objectName}`],
    ['Id', monitor.id],
    ['Group', monitor.group],
    ['Interval', monitor.interval],
    ['Method', spec.http?.method],
    ['Timeout', spec.http?.timeout ?? spec.tcp?.timeout ?? spec.ping?.timeout ?? spec.dns?.timeout],
    ['Headers', spec.http?.headers?.map((header) => header.name).join(', ')],
    ['Body regex', spec.http?.bodyRegex],
    ['Certificate is checked', spec.http && (spec.http.validateTLS === false ? 'no' : 'yes')],
    ['Redirects are followed', spec.http && (spec.http.followRedirects === false ? 'no' : 'yes')],
    ['Echo requests', spec.ping?.count],
    ['Pause between them', spec.ping?.interval],
    ['Record type', spec.dns?.recordType],
    ['DNS server', spec.dns?.server],
    ['Network', spec.dns?.network],
    ['Rule', monitor.rule],
    ['Runner pools', spec.runnerPools?.join(', ')],
    ['Changed', formatDateTime(monitor.updated)],
  ]
  return rows.flatMap(([name, value]) =>
    value === undefined || value === null || value === '' ? [] : [[name, String(value)] as [string, string]],
  )
}

/** The settings in words, and the state in each pool. */
export function DetailsTab({ monitor }: { monitor: Monitor }) {
  return (
    <div className={classes.root}>
      <dl className={classes.list}>
        {settings(monitor).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <h3 className={classes.heading}>Where it runs</h3>
      {monitor.state.pools.length === 0 ? (
        <p className={classes.none}>No runner has reported on it yet.</p>
      ) : (
        <ul className={classes.pools}>
          {monitor.state.pools.map((pool) => (
            <li key={pool.pool}>
              <b>{pool.pool}</b>
              <StatusMark state={pool.status} />
              <span>{reasonWords(pool.reason)}</span>
              <span className="nm-num">{formatMs(pool.value)}</span>
              <span>
                {pool.runner ?? 'no runner'}
                {pool.lastCheckTime && (
                  <>
                    , <Age at={pool.lastCheckTime} suffix=" ago" />
                  </>
                )}
              </span>
            </li>
          ))}
        </ul>
      )}
    </div>
  )
}
