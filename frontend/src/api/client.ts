import createClient from 'openapi-fetch'

import type { paths } from '@/api/__generated__/schema'
import { apiOrigin } from '@/api/config'
import { ApiError, toApiError } from '@/api/problem'

type Client = ReturnType<typeof createClient<paths>>

let client: Client | undefined

/** The typed client; made on first use, when the configuration is known. */
export function api(): Client {
  client ??= createClient<paths>({ baseUrl: apiOrigin() })
  return client
}

interface Answer<T> {
  data?: T
  error?: unknown
  response: Response
}

/** Waits for an answer and returns its body, or throws an {@link ApiError}. */
export async function unwrap<T>(answer: Promise<Answer<T>>): Promise<T> {
  let settled: Answer<T>
  try {
    settled = await answer
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'AbortError') throw cause
    throw toApiError(0, undefined)
  }
  if (!settled.response.ok) throw toApiError(settled.response.status, settled.error)
  return settled.data as T
}

interface Remembered {
  etag: string
  body: unknown
}

const remembered = new Map<string, Remembered>()

/** The entity tag under which a polled resource was last seen. */
export function lastETag(path: string): string | undefined {
  return remembered.get(apiOrigin() + path)?.etag
}

/**
 * Polls a JSON resource with its entity tag. While nothing changed the very same object is returned, so nothing is
 * parsed, compared or rendered again.
 */
export async function getUnchanged<T>(path: string, signal?: AbortSignal): Promise<T> {
  const url = apiOrigin() + path
  const known = remembered.get(url)
  let response: Response
  try {
    response = await fetch(url, {
      signal: signal ?? null,
      cache: 'no-store',
      headers: { Accept: 'application/json', ...(known && { 'If-None-Match': known.etag }) },
    })
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'AbortError') throw cause
    throw new ApiError(0, 'The server cannot be reached.')
  }
  if (response.status === 304 && known) return known.body as T
  if (!response.ok) throw toApiError(response.status, await response.json().catch(() => undefined))
  const body = (await response.json()) as T
  const etag = response.headers.get('ETag')
  if (etag) remembered.set(url, { etag, body })
  else remembered.delete(url)
  return body
}
