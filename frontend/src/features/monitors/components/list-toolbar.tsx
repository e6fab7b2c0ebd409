import { Button, Select, TextInput } from '@mantine/core'
import { useHotkeys } from '@mantine/hooks'
import { IconLayoutList, IconSearch, IconX } from '@tabler/icons-react'
import { useEffect, useRef, useState } from 'react'

import type { ProbeType } from '@/api/types'
import { GROUPINGS, isFiltered, PROBE_TYPES, type Grouping, type ListSearch } from '@/lib/monitor-list'

import classes from './list-toolbar.module.css'

const GROUPING_LABELS: Record<Grouping, string> = {
  none: 'No grouping',
  group: 'By group',
  namespace: 'By namespace',
  type: 'By type',
  state: 'By state',
}

/** Search and filters. Typing is shown at once and reaches the URL a moment later. */
export function ListToolbar({
  search,
  groups,
  namespaces,
  onChange,
}: {
  search: ListSearch
  groups: string[]
  namespaces: string[]
  onChange: (change: Partial<ListSearch>) => void
}) {
  const input = useRef<HTMLInputElement>(null)
  const [typed, setTyped] = useState(search.q ?? '')
  const sent = useRef(search.q ?? '')
  useHotkeys([['/', () => input.current?.focus()]])

  // The URL may change without us: back button, a link.
  useEffect(() => {
    if ((search.q ?? '') !== sent.current) {
      sent.current = search.q ?? ''
      setTyped(sent.current)
    }
  }, [search.q])

  useEffect(() => {
    const timer = setTimeout(() => {
      if (typed === sent.current) return
      sent.current = typed
      onChange({ q: typed || undefined })
    }, 120)
    return () => clearTimeout(timer)
  }, [typed, onChange])

  return (
    <div className={classes.root} role="search">
      <TextInput
        ref={input}
        className={classes.search}
        placeholder="Search name, target, group…"
        aria-label="Search monitors"
        leftSection={<IconSearch size={15} />}
        rightSection={typed ? null : <kbd className={classes.key}>/</kbd>}
        value={typed}
        onChange={(event) => setTyped(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') setTyped('')
        }}
      />
      <Select
        className={classes.pick}
        aria-label="Type"
        placeholder="Any type"
        clearable
        data={PROBE_TYPES.map((type) => ({ value: type, label: type.toUpperCase() }))}
        value={search.type ?? null}
        onChange={(value) => onChange({ type: (value as ProbeType | null) ?? undefined })}
      />
      {(groups.length > 1 || search.group) && (
        <Select
          className={classes.pick}
          aria-label="Group"
          placeholder="Any group"
          clearable
          searchable={groups.length > 8}
          data={groups}
          value={search.group ?? null}
          onChange={(value) => onChange({ group: value ?? undefined })}
        />
      )}
      {(namespaces.length > 1 || search.ns) && (
        <Select
          className={classes.pick}
          aria-label="Namespace"
          placeholder="Any namespace"
          clearable
          searchable={namespaces.length > 8}
          data={namespaces}
          value={search.ns ?? null}
          onChange={(value) => onChange({ ns: value ?? undefined })}
        />
      )}
      {isFiltered(search) && (
        <Button
          variant="subtle"
          color="gray"
          leftSection={<IconX size={14} />}
          onClick={() => {
            setTyped('')
            onChange({ q: undefined, state: undefined, type: undefined, group: undefined, ns: undefined })
          }}
        >
          Clear
        </Button>
      )}
      <Select
        className={classes.grouping}
        aria-label="Grouping"
        allowDeselect={false}
        leftSection={<IconLayoutList size={15} />}
        data={GROUPINGS.map((value) => ({ value, label: GROUPING_LABELS[value] }))}
        value={search.by ?? 'none'}
        onChange={(value) => onChange({ by: value === 'none' ? undefined : (value as Grouping) })}
      />
    </div>
  )
}
