import { NumberInput, Select, SimpleGrid, TextInput } from '@mantine/core'

import { useMonitorForm } from './form-context'
import { HttpFields } from './http-fields'

const MONO = { input: { fontFamily: 'var(--nm-mono)', fontSize: '13px' } }

/** The fields of the chosen type. */
export function TargetFields() {
  const form = useMonitorForm()
  switch (form.values.type) {
    case 'http':
      return <HttpFields />
    case 'tcp':
      return <TcpFields />
    case 'ping':
      return <PingFields />
    case 'dns':
      return <DnsFields />
  }
}

function TcpFields() {
  const form = useMonitorForm()
  return (
    <SimpleGrid cols={{ base: 1, xs: 2 }}>
      <TextInput
        label="Address"
        description="Host and port"
        placeholder="db.example:5432"
        required
        styles={MONO}
        key={form.key('tcp.address')}
        {...form.getInputProps('tcp.address')}
      />
      <TextInput label="Timeout" description="Default 5s" placeholder="5s" {...form.getInputProps('tcp.timeout')} />
    </SimpleGrid>
  )
}

function PingFields() {
  const form = useMonitorForm()
  return (
    <>
      <TextInput
        label="Host"
        description="Name or address"
        placeholder="gw.example"
        required
        styles={MONO}
        {...form.getInputProps('ping.host')}
      />
      <SimpleGrid cols={{ base: 1, xs: 3 }} mt="md">
        <NumberInput
          label="Echo requests"
          description="Default 3, at most 20"
          placeholder="3"
          min={1}
          max={20}
          allowDecimal={false}
          {...form.getInputProps('ping.count')}
        />
        <TextInput
          label="Pause between"
          description="Default 150ms"
          placeholder="150ms"
          {...form.getInputProps('ping.interval')}
        />
        <TextInput label="Timeout" description="Default 1s" placeholder="1s" {...form.getInputProps('ping.timeout')} />
      </SimpleGrid>
    </>
  )
}

function DnsFields() {
  const form = useMonitorForm()
  return (
    <>
      <SimpleGrid cols={{ base: 1, xs: 2 }}>
        <TextInput
          label="Name to look up"
          description="Host name or domain"
          placeholder="example.org"
          required
          styles={MONO}
          {...form.getInputProps('dns.name')}
        />
        <Select
          label="Record type"
          description="What is asked for"
          allowDeselect={false}
          data={['A', 'AAAA', 'CNAME', 'TXT', 'MX', 'NS']}
          {...form.getInputProps('dns.recordType')}
        />
      </SimpleGrid>
      <SimpleGrid cols={{ base: 1, xs: 3 }} mt="md">
        <TextInput
          label="Server"
          description="Default: the runner's own"
          placeholder="1.1.1.1"
          styles={MONO}
          {...form.getInputProps('dns.server')}
        />
        <Select
          label="Addresses"
          description="For A lookups"
          allowDeselect={false}
          data={[
            { value: 'ip', label: 'IPv4 and IPv6' },
            { value: 'ip4', label: 'IPv4 only' },
            { value: 'ip6', label: 'IPv6 only' },
          ]}
          {...form.getInputProps('dns.network')}
        />
        <TextInput label="Timeout" description="Default 2s" placeholder="2s" {...form.getInputProps('dns.timeout')} />
      </SimpleGrid>
    </>
  )
}
