import { config } from '@/api/config'
import type { Monitor } from '@/api/types'

/** Why nothing can be written at all, or undefined if it can. */
export function writeBlock(): string | undefined {
  const { writable, writeBlockedReason } = config()
  return writable ? undefined : (writeBlockedReason ?? 'This server takes no changes.')
}

/** The server's words as a sentence of their own. */
function sentence(words: string): string {
  const capital = words.charAt(0).toUpperCase() + words.slice(1)
  return /[.!?]$/.test(capital) ? capital : `${capital}.`
}

/** Why this monitor cannot be changed here, or undefined if it can. */
export function editBlock(monitor: Monitor): string | undefined {
  const { managedBy } = monitor
  if (managedBy.editable) return writeBlock()
  if (managedBy.reason) return sentence(managedBy.reason)
  return managedBy.owner ? `It is managed by ${managedBy.owner}.` : 'It is managed elsewhere.'
}
