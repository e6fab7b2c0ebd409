import { Skeleton } from '@mantine/core'

import type { Monitor } from '@/api/types'
import { ProblemNote } from '@/components/ui/problem-note'
import { YamlBlock } from '@/components/ui/yaml-block'

import { useManifest } from '../api/get-manifest'

/** The monitor as the YAML that kubectl takes. */
export function ManifestTab({ monitor }: { monitor: Monitor }) {
  const { data, error, refetch } = useManifest(monitor.id, monitor.updated)
  if (error) return <ProblemNote title="The manifest could not be loaded" error={error} retry={() => void refetch()} />
  if (data === undefined) return <Skeleton height={220} radius={10} />
  return <YamlBlock text={data} title={`${monitor.objectName}.yaml`} />
}
