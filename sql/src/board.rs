//! The board: the small present state of everything, as lists, overview and the operator's health feed need it.

use nanomon_core::reason::Reason;
use nanomon_core::verdict::Status;

use jiff::Timestamp;

use crate::error::Result;
use crate::{MonitorId, PoolId, RunnerId, SeriesId, Slot, Store};

/// The present state of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesBoard {
    /// Monitor.
    pub monitor_id: MonitorId,
    /// Series.
    pub series_id: SeriesId,
    /// Pool.
    pub pool_id: PoolId,
    /// Newest folded slot.
    pub last_slot: Option<Slot>,
    /// Status of the newest result.
    pub status: Option<Status>,
    /// When `status` began.
    pub since: Slot,
    /// Status confirmed by the thresholds.
    pub confirmed: Option<Status>,
    /// Why it is not OK.
    pub reason: Reason,
    /// Milliseconds.
    pub value: Option<f32>,
    /// Start offset within the slot's second.
    pub start_ms: i16,
    /// Who ran it.
    pub runner_id: RunnerId,
    /// Key of the newest initial run that was stored; 0: none. Runners compare it with `monitors.activated_at`.
    pub activation: Slot,
}

/// The health of a monitor over its pools: a row of `monitor_health`, written at transitions only.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthRow {
    /// Monitor.
    pub monitor_id: MonitorId,
    /// The worst confirmed status among its pools with a fresh result; `None`: unknown.
    pub state: Option<Status>,
    /// Slot at which it began.
    pub since: Slot,
    /// PostgreSQL's time of the last change.
    pub changed_at: Timestamp,
}

impl Store {
    /// The state of every living series (one statement, ~3 ms per 10,000).
    pub async fn board_read(&self) -> Result<Vec<SeriesBoard>> {
        todo!()
    }

    /// The state of these monitors' series.
    pub async fn board_read_of(&self, _monitors: &[MonitorId]) -> Result<Vec<SeriesBoard>> {
        todo!()
    }

    /// Health rows changed at or after `since`, oldest first, with PostgreSQL's time of the read. Overlap by 15 s to lose nothing.
    pub async fn health_changes(&self, _since: Option<Timestamp>) -> Result<(Timestamp, Vec<HealthRow>)> {
        todo!()
    }
}
