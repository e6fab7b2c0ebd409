import { ActionIcon, Autocomplete, Button, Checkbox, Collapse, Group, Textarea, TextInput } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconChevronRight, IconPlus, IconTrash } from '@tabler/icons-react'

import { useMonitorForm } from './form-context'
import classes from './monitor-form.module.css'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']
const MONO = { input: { fontFamily: 'var(--nm-mono)', fontSize: '13px' } }

/** What an HTTP probe sends and how it treats the answer. */
export function HttpFields() {
  const form = useMonitorForm()
  const { http } = form.values
  const used =
    http.headers.length > 0 || http.body !== '' || http.bodyRegex !== '' || !http.validateTLS || !http.followRedirects
  const faulty = Object.keys(form.errors).some((field) => /^http\.(headers|body|bodyRegex)/.test(field))
  const [asked, { toggle }] = useDisclosure(used)
  const open = asked || faulty
  return (
    <>
      <div className={classes.urlLine}>
        <Autocomplete
          label="Method"
          description="Default GET"
          data={METHODS}
          styles={MONO}
          {...form.getInputProps('http.method')}
        />
        <TextInput
          label="URL"
          description="Absolute, http or https"
          placeholder="https://shop.example/health"
          required
          inputMode="url"
          styles={MONO}
          {...form.getInputProps('http.url')}
        />
        <TextInput label="Timeout" description="Default 5s" placeholder="5s" {...form.getInputProps('http.timeout')} />
      </div>
      <button type="button" className={classes.more} aria-expanded={open} onClick={toggle}>
        <IconChevronRight size={14} aria-hidden="true" /> Headers, body, TLS and redirects
      </button>
      <Collapse expanded={open}>
        <Headers />
        <Textarea
          mt="md"
          label="Body"
          description="Sent with the request"
          autosize
          minRows={2}
          maxRows={10}
          styles={MONO}
          {...form.getInputProps('http.body')}
        />
        <TextInput
          mt="md"
          label="Body regex"
          description="Its first group, or the whole match, becomes the output regexMatch"
          placeholder="version (\d+)"
          styles={MONO}
          {...form.getInputProps('http.bodyRegex')}
        />
        <Group mt="md" gap="xl">
          <Checkbox label="Check the certificate" {...form.getInputProps('http.validateTLS', { type: 'checkbox' })} />
          <Checkbox label="Follow redirects" {...form.getInputProps('http.followRedirects', { type: 'checkbox' })} />
        </Group>
      </Collapse>
    </>
  )
}

function Headers() {
  const form = useMonitorForm()
  const { headers } = form.values.http
  return (
    <fieldset className={classes.headers}>
      <legend>Headers</legend>
      {headers.map((_, index) => (
        // A header has no identity but its place.
        // oxlint-disable-next-line react/no-array-index-key
        <div key={index} className={classes.headerLine}>
          <TextInput
            aria-label={`Name of header ${index + 1}`}
            placeholder="Accept"
            styles={MONO}
            {...form.getInputProps(`http.headers.${index}.name`)}
          />
          <TextInput
            aria-label={`Value of header ${index + 1}`}
            placeholder="application/json"
            styles={MONO}
            {...form.getInputProps(`http.headers.${index}.value`)}
          />
          <ActionIcon
            variant="subtle"
            color="gray"
            size={36}
            aria-label={`Remove header ${index + 1}`}
            onClick={() => form.removeListItem('http.headers', index)}
          >
            <IconTrash size={16} />
          </ActionIcon>
        </div>
      ))}
      <Button
        variant="default"
        size="compact-sm"
        leftSection={<IconPlus size={14} />}
        onClick={() => form.insertListItem('http.headers', { name: '', value: '' })}
      >
        Add a header
      </Button>
    </fieldset>
  )
}
