//! The state fold: how stored results, in slot order, become a series' state and its transitions.

use crate::reason::Reason;
use crate::rollup::Bucket;
use crate::verdict::{Status, Verdict};

/// A result as far as folding and rollups need it: one row of `results`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FoldInput {
    /// Whole Unix second of the slot.
    pub slot: i32,
    /// Status and flags.
    pub verdict: Verdict,
    /// Why it is not OK.
    pub reason: Reason,
    /// The value in milliseconds.
    pub value: Option<f32>,
    /// The runner that ran it.
    pub runner_id: i16,
    /// Offset of the true start from the slot's second, in milliseconds.
    pub start_ms: i16,
    /// Phases for the rollup, in microseconds.
    pub phases: Phases,
}

/// The phases of a run in microseconds; 0 where the type or the run has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "named like the outputs")]
pub struct Phases {
    pub dns: u32,
    pub connect: u32,
    pub tls: u32,
    pub first_byte: u32,
    pub transfer: u32,
}

/// How many runs in a row confirm a change. Both at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Non-OK runs in a row before the confirmed state leaves OK.
    pub failures: i16,
    /// OK runs in a row before the confirmed state is OK again.
    pub successes: i16,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { failures: 3, successes: 1 }
    }
}

/// The state of a series: one row of `monitor_states`.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesState {
    /// Newest folded slot; `None` before the first.
    pub last_slot: Option<i32>,
    /// Status of the newest folded result.
    pub status: Option<Status>,
    /// Slot at which `status` began.
    pub since: i32,
    /// Status confirmed by the thresholds; `None` before the first result.
    pub confirmed: Option<Status>,
    /// Length of the current run of OK (positive) or non-OK (negative) results.
    pub streak: i16,
    /// Reason of the newest folded result.
    pub reason: Reason,
    /// Runner of the newest folded result.
    pub runner_id: i16,
    /// Value of the newest folded result.
    pub value: Option<f32>,
    /// True start of the newest folded result, relative to its slot's second.
    pub start_ms: i16,
    /// The open 5-minute bucket.
    pub open: Bucket,
}

/// A change that people want to know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Confirmed status before; `None` for the first ever.
    pub from: Option<Status>,
    /// Confirmed status now.
    pub to: Status,
    /// The slot that confirmed it.
    pub slot: i32,
}
