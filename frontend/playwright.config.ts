import { defineConfig } from '@playwright/test'

/**
 * The tests drive a running NanoMon at BASE_URL (such as `nanomon standalone`); they neither start nor stop it. CHROMIUM
 * names the browser if it is not where Debian puts it.
 */
export default defineConfig({
  testDir: 'e2e',
  outputDir: 'test-results',
  forbidOnly: Boolean(process.env.CI),
  // One server, one group of monitors: the files take turns.
  workers: 1,
  fullyParallel: false,
  retries: 0,
  timeout: 60_000,
  expect: { timeout: 15_000 },
  reporter: [['list']],
  use: {
    baseURL: process.env.BASE_URL ?? 'http://127.0.0.1:8000',
    viewport: { width: 1360, height: 900 },
    locale: 'en-GB',
    actionTimeout: 10_000,
    trace: 'retain-on-failure',
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-quic', '--disable-dev-shm-usage'],
    },
  },
})
