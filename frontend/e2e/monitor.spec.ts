import { expect, GROUP, test } from './support/test'

test.describe('a monitor', () => {
  test('shows state, history, outputs and manifest', async ({ page, monitors, target }) => {
    const id = await monitors.create('e2e page', {
      interval: '1s',
      http: { url: target.url },
      rule: "status == 200 && body =~ 'ok'",
    })
    await page.goto(`/?group=${GROUP}`)
    await page.getByRole('link', { name: 'e2e page' }).click()
    await expect(page).toHaveURL(new RegExp(`/monitors/${id}$`))
    await expect(page.getByRole('heading', { name: 'e2e page' })).toBeVisible()
    await expect(page.getByTestId('state')).toHaveText('Up')
    await expect(page.getByText('Uptime 24 hours')).toBeVisible()

    await page.getByRole('radiogroup', { name: 'Range of the chart' }).getByText('1h').click()
    await expect(page).toHaveURL(/range=1h/)
    await expect(page.getByRole('img', { name: /Response time of e2e page/ }).locator('canvas')).toBeVisible()

    await page
      .getByRole('button', { name: /Outputs of the run/ })
      .first()
      .click()
    await expect(page.getByText('respTime', { exact: true }).first()).toBeVisible()
    await expect(page.getByText('ipAddress', { exact: true }).first()).toBeVisible()

    await page.getByRole('tab', { name: 'Settings' }).click()
    await expect(page.getByRole('tabpanel')).toContainText("status == 200 && body =~ 'ok'")

    await page.getByRole('tab', { name: 'Manifest' }).click()
    await expect(page.getByRole('tabpanel')).toContainText('kind: Monitor')
    await expect(page.getByRole('tabpanel')).toContainText(target.url)
    await page.reload()
    await expect(page.getByRole('tabpanel')).toContainText('kind: Monitor')
  })

  test('says in words why it fails', async ({ page, monitors, target }) => {
    const id = await monitors.create('e2e refused', { interval: '1s', tcp: { address: `127.0.0.1:${target.port}` } })
    await target.stop()
    await page.goto(`/monitors/${id}`)
    await expect(page.getByTestId('state')).toHaveText('Failed')
    await expect(page.getByTestId('reason')).toContainText('The connection was refused.')
  })

  test('runs now, pauses and resumes', async ({ page, monitors, target }) => {
    const id = await monitors.create('e2e act', { interval: '1h', http: { url: target.url } })
    await page.goto(`/monitors/${id}`)
    await page.getByRole('button', { name: 'Run now' }).click()
    await expect(page.getByTestId('outcome')).toContainText('Up')
    await expect(page.getByTestId('outcome')).toContainText('bodyLen')

    await page.getByRole('button', { name: 'Pause' }).click()
    await expect(page.getByTestId('state')).toHaveText('Paused')
    await page.getByRole('button', { name: 'Resume' }).click()
    await expect(page.getByTestId('state')).not.toHaveText('Paused')
  })

  test('is cloned', async ({ page, monitors, target }) => {
    const id = await monitors.create('e2e first', { interval: '10s', http: { url: target.url }, rule: 'status == 200' })
    await page.goto(`/monitors/${id}`)
    await page.getByRole('button', { name: 'More actions' }).click()
    await page.getByRole('menuitem', { name: 'Clone' }).click()
    await expect(page.getByRole('textbox', { name: 'URL' })).toHaveValue(target.url)
    await page.getByRole('textbox', { name: 'Name' }).fill('e2e second')
    await page.getByRole('button', { name: 'Create monitor' }).click()
    await expect(page.getByRole('heading', { name: 'e2e second' })).toBeVisible()
    await expect(page.getByTestId('state')).toHaveText('Up')
  })

  test('is deleted only after asking', async ({ page, monitors, target, expectedStatuses }) => {
    // The page that is left may still ask for what is gone.
    expectedStatuses.add(404)
    const id = await monitors.create('e2e doomed', { interval: '10s', http: { url: target.url } })
    await page.goto(`/monitors/${id}`)
    const ask = async () => {
      await page.getByRole('button', { name: 'More actions' }).click()
      await page.getByRole('menuitem', { name: 'Delete…' }).click()
    }
    await ask()
    const dialog = page.getByRole('dialog', { name: 'Delete this monitor?' })
    await expect(dialog).toContainText('e2e doomed')
    await dialog.getByRole('button', { name: 'Keep it' }).click()
    await expect(dialog).toBeHidden()
    expect((await monitors.list()).some((monitor) => monitor.id === id)).toBe(true)

    await ask()
    await dialog.getByRole('button', { name: 'Delete', exact: true }).click()
    await expect(page.getByRole('heading', { name: 'Monitors', level: 1 })).toBeVisible()
    await expect(page.getByRole('row', { name: /e2e doomed/ })).toHaveCount(0)
    expect((await monitors.list()).some((monitor) => monitor.id === id)).toBe(false)

    await page.goto(`/monitors/${id}`)
    await expect(page.getByRole('heading', { name: 'This monitor does not exist' })).toBeVisible()
  })

  test('that is owned elsewhere is read-only and says why', async ({ page, monitors }) => {
    const owned = (await monitors.list()).find((monitor) => !monitor.managedBy.editable)
    test.skip(!owned, 'this server has no monitor that is owned elsewhere')
    await page.goto(`/monitors/${owned?.id}`)
    await expect(page.getByRole('button', { name: 'Edit' })).toBeDisabled()
    await expect(page.getByRole('button', { name: /Pause|Resume/ })).toBeDisabled()
    await page.getByRole('note').first().hover()
    await expect(page.getByRole('tooltip')).not.toBeEmpty()
  })
})
