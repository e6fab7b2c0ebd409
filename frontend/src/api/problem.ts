import type { Problem } from '@/api/types'

/** An answer that is not 2xx, or no answer at all (`status` 0). */
export class ApiError extends Error {
  readonly status: number
  /** Faults of single fields, by the API's field names. */
  readonly fields: { field: string; message: string }[]

  constructor(status: number, message: string, fields: { field: string; message: string }[] = []) {
    super(message)
    this.name = 'ApiError'
    this.status = status
    this.fields = fields
  }
}

/** Makes an {@link ApiError} from a problem document, or from whatever else came back. */
export function toApiError(status: number, body: unknown): ApiError {
  if (typeof body === 'object' && body !== null) {
    const problem = body as Problem
    const message = problem.detail || problem.title
    if (message) return new ApiError(status, message, problem.errors ?? [])
  }
  if (status === 0) return new ApiError(0, 'The server cannot be reached.')
  return new ApiError(status, `The server answered ${status}.`)
}

/** A sentence for people, whatever was thrown. */
export function errorSentence(error: unknown): string {
  if (error instanceof ApiError) return error.message
  if (error instanceof Error && error.message) return error.message
  return 'Something went wrong.'
}
