import { Button } from '@mantine/core'
import { IconActivityHeartbeat, IconFilterOff, IconPlus } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'

import { EmptyState } from '@/components/ui/empty-state'
import { YamlBlock } from '@/components/ui/yaml-block'
import { writeBlock } from '@/lib/permissions'

const EXAMPLE = `apiVersion: nanomon.io/v1alpha1
kind: Monitor
metadata:
  name: shop-home
spec:
  displayName: Shop home page
  interval: 30s
  http:
    url: https://shop.example/health
  rule: status == 200 && respTime < 500
`

/** The first thing a newcomer sees: how to get a monitor, both ways. */
export function NoMonitors() {
  return (
    <EmptyState icon={<IconActivityHeartbeat size={22} />} title="Nothing is monitored yet">
      <p>
        Apply a Monitor with <code className="nm-mono">kubectl apply -f monitor.yaml</code> (or put the file into the
        folder of <code className="nm-mono">--monitors</code>), and it appears here with its first result.
      </p>
      <YamlBlock text={EXAMPLE} title="monitor.yaml" />
      {!writeBlock() && (
        <Button
          mt="lg"
          leftSection={<IconPlus size={16} />}
          renderRoot={(props) => <Link to="/monitors/new" {...props} />}
        >
          Create one here
        </Button>
      )}
    </EmptyState>
  )
}

/** Nothing is left after filtering. */
export function NothingMatches({ onClear }: { onClear: () => void }) {
  return (
    <EmptyState icon={<IconFilterOff size={22} />} title="No monitor matches">
      <p>Search words are looked for in names, targets, groups and namespaces; all of them must be there.</p>
      <Button variant="default" onClick={onClear}>
        Clear the filters
      </Button>
    </EmptyState>
  )
}
