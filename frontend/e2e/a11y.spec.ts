import { AxeBuilder } from '@axe-core/playwright'
import type { Page } from '@playwright/test'

import { expect, GROUP, test } from './support/test'

async function expectAccessible(page: Page, what: string) {
  const { violations } = await new AxeBuilder({ page })
    .withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'])
    .analyze()
  const serious = violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(' ')).join(', ')}`)
  expect(serious, what).toEqual([])
}

for (const scheme of ['light', 'dark'] as const) {
  for (const device of ['desktop', 'phone'] as const) {
    test.describe(`${scheme}, ${device}`, () => {
      test.use({
        colorScheme: scheme,
        viewport: device === 'phone' ? { width: 390, height: 844 } : { width: 1360, height: 900 },
      })

      test('every page is accessible and fits its screen', async ({ page, monitors, target }) => {
        // Eight audits of whole pages, on machines that may be busy.
        test.setTimeout(240_000)
        const up = await monitors.create('e2e up', { interval: '1s', http: { url: target.url } })
        const wrong = await monitors.create('e2e wrong', {
          interval: '1s',
          http: { url: target.url },
          rule: 'status == 201',
        })
        await monitors.create('e2e paused', { interval: '1s', suspend: true, http: { url: target.url } })
        await monitors.create('e2e failed', { interval: '1s', tcp: { address: '127.0.0.1:1' } })

        const fits = async (what: string) => {
          const width = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
          expect(width, `${what} scrolls sideways`).toBeLessThanOrEqual(0)
        }

        await page.goto(`/?group=${GROUP}`)
        await expect(page.getByRole('row', { name: /e2e wrong/ })).toContainText('Error')
        await expect(page.getByRole('row', { name: /e2e failed/ })).toContainText('Failed')
        await expectAccessible(page, 'list')
        await fits('list')

        await page.goto(`/?group=${GROUP}&by=state`)
        await expect(page.getByRole('row', { name: /e2e wrong/ })).toBeVisible()
        await expectAccessible(page, 'grouped list')

        for (const id of [up, wrong]) {
          await page.goto(`/monitors/${id}?range=1h`)
          await page
            .getByRole('button', { name: /Outputs of the run/ })
            .first()
            .click()
          await expectAccessible(page, 'monitor')
          await fits('monitor')
        }
        await page.goto(`/monitors/${up}?tab=manifest`)
        await expect(page.getByText('apiVersion')).toBeVisible()
        await expectAccessible(page, 'manifest')

        await page.goto('/monitors/new?template=health')
        await expect(page.getByText('The rule is valid.')).toBeVisible()
        await page.getByRole('button', { name: 'Create monitor' }).click()
        await expect(page.getByText('Give the monitor a name.')).toBeVisible()
        await expectAccessible(page, 'form with faults')
        await fits('form')

        await page.goto('/results')
        await expect(page.getByRole('table')).toBeVisible()
        await expectAccessible(page, 'results')
        await fits('results')

        await page.goto('/about')
        await expect(page.getByText('Reachable', { exact: true })).toBeVisible()
        await expectAccessible(page, 'about')
        await fits('about')
      })
    })
  }
}

test('the list is used with the keyboard alone', async ({ page, monitors, target }) => {
  await monitors.create('e2e keyboard', { interval: '10s', http: { url: target.url } })
  await page.goto(`/?group=${GROUP}`)
  await expect(page.getByRole('link', { name: 'e2e keyboard' })).toBeVisible()
  await page.keyboard.press('Tab')
  await expect(page.getByRole('link', { name: 'Skip to the content' })).toBeFocused()
  await page.keyboard.press('Enter')
  const link = page.getByRole('link', { name: 'e2e keyboard' })
  for (let presses = 0; presses < 30; presses += 1) {
    if (await link.evaluate((element) => element === document.activeElement)) break
    await page.keyboard.press('Tab')
  }
  await expect(link).toBeFocused()
  await page.keyboard.press('Enter')
  await expect(page.getByRole('heading', { name: 'e2e keyboard' })).toBeVisible()
})
