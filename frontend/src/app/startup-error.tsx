import { errorSentence } from '@/api/problem'

/** Shown when not even the configuration could be fetched; uses no library, since nothing is known to work. */
export function StartupError({ error }: { error: unknown }) {
  return (
    <main role="alert" style={{ maxWidth: 520, margin: '18vh auto', padding: 24, font: '15px/1.6 system-ui' }}>
      <h1 style={{ fontSize: 20 }}>NanoMon cannot be reached</h1>
      <p>The dashboard could not load its configuration: {errorSentence(error)}</p>
      <button type="button" onClick={() => window.location.reload()}>
        Try again
      </button>
    </main>
  )
}
