//! The health of monitors over their pools, and their incidents; always after the states' locks, in id order.

use crate::error::Result;
use crate::session::Session;
use crate::{MonitorId, SeriesId, Slot};
use nanomon_core::status::Transition;

/// Why an incident was closed. Numbers are stored: never renumber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub(crate) enum ClosedBy {
    /// Enough pools are OK again.
    Recovered = 1,
    /// The monitor was suspended, or has left all pools.
    Suspended = 2,
    /// The monitor was deleted.
    Deleted = 3,
}

const MAKE: &str = "insert into monitor_health (monitor_id) select w.id from unnest($1::int4[]) w(id) \
    where not exists (select from monitor_health h where h.monitor_id = w.id) order by 1 on conflict do nothing";
const LOCK: &str = "select monitor_id from monitor_health where monitor_id = any($1) order by monitor_id for update";
const END_INCIDENTS: &str = "update incidents set resolved = greatest(opened, $2), closed_by = $3 \
    where monitor_id = any($1) and resolved is null";
const END_HEALTH: &str = "update monitor_health set state = null, since = $2, changed_at = clock_timestamp() \
    where monitor_id = any($1) and state is not null";

/// Makes the rows that are absent.
pub(crate) async fn make(session: &Session, monitors: &[MonitorId]) -> Result<()> {
    session.execute(MAKE, &[&monitors]).await?;
    Ok(())
}

/// Nothing is known of these monitors any more: closes their incidents.
pub(crate) async fn end(session: &Session, monitors: &[MonitorId], now: Slot, by: ClosedBy) -> Result<()> {
    if monitors.is_empty() {
        return Ok(());
    }
    session.query(LOCK, &[&monitors]).await?;
    session.execute(END_INCIDENTS, &[&monitors, &now, &(by as i16)]).await?;
    session.execute(END_HEALTH, &[&monitors, &now]).await?;
    Ok(())
}

/// placeholder
pub(crate) async fn evaluate(
    _session: &Session,
    _monitors: &[MonitorId],
    _transitions: &[(MonitorId, SeriesId, Transition)],
    _now: Slot,
) -> Result<()> {
    Ok(())
}
