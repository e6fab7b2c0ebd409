//! Stored results, read: one bounded statement per view.

use nanomon_core::{Outputs, Reason, Verdict};

use crate::error::Result;
use crate::{MonitorId, PoolId, RunnerId, SeriesId, Slot, Store};

/// A stored result.
#[derive(Debug, Clone, PartialEq)]
pub struct ResultRow {
    /// Monitor.
    pub monitor_id: MonitorId,
    /// Series.
    pub series_id: SeriesId,
    /// Pool.
    pub pool_id: PoolId,
    /// Key.
    pub slot: Slot,
    /// True start after the slot's second.
    pub start_ms: i16,
    /// Status and flags.
    pub verdict: Verdict,
    /// Why it is not OK.
    pub reason: Reason,
    /// Milliseconds.
    pub value: Option<f32>,
    /// Who ran it.
    pub runner_id: RunnerId,
    /// Decoded; empty if unreadable (`outputs_unreadable`).
    pub outputs: Outputs,
    /// Written by a newer version or damaged.
    pub outputs_unreadable: bool,
}

impl Store {
    /// The newest `max` (1 to 1,000) results of a monitor, newest first; an unknown monitor has none.
    pub async fn result_list(&self, _monitor: MonitorId, _max: u16) -> Result<Vec<ResultRow>> {
        todo!()
    }

    /// The newest `max` results over all living monitors, or over those of these namespaces.
    pub async fn result_list_latest(&self, _max: u16, _namespaces: Option<&[String]>) -> Result<Vec<ResultRow>> {
        todo!()
    }
}
