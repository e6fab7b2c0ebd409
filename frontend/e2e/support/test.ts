import { test as base, expect, type APIRequestContext, type Page } from '@playwright/test'

import { Target } from './target'

/** Everything these tests make is in this group; what a killed run left behind is removed by the next one. */
export const GROUP = 'dashboard-e2e'

interface Fixtures {
  /** Monitors made through the API; they are gone after the test. */
  monitors: Monitors
  /** A web server on loopback to probe. */
  target: Target
  /** Refusals that a test provokes: statuses whose console line is expected. */
  expectedStatuses: Set<number>
}

interface Stored {
  id: number
  name: string
  group: string
  managedBy: { editable: boolean }
}

/** Makes and removes monitors through the API. */
export class Monitors {
  readonly #request: APIRequestContext

  constructor(request: APIRequestContext) {
    this.#request = request
  }

  async list(): Promise<Stored[]> {
    const answer = await this.#request.get('/api/monitors')
    expect(answer.status()).toBe(200)
    return (await answer.json()) as Stored[]
  }

  async create(name: string, spec: Record<string, unknown>): Promise<number> {
    const answer = await this.#request.post('/api/monitors', { data: { name, spec: { group: GROUP, ...spec } } })
    expect(answer.status(), await answer.text()).toBe(200)
    return ((await answer.json()) as Stored).id
  }

  async removeAll(): Promise<void> {
    const mine = (await this.list()).filter((monitor) => monitor.group === GROUP)
    for (const monitor of mine) {
      const answer = await this.#request.delete(`/api/monitors/${monitor.id}`)
      expect([204, 404]).toContain(answer.status())
    }
  }
}

/** The browser's line for an answer of 400 and above. */
const REFUSED = /Failed to load resource: the server responded with a status of (\d+)/

function watch(page: Page, origin: string, expected: Set<number>): string[] {
  const faults: string[] = []
  page.on('pageerror', (error) => faults.push(`page error: ${error.message}`))
  page.on('console', (message) => {
    if (message.type() !== 'error') return
    const status = REFUSED.exec(message.text())?.[1]
    if (status && expected.has(Number(status))) return
    faults.push(`console: ${message.text()}`)
  })
  page.on('request', (request) => {
    const url = new URL(request.url())
    if (/^https?:$/.test(url.protocol) && url.origin !== origin) faults.push(`third-party request: ${url.href}`)
  })
  return faults
}

/** A page that fails its test on any page error, console error or third-party request. */
export const test = base.extend<Fixtures>({
  // oxlint-disable-next-line no-empty-pattern -- Playwright wants the pattern
  expectedStatuses: async ({}, use) => {
    await use(new Set())
  },
  monitors: async ({ request }, use) => {
    const monitors = new Monitors(request)
    await monitors.removeAll()
    await use(monitors)
    await monitors.removeAll()
  },
  // oxlint-disable-next-line no-empty-pattern -- Playwright wants the pattern
  target: async ({}, use) => {
    const target = await Target.start()
    await use(target)
    await target.stop()
  },
  // Depends on `monitors`, so that it is judged before they go and its polling finds nothing.
  page: async ({ page, baseURL, expectedStatuses, monitors: _monitors }, use) => {
    const faults = watch(page, new URL(baseURL ?? '').origin, expectedStatuses)
    await use(page)
    await page.goto('about:blank')
    expect(faults).toEqual([])
  },
})

export { expect }
