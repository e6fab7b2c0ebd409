import { expect, GROUP, test } from './support/test'

test.describe('the list', () => {
  test('follows a monitor from up to error to failed and back without reload', async ({ page, monitors, target }) => {
    await monitors.create('e2e live', {
      interval: '1s',
      http: { url: target.url, timeout: '500ms' },
      rule: 'status == 200',
    })
    await page.goto(`/?group=${GROUP}`)
    const row = page.getByRole('row', { name: /e2e live/ })
    await expect(row).toContainText('Up')
    await expect(row).toContainText(/\d ms/)

    target.status = 503
    await expect(row).toContainText('Error')
    await expect(row).toContainText('Rule does not hold')

    target.status = 200
    await expect(row).toContainText('Up')

    await target.stop()
    await expect(row).toContainText('Failed')
    await expect(row).toContainText('Connection refused')
    await expect(page.getByRole('button', { name: /^Failed/ })).toContainText('1')
  })

  test('keeps search, filters, grouping and sort in the address', async ({ page, monitors, target }) => {
    const http = { url: target.url }
    await monitors.create('e2e alpha', { interval: '10s', http })
    await monitors.create('e2e beta', { interval: '10s', tcp: { address: `127.0.0.1:${target.port}` } })
    await page.goto(`/?group=${GROUP}`)
    const rows = page.getByRole('row', { name: /e2e / })
    await expect(rows).toHaveCount(2)

    await page.keyboard.press('/')
    await expect(page.getByRole('textbox', { name: 'Search monitors' })).toBeFocused()
    await page.keyboard.type('ALPHA e2e')
    await expect(rows).toHaveCount(1)
    await expect(page).toHaveURL(/q=ALPHA/)
    await page.keyboard.press('Escape')
    await expect(rows).toHaveCount(2)

    await page.getByRole('combobox', { name: 'Type' }).click()
    await page.getByRole('option', { name: 'TCP' }).click()
    await expect(rows).toHaveCount(1)
    await expect(rows).toContainText('e2e beta')
    await expect(page).toHaveURL(/type=tcp/)

    await page.reload()
    await expect(rows).toHaveCount(1)

    await page.goto(`/?group=${GROUP}&sort=name&desc=true`)
    await expect(rows).toHaveCount(2)
    await expect(rows.first()).toContainText('e2e beta')
    await page.getByRole('columnheader', { name: 'Monitor' }).getByRole('button').click()
    await expect(rows.first()).toContainText('e2e alpha')

    await page.goto(`/?group=${GROUP}&by=type`)
    await expect(page.getByRole('row', { name: /^http/i })).toBeVisible()
    await expect(page.getByRole('row', { name: /^tcp/i })).toBeVisible()
  })

  test('says so when nothing matches, and leads back', async ({ page, monitors, target }) => {
    await monitors.create('e2e lonely', { interval: '10s', http: { url: target.url } })
    await page.goto('/?q=no-monitor-has-this-name')
    await expect(page.getByRole('heading', { name: 'No monitor matches' })).toBeVisible()
    await page.getByRole('button', { name: 'Clear the filters' }).click()
    await expect(page.getByRole('row', { name: /e2e lonely/ })).toBeVisible()
  })

  test('shows hostile text as text', async ({ page, monitors, target }) => {
    const name = '<img src=x onerror=alert(1)> & "quotes" \u202eRTL 🙂'
    await monitors.create(name, { interval: '10s', http: { url: target.url } })
    await page.goto(`/?group=${GROUP}`)
    await expect(page.getByRole('link', { name: /<img src=x/ })).toBeVisible()
    expect(await page.locator('img').count()).toBe(0)
  })
})

test('an unknown address is explained', async ({ page }) => {
  await page.goto('/no/such/page')
  await expect(page.getByRole('heading', { name: 'There is no such page' })).toBeVisible()
  await page.getByRole('link', { name: 'Show all monitors' }).click()
  await expect(page.getByRole('heading', { name: 'Monitors', level: 1 })).toBeVisible()
})

test('results and about are reachable from the menu', async ({ page, monitors, target }) => {
  await monitors.create('e2e result', { interval: '1s', http: { url: target.url } })
  await page.goto('/')
  await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Results' }).click()
  await expect(page.getByRole('heading', { name: 'Results', level: 1 })).toBeVisible()
  await page.getByRole('textbox', { name: 'Search results' }).fill('e2e result')
  await expect(page.getByRole('link', { name: 'e2e result' }).first()).toBeVisible()

  await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'About' }).click()
  await expect(page.getByText('Reachable', { exact: true })).toBeVisible()
  await expect(page.getByRole('link', { name: /API reference/ })).toHaveAttribute('href', /\/api\/docs$/)
})
