import { IconApi, IconArrowUpRight, IconFileCode } from '@tabler/icons-react'

import { apiOrigin, config } from '@/api/config'
import { Page } from '@/components/ui/page'
import { Panel } from '@/components/ui/panel'
import { ProblemNote } from '@/components/ui/problem-note'
import { YamlBlock } from '@/components/ui/yaml-block'
import { formatCount } from '@/lib/format'

import { useStatus } from '../api/get-status'
import classes from './about-page.module.css'

const MANIFEST = `apiVersion: nanomon.io/v1alpha1
kind: Monitor
metadata:
  name: orders-db
spec:
  displayName: Orders database
  interval: 10s
  tcp:
    address: orders-db.data.svc:5432
`

const MODES = { standalone: 'Standalone, in one process', cluster: 'In a Kubernetes cluster' }

/** Version, health and where to read on. */
export function AboutPage() {
  const { VERSION, BUILD_INFO, mode, writable, writeBlockedReason } = config()
  const { data, error, refetch } = useStatus()
  const facts: [string, string | undefined][] = [
    ['Version', data?.version || VERSION || undefined],
    ['Build', data?.buildInfo || BUILD_INFO || undefined],
    ['Runs', MODES[mode]],
    ['Database', data?.database && (data.database === 'up' ? 'Reachable' : 'Not reachable')],
    ['Monitors', typeof data?.monitors === 'number' ? formatCount(data.monitors) : undefined],
    ['Server up for', data?.uptime === undefined ? undefined : String(data.uptime)],
    ['Changes from here', writable ? 'Allowed' : (writeBlockedReason ?? 'Not allowed')],
  ]
  return (
    <Page title="About" lead="NanoMon watches what you depend on, and remembers" narrow>
      {error && !data && <ProblemNote title="The server does not answer" error={error} retry={() => void refetch()} />}
      <div className={classes.columns}>
        <Panel title="This server">
          <dl className={classes.facts}>
            {facts.map(([name, value]) =>
              value === undefined ? null : (
                <div key={name}>
                  <dt>{name}</dt>
                  <dd>{value}</dd>
                </div>
              ),
            )}
          </dl>
        </Panel>
        <Panel title="For programs">
          <ul className={classes.links}>
            <li>
              <a href={`${apiOrigin()}/api/docs`}>
                <IconApi size={18} stroke={1.6} aria-hidden="true" />
                <span>
                  <b>API reference</b>
                  <small>Every route, to read and to try</small>
                </span>
                <IconArrowUpRight size={15} aria-hidden="true" />
              </a>
            </li>
            <li>
              <a href={`${apiOrigin()}/api/openapi.json`}>
                <IconFileCode size={18} stroke={1.6} aria-hidden="true" />
                <span>
                  <b>OpenAPI document</b>
                  <small>To generate a client from</small>
                </span>
                <IconArrowUpRight size={15} aria-hidden="true" />
              </a>
            </li>
          </ul>
        </Panel>
      </div>
      <div className={classes.block}>
        <Panel title="Monitors as manifests">
          <p className={classes.text}>
            A monitor is a Kubernetes object. Apply it with <code className="nm-mono">kubectl apply -f</code>, keep it
            in Git, or put the file into the folder of <code className="nm-mono">nanomon standalone --monitors</code>.
          </p>
          <YamlBlock text={MANIFEST} title="orders-db.yaml" />
        </Panel>
      </div>
    </Page>
  )
}
