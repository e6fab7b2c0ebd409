import type { Page } from '@playwright/test'

import { expect, GROUP, test } from './support/test'

async function nameIt(page: Page, name: string, interval = '1s') {
  await page.getByRole('textbox', { name: 'Name', exact: true }).fill(name)
  await page.getByRole('textbox', { name: 'Interval' }).fill(interval)
  await page
    .getByRole('combobox', { name: 'Group' })
    .or(page.getByRole('textbox', { name: 'Group' }))
    .fill(GROUP)
  await page.keyboard.press('Escape')
}

async function create(page: Page, name: string) {
  await page.getByRole('button', { name: 'Create monitor' }).click()
  await expect(page.getByRole('heading', { name, level: 1 })).toBeVisible()
}

test.describe('the form', () => {
  test('creates an HTTP monitor', async ({ page, target }) => {
    await page.goto('/')
    await page.getByRole('link', { name: 'New monitor' }).click()
    await page.getByRole('textbox', { name: 'URL' }).fill(target.url)
    await nameIt(page, 'e2e http')
    await page.getByRole('button', { name: 'Headers, body, TLS and redirects' }).click()
    await page.getByRole('button', { name: 'Add a header' }).click()
    await page.getByRole('textbox', { name: 'Name of header 1' }).fill('Accept')
    await page.getByRole('textbox', { name: 'Value of header 1' }).fill('text/plain')
    await page.getByRole('textbox', { name: 'Body regex' }).fill('version (\\d+)')
    await page.getByRole('textbox', { name: 'Rule' }).fill('status == 200 && regexMatch == 2')
    await expect(page.getByText('The rule is valid.')).toBeVisible()
    await create(page, 'e2e http')
    await expect(page.getByTestId('state')).toHaveText('Up')
  })

  test('creates a TCP monitor', async ({ page, target }) => {
    await page.goto('/monitors/new')
    await page.getByText('Open a port').click()
    await page.getByRole('textbox', { name: 'Address' }).fill(`127.0.0.1:${target.port}`)
    await nameIt(page, 'e2e tcp')
    await create(page, 'e2e tcp')
    await expect(page.getByTestId('state')).toHaveText('Up')
  })

  test('creates a ping monitor from a template', async ({ page }) => {
    await page.goto('/monitors/new')
    await page.getByRole('link', { name: 'Host by ping' }).click()
    await expect(page.getByRole('textbox', { name: 'Rule' })).toHaveText('packetLoss == 0')
    await page.getByRole('textbox', { name: 'Host' }).fill('127.0.0.1')
    await page.getByRole('textbox', { name: 'Echo requests' }).fill('2')
    await nameIt(page, 'e2e ping', '2s')
    await create(page, 'e2e ping')
    // Whether ICMP is permitted is the machine's choice; that it ran is not.
    await expect(page.getByTestId('state')).not.toHaveText('Unknown')
  })

  test('creates a DNS monitor', async ({ page }) => {
    await page.goto('/monitors/new?type=dns')
    await page.getByRole('textbox', { name: 'Name to look up' }).fill('localhost')
    await page
      .getByRole('combobox', { name: 'Record type' })
      .or(page.getByRole('textbox', { name: 'Record type' }))
      .click()
    await page.getByRole('option', { name: 'AAAA' }).click()
    await page.getByRole('textbox', { name: 'Server' }).fill('127.0.0.1:9')
    await nameIt(page, 'e2e dns', '5s')
    await create(page, 'e2e dns')
    await page.getByRole('tab', { name: 'Settings' }).click()
    await expect(page.getByRole('tabpanel')).toContainText('AAAA')
    await expect(page.getByTestId('state')).toHaveText('Failed')
  })

  test('edits a monitor and keeps what it was not asked to change', async ({ page, monitors, target }) => {
    const id = await monitors.create('e2e before', {
      interval: '10s',
      http: { url: target.url, headers: [{ name: 'X-Kept', value: 'yes' }] },
      rule: 'status == 200',
    })
    await page.goto(`/monitors/${id}`)
    await page.getByRole('link', { name: 'Edit' }).click()
    await expect(page.getByRole('textbox', { name: 'Name of header 1' })).toHaveValue('X-Kept')
    await page.getByRole('textbox', { name: 'Name', exact: true }).fill('e2e after')
    await page.getByRole('textbox', { name: 'Rule' }).fill('status == 201')
    await page.getByRole('button', { name: 'Save changes' }).click()
    await expect(page.getByRole('heading', { name: 'e2e after' })).toBeVisible()
    await expect(page.getByTestId('state')).toHaveText('Error')
    await page.getByRole('tab', { name: 'Manifest' }).click()
    await expect(page.getByRole('tabpanel')).toContainText('X-Kept')
    await expect(page.getByRole('tabpanel')).toContainText('status == 201')
  })

  test('does not overwrite what somebody else changed meanwhile', async ({
    page,
    monitors,
    target,
    request,
    expectedStatuses,
  }) => {
    expectedStatuses.add(412)
    const id = await monitors.create('e2e shared', { interval: '10s', http: { url: target.url } })
    await page.goto(`/monitors/${id}/edit`)
    await expect(page.getByRole('textbox', { name: 'URL' })).toHaveValue(target.url)
    const other = await request.put(`/api/monitors/${id}`, {
      data: { name: 'e2e theirs', spec: { group: GROUP, interval: '20s', http: { url: target.url } } },
    })
    expect(other.status()).toBe(200)
    await page.getByRole('textbox', { name: 'Name', exact: true }).fill('e2e mine')
    await page.getByRole('button', { name: 'Save changes' }).click()
    await expect(page.getByRole('alert')).toContainText('It was not saved')
    const after = (await monitors.list()).find((monitor) => monitor.id === id)
    expect(after?.name).toBe('e2e theirs')
  })

  test('tests a draft before it is saved', async ({ page, monitors, target }) => {
    const before = (await monitors.list()).length
    await page.goto('/monitors/new')
    await page.getByRole('textbox', { name: 'URL' }).fill(target.url)
    await page.getByRole('textbox', { name: 'Rule' }).fill('status == 200')
    await page.getByRole('button', { name: 'Test' }).click()
    const outcome = page.getByTestId('outcome')
    await expect(outcome).toContainText('Up')
    await expect(outcome).toContainText('firstByteTime')

    target.status = 404
    await page.getByRole('button', { name: 'Test' }).click()
    await expect(outcome).toContainText('Error')
    await expect(outcome).toContainText('404')
    expect((await monitors.list()).length).toBe(before)
  })

  test('points at what is missing', async ({ page }) => {
    await page.goto('/monitors/new')
    await page.getByRole('textbox', { name: 'Interval' }).fill('soon')
    await page.getByRole('button', { name: 'Create monitor' }).click()
    await expect(page.getByText('Give the monitor a name.')).toBeVisible()
    await expect(page.getByText('Which URL is requested?')).toBeVisible()
    await expect(page.getByText(/Write a duration such as/)).toBeVisible()
    await expect(page.getByRole('textbox', { name: 'Interval' })).toHaveAttribute('aria-invalid', 'true')
  })

  test("shows the server's refusal at its field", async ({ page, target, monitors, expectedStatuses }) => {
    expectedStatuses.add(400)
    expectedStatuses.add(422)
    await page.goto('/monitors/new')
    await nameIt(page, 'e2e refused', '10s')
    await page.getByRole('textbox', { name: 'URL' }).fill('http://user:secret@127.0.0.1/')
    await page.getByRole('button', { name: 'Create monitor' }).click()
    const url = page.getByRole('textbox', { name: 'URL' })
    await expect(url).toHaveAttribute('aria-invalid', 'true')

    await url.fill(target.url)
    await page.getByRole('button', { name: 'Headers, body, TLS and redirects' }).click()
    await page.getByRole('textbox', { name: 'Body regex' }).fill('(')
    await page.getByRole('button', { name: 'Create monitor' }).click()
    await expect(page.getByRole('textbox', { name: 'Body regex' })).toHaveAttribute('aria-invalid', 'true')
    expect((await monitors.list()).some((monitor) => monitor.name === 'e2e refused')).toBe(false)
  })

  test('checks the rule while it is typed', async ({ page }) => {
    await page.goto('/monitors/new')
    const rule = page.getByRole('textbox', { name: 'Rule' })
    await rule.fill('status == 200 && nosuch > 1')
    await expect(page.locator('.cm-lintRange-error')).toHaveText('nosuch')
    await rule.fill('status == 200 && respTime < 5')
    await expect(page.getByText('The rule is valid.')).toBeVisible()
    await expect(page.locator('.cm-lintRange-error')).toHaveCount(0)

    await rule.fill('certEx')
    await rule.press('End')
    await rule.press('Control+Space')
    await page.getByRole('option', { name: /certExpiryDays/ }).click()
    await expect(rule).toHaveText('certExpiryDays')
  })
})
