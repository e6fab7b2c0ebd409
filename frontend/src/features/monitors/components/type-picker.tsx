import { IconArrowsLeftRight, IconRadar, IconWorld, IconWorldSearch } from '@tabler/icons-react'

import type { ProbeType } from '@/api/types'
import { PROBE_TYPES } from '@/lib/monitor-list'

import classes from './type-picker.module.css'

const TYPES: Record<ProbeType, { title: string; help: string; icon: typeof IconWorld }> = {
  http: { title: 'HTTP', help: 'Request a URL', icon: IconWorld },
  tcp: { title: 'TCP', help: 'Open a port', icon: IconArrowsLeftRight },
  ping: { title: 'Ping', help: 'Echo a host', icon: IconRadar },
  dns: { title: 'DNS', help: 'Look up a name', icon: IconWorldSearch },
}

/** Chooses the type of probe. */
export function TypePicker({
  value,
  disabled = false,
  onChange,
}: {
  value: ProbeType
  disabled?: boolean
  onChange: (type: ProbeType) => void
}) {
  return (
    <fieldset className={classes.root} disabled={disabled}>
      <legend className="nm-sr">Type</legend>
      {PROBE_TYPES.map((type) => {
        const { title, help, icon: Icon } = TYPES[type]
        return (
          <label key={type} className={classes.option} data-checked={value === type || undefined}>
            <input
              type="radio"
              name="type"
              value={type}
              checked={value === type}
              onChange={() => onChange(type)}
              className="nm-sr"
            />
            <Icon size={19} stroke={1.6} aria-hidden="true" />
            <span>
              <b>{title}</b>
              <small>{help}</small>
            </span>
          </label>
        )
      })}
    </fieldset>
  )
}
