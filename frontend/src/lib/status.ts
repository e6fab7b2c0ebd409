import type { MonitorState, Result, StateWord } from '@/api/types'

/** The five states from worst to calmest: the order of lists and tiles. */
export const STATES: StateWord[] = ['Failed', 'Error', 'Unknown', 'OK', 'Paused']

interface StateText {
  /** The word people read. */
  label: string
  /** What it means, in a sentence. */
  meaning: string
  /** The suffix of its colour tokens. */
  token: 'ok' | 'error' | 'failed' | 'unknown' | 'paused'
}

export const STATE_TEXT: Record<StateWord, StateText> = {
  OK: { label: 'Up', meaning: 'The last run succeeded and its rule holds.', token: 'ok' },
  Error: { label: 'Error', meaning: 'The target answers, but the rule does not hold.', token: 'error' },
  Failed: { label: 'Failed', meaning: 'The run itself failed: no answer, no connection or no name.', token: 'failed' },
  Unknown: {
    label: 'Unknown',
    meaning: 'There is no result yet, or nothing can be said about the target.',
    token: 'unknown',
  },
  Paused: { label: 'Paused', meaning: 'It is not probed until it is resumed.', token: 'paused' },
}

/** Worst first: 0 for Failed. */
export function stateRank(state: StateWord): number {
  return STATES.indexOf(state)
}

/** The state word of a stored result. */
export function resultState(result: Pick<Result, 'status'> & { unknown?: boolean | null }): StateWord {
  if (result.unknown) return 'Unknown'
  return result.status === 0 ? 'OK' : result.status === 1 ? 'Error' : 'Failed'
}

/** The bounded reason as a few words: `connect_refused` → `Connection refused`. */
export function reasonWords(reason: string | null | undefined): string {
  if (!reason || reason === 'ok') return ''
  const known = REASON_WORDS[reason]
  if (known) return known
  const words = reason.replaceAll('_', ' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/** Why a monitor is in its state, in words; empty while all is well. */
export function stateSentence(state: MonitorState): string {
  if (state.status === 'OK') return ''
  if (state.status === 'Paused') return STATE_TEXT.Paused.meaning
  if (state.message) return state.message
  const words = reasonWords(state.reason)
  return words ? `${words}.` : STATE_TEXT[state.status].meaning
}

const REASON_WORDS: Record<string, string> = {
  rule_false: 'Rule does not hold',
  rule_error: 'Rule could not be evaluated',
  rule_timeout: 'Rule took too long',
  body_too_large: 'Body too large',
  dns_nxdomain: 'Name does not exist',
  dns_no_records: 'No record of this type',
  dns_timeout: 'DNS timeout',
  dns_servfail: 'DNS server failed',
  dns_refused: 'DNS server refused',
  dns_error: 'Name not resolved',
  connect_refused: 'Connection refused',
  connect_timeout: 'Connection timeout',
  connect_reset: 'Connection reset',
  no_route: 'No route to the address',
  connect_error: 'Connection failed',
  tls_expired: 'Certificate expired',
  tls_not_yet_valid: 'Certificate not valid yet',
  tls_untrusted: 'Certificate not trusted',
  tls_wrong_host: 'Certificate for another host',
  tls_invalid: 'Certificate not valid',
  tls_handshake: 'TLS handshake failed',
  timeout: 'Timeout',
  http_protocol: 'Not valid HTTP',
  http_closed: 'Closed before the answer was complete',
  http_too_many_redirects: 'Too many redirects',
  http_bad_redirect: 'Bad redirect',
  ping_no_reply: 'No echo reply',
  icmp_not_permitted: 'ICMP not permitted',
  icmp_error: 'Echo request not sent',
  blocked_by_policy: 'Blocked by the target policy',
  runner_stalled: 'Runner was held up',
  skipped_host_limit: 'Too many runs against this host',
  internal: 'Internal fault of the runner',
}
