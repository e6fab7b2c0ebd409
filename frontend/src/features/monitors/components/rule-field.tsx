import { useDebouncedValue } from '@mantine/hooks'
import { IconAlertTriangle, IconCheck } from '@tabler/icons-react'
import { useMemo } from 'react'

import type { ProbeType } from '@/api/types'

import { useOutputs, useRuleCheck } from '../api/check-rule'
import { RuleEditor } from './rule-editor'
import classes from './rule-field.module.css'

/** The rule with its outputs, checked by the server while it is typed. */
export function RuleField({
  type,
  value,
  refusal,
  onChange,
}: {
  type: ProbeType
  value: string
  /** What the server said about the rule when the form was sent. */
  refusal: string | undefined
  onChange: (value: string) => void
}) {
  const outputs = useOutputs(type)
  const [settled] = useDebouncedValue(value, 300)
  const check = useRuleCheck(type, settled)
  const current = settled === value && !check.isPlaceholderData && settled.trim() !== '' ? check.data : undefined
  const message = current && !current.valid ? (current.message ?? 'The rule is not valid.') : refusal
  const position = current?.position ?? 0
  const broken = current !== undefined && !current.valid
  const fault = useMemo(() => (broken && message ? { position, message } : undefined), [broken, message, position])
  const names = outputs.filter((output) => output.name !== 'reason').slice(0, 14)

  return (
    <div>
      <RuleEditor value={value} onChange={onChange} outputs={outputs} fault={fault} describedBy="rule-state" />
      <div id="rule-state" className={classes.state} aria-live="polite">
        {message ? (
          <span className={classes.bad}>
            <IconAlertTriangle size={14} aria-hidden="true" /> {message}
          </span>
        ) : current?.valid ? (
          <span className={classes.good}>
            <IconCheck size={14} aria-hidden="true" /> The rule is valid.
          </span>
        ) : (
          <span>Empty: any answer is up. Otherwise the run is an error unless the rule holds.</span>
        )}
      </div>
      {names.length > 0 && (
        <div className={classes.outputs} role="group" aria-label="Outputs that a rule can use">
          {names.map(({ name, help }) => (
            <button
              key={name}
              type="button"
              title={help}
              onClick={() => onChange(value.trim() === '' ? `${name} ` : `${value.trimEnd()} ${name} `)}
            >
              {name}
            </button>
          ))}
        </div>
      )}
    </div>
  )
}
