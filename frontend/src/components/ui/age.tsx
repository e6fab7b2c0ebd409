import { formatAge, formatDateTime } from '@/lib/format'
import { useNow } from '@/lib/use-now'

/** How long ago a moment was, kept up to date; the exact time is its title. */
export function Age({ at, suffix = '' }: { at: string | null | undefined; suffix?: string }) {
  const now = useNow()
  if (!at) return <span>–</span>
  const then = Date.parse(at)
  return (
    <time dateTime={at} title={formatDateTime(at)} className="nm-num">
      {formatAge(Math.max(0, now - then))}
      {suffix}
    </time>
  )
}
