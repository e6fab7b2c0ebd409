/** What the host says about itself in `/config.json`. */
export interface AppConfig {
  API_ENDPOINT: string
  AUTH_CLIENT_ID: string
  AUTH_TENANT: string
  VERSION: string
  BUILD_INFO: string
  /** False: this server takes no writes, for `writeBlockedReason`. */
  writable: boolean
  writeBlockedReason?: string
  mode: 'standalone' | 'cluster'
}

const fallback: AppConfig = {
  API_ENDPOINT: '/api',
  AUTH_CLIENT_ID: '',
  AUTH_TENANT: '',
  VERSION: '',
  BUILD_INFO: '',
  writable: true,
  mode: 'standalone',
}

let current: AppConfig = fallback

/** Fetches the configuration once, before the first render. */
export async function loadConfig(): Promise<AppConfig> {
  const response = await fetch('/config.json', { cache: 'no-cache' })
  if (!response.ok) throw new Error(`/config.json answered ${response.status}`)
  current = { ...fallback, ...((await response.json()) as Partial<AppConfig>) }
  return current
}

/** The configuration that {@link loadConfig} fetched. */
export function config(): AppConfig {
  return current
}

/** The API's origin: `API_ENDPOINT` names the folder `/api`, the generated paths start with it themselves. */
export function apiOrigin(): string {
  return current.API_ENDPOINT.replace(/\/+$/, '').replace(/\/api$/, '')
}
