import { keepPreviousData, useQuery } from '@tanstack/react-query'

import { api, unwrap } from '@/api/client'
import type { OutputDoc, ProbeType } from '@/api/types'

/** The outputs that a type's rule may name. */
export function useOutputs(type: ProbeType): OutputDoc[] {
  const { data } = useQuery({
    queryKey: ['outputs'],
    queryFn: ({ signal }) => unwrap(api().GET('/api/outputs', { signal })),
    staleTime: Infinity,
  })
  return data?.[type] ?? NONE
}

const NONE: OutputDoc[] = []

/** Asks the server whether a rule compiles; an empty rule is fine and not asked about. */
export function useRuleCheck(type: ProbeType, rule: string) {
  return useQuery({
    queryKey: ['rule-check', type, rule],
    queryFn: ({ signal }) => unwrap(api().POST('/api/rules/check', { body: { type, rule }, signal })),
    enabled: rule.trim() !== '',
    staleTime: Infinity,
    gcTime: 60_000,
    placeholderData: keepPreviousData,
  })
}
