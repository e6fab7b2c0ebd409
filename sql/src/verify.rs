//! `nanomon verify`: replays stored rows and proves states and rollups.

use crate::Store;
use crate::error::Result;

/// What was checked and found.
#[derive(Debug, Clone, Default)]
pub struct VerifyReport {
    /// Series looked at.
    pub series: u64,
    /// Rows replayed.
    pub rows: u64,
    /// One sentence per broken invariant (at most 100), naming series, slot or bucket, and both values.
    pub faults: Vec<String>,
}

impl Store {
    /// Replays the whole database in one repeatable-read snapshot: (1) folding the rows without `late` in slot order gives
    /// `monitor_states`; (2) summing the rows gives the rollups, as far back as raw is kept.
    pub async fn verify(&self) -> Result<VerifyReport> {
        todo!()
    }
}
