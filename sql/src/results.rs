//! The write path: one batch, one transaction, in data-path order: lock states, insert, fold, rollups, health, commit, notify.

use nanomon_core::reason::Reason;
use nanomon_core::status::{Phases, Transition};
use nanomon_core::verdict::Verdict;

use crate::error::Result;
use crate::{MonitorId, RunnerId, SeriesId, Slot, Store};

/// A finished run to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewResult {
    /// Series.
    pub series_id: SeriesId,
    /// Key: the slot's whole Unix second, or `activated_at` of an initial run.
    pub slot: Slot,
    /// Status with the flags UNKNOWN and EXTRA if they apply; LATE and MAINTENANCE are the store's.
    pub verdict: Verdict,
    /// Why it is not OK.
    pub reason: Reason,
    /// Milliseconds.
    pub value: Option<f32>,
    /// True start relative to the slot's second, clamped to 0..=32767 ms.
    pub start_ms: i16,
    /// Who ran it.
    pub runner_id: RunnerId,
    /// For rollups.
    pub phases: Phases,
    /// Encoded by `nanomon_core::codec`.
    pub outputs: Vec<u8>,
}

impl NewResult {
    /// Bytes that it holds while it waits, for the buffer's bound.
    pub fn bytes(&self) -> usize {
        std::mem::size_of::<Self>() + self.outputs.capacity()
    }
}

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BatchReport {
    /// Rows really inserted, by index into the batch.
    pub stored: Vec<usize>,
    /// Rows that were already there (a retry, or another runner was first).
    pub duplicate: usize,
    /// Rows of monitors or series that no longer live.
    pub dropped_gone: usize,
    /// Rows older than the clear mark.
    pub dropped_cleared: usize,
    /// Rows outside [now − 48 h, now + 5 s].
    pub dropped_out_of_range: usize,
    /// Stored but not folded.
    pub late: usize,
    /// Confirmed changes, with the monitor.
    pub transitions: Vec<(MonitorId, SeriesId, Transition)>,
}

impl Store {
    /// Stores at most 5,000 results. Idempotent: an unknown outcome is repeated with the same rows. Makes a missing partition.
    /// Errors: `Unavailable`/`Retry`: send the same batch again; `Data`: halve it until the bad row is alone.
    pub async fn result_write_batch(&self, _batch: &[NewResult]) -> Result<BatchReport> {
        todo!()
    }
}
