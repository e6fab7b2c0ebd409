import { Alert, Autocomplete, Button, Group, SimpleGrid, TextInput } from '@mantine/core'
import { IconAlertTriangle } from '@tabler/icons-react'
import { useState, type ReactNode } from 'react'

import { ApiError, errorSentence } from '@/api/problem'
import type { MonitorSpec, ProbeType } from '@/api/types'
import { Guarded } from '@/components/ui/guarded'
import { Panel } from '@/components/ui/panel'
import { distinct } from '@/lib/monitor-list'
import { checkForm, placeRefusal, slugOf, specOfForm, type FormValues } from '@/lib/monitor-form'

import { useMonitors } from '../api/get-monitors'
import type { MonitorDraft } from '../api/write-monitor'
import { DraftTest } from './draft-test'
import { MonitorFormProvider, useNewMonitorForm } from './form-context'
import classes from './monitor-form.module.css'
import { RuleField } from './rule-field'
import { TargetFields } from './target-fields'
import { TypePicker } from './type-picker'

/** Creates or changes one monitor. Faults found by the server appear at their fields. */
export function MonitorForm({
  initial,
  base,
  editing = false,
  blocked,
  submitLabel,
  cancel,
  onSubmit,
}: {
  initial: FormValues
  /** The stored spec, whose unknown parts are kept. */
  base?: MonitorSpec
  editing?: boolean
  /** Why nothing can be saved. */
  blocked: string | undefined
  submitLabel: string
  cancel: ReactNode
  onSubmit: (draft: MonitorDraft) => Promise<unknown>
}) {
  const form = useNewMonitorForm({ mode: 'controlled', initialValues: initial, validate: checkForm })
  const [rest, setRest] = useState<string[]>([])
  const [saving, setSaving] = useState(false)
  const monitors = useMonitors().data ?? []

  const refuse = (error: unknown) => {
    if (!(error instanceof ApiError) || error.status === 0 || error.status >= 500) {
      setRest([errorSentence(error)])
      return
    }
    const placed = placeRefusal(error, form.getValues().type)
    form.setErrors(placed.fields)
    setRest(placed.rest)
    focusFirst(Object.keys(placed.fields))
  }

  const draft = (values: FormValues): MonitorDraft => ({
    name: values.name.trim(),
    ...(values.namespace.trim() && { namespace: values.namespace.trim() }),
    spec: specOfForm(values, base),
  })

  const submit = form.onSubmit(
    async (values) => {
      setRest([])
      setSaving(true)
      try {
        await onSubmit(draft(values))
      } catch (error) {
        refuse(error)
      } finally {
        setSaving(false)
      }
    },
    (faults) => focusFirst(Object.keys(faults)),
  )

  const changeType = (type: ProbeType) => {
    form.clearErrors()
    form.setFieldValue('type', type)
  }

  const slug = slugOf(form.values.name)
  return (
    <MonitorFormProvider form={form}>
      <form onSubmit={submit} noValidate className={classes.columns}>
        <div className={classes.main}>
          {rest.length > 0 && (
            <Alert
              color="red"
              variant="light"
              icon={<IconAlertTriangle size={18} />}
              title="It was not saved"
              role="alert"
            >
              {rest.map((sentence) => (
                <div key={sentence}>{sentence}</div>
              ))}
            </Alert>
          )}
          <Panel title="What is monitored">
            <TypePicker value={form.values.type} onChange={changeType} />
            <TargetFields />
          </Panel>
          <Panel title="Name and schedule">
            <SimpleGrid cols={{ base: 1, xs: 2 }}>
              <TextInput
                label="Name"
                description={!editing && slug ? `Object name: ${slug}` : 'Free text, for people'}
                placeholder="Shop home page"
                required
                {...form.getInputProps('name')}
              />
              <TextInput
                label="Interval"
                description="From 1s to 24h"
                placeholder="30s"
                required
                {...form.getInputProps('interval')}
              />
              <Autocomplete
                label="Group"
                description="Default: default"
                placeholder="default"
                data={distinct(monitors, 'group')}
                {...form.getInputProps('group')}
              />
              <Autocomplete
                label="Namespace"
                description={editing ? 'Cannot change' : "Default: the server's"}
                placeholder="default"
                disabled={editing}
                data={distinct(monitors, 'namespace')}
                {...form.getInputProps('namespace')}
              />
            </SimpleGrid>
          </Panel>
          <Panel title="Rule">
            <RuleField
              type={form.values.type}
              value={form.values.rule}
              refusal={typeof form.errors.rule === 'string' ? form.errors.rule : undefined}
              onChange={(rule) => {
                form.clearFieldError('rule')
                form.setFieldValue('rule', rule)
              }}
            />
          </Panel>
          <Group justify="flex-end" className={classes.submit}>
            {cancel}
            <Guarded blocked={blocked}>
              <Button type="submit" loading={saving} disabled={Boolean(blocked)}>
                {submitLabel}
              </Button>
            </Guarded>
          </Group>
        </div>
        <aside className={classes.side} aria-label="Test the draft">
          <DraftTest
            blocked={blocked}
            spec={() => {
              const values = form.getValues()
              const faults = checkForm({ ...values, name: values.name || 'draft' })
              if (Object.keys(faults).length > 0) {
                form.setErrors(faults)
                focusFirst(Object.keys(faults))
                return undefined
              }
              form.clearErrors()
              return draft(values)
            }}
            onRefused={refuse}
          />
        </aside>
      </form>
    </MonitorFormProvider>
  )

  function focusFirst(fields: string[]) {
    const first = fields[0]
    if (first && first !== 'rule') form.getInputNode(first)?.focus()
  }
}
