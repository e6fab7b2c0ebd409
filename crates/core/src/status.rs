//! The state fold: how stored results, in slot order, become a series' state and its transitions.
//!
//! The invariant that `nanomon verify` checks: folding a series' rows without the bit `late`, in slot order, from
//! [`SeriesState::default`] gives its stored state. Whether a row is late was decided when it was stored (its slot was
//! not newer than [`SeriesState::last_slot`]); [`fold`] is total and passes over such rows.

use crate::codec::micros;
use crate::outcome::{OutputId, Outputs};
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

impl Phases {
    /// The phases among a run's outputs. The same before storing and after reading back, because the codec keeps
    /// microseconds exactly.
    pub fn from_outputs(outputs: &Outputs) -> Self {
        let phase = |id| {
            let us = outputs.number(id).and_then(micros).unwrap_or(0);
            u32::try_from(us).unwrap_or(u32::MAX)
        };
        Self {
            dns: phase(OutputId::DNS_TIME),
            connect: phase(OutputId::CONNECT_TIME),
            tls: phase(OutputId::TLS_TIME),
            first_byte: phase(OutputId::FIRST_BYTE_TIME),
            transfer: phase(OutputId::TRANSFER_TIME),
        }
    }
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
    /// Newest slot seen by [`fold`], unknown results included: what is not newer is late. `None` before the first.
    pub last_slot: Option<i32>,
    /// Status of the newest folded result; `None` before the first.
    pub status: Option<Status>,
    /// Slot at which `status` began; 0 before the first.
    pub since: i32,
    /// Status confirmed by the thresholds; `None` until something is confirmed.
    pub confirmed: Option<Status>,
    /// Length of the current run of OK (positive) or non-OK (negative) results; stops at ±32,767.
    pub streak: i16,
    /// Reason of the newest folded result.
    pub reason: Reason,
    /// Runner of the newest folded result.
    pub runner_id: i16,
    /// Value of the newest folded result.
    pub value: Option<f32>,
    /// True start of the newest folded result, relative to its slot's second.
    pub start_ms: i16,
    /// The open 5-minute bucket; moved on by [`crate::rollup::rollup_step`], not by [`fold`].
    pub open: Bucket,
}

impl Default for SeriesState {
    /// The state of a series without results.
    fn default() -> Self {
        Self {
            last_slot: None,
            status: None,
            since: 0,
            confirmed: None,
            streak: 0,
            reason: Reason::Ok,
            runner_id: 0,
            value: None,
            start_ms: 0,
            open: Bucket::default(),
        }
    }
}

impl SeriesState {
    /// Whether a result of this slot comes too late to be folded.
    pub fn is_late(&self, slot: i32) -> bool {
        self.last_slot.is_some_and(|last| slot <= last)
    }
}

/// A change of the confirmed status: what people may want to know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Confirmed status before; `None` for the first ever.
    pub from: Option<Status>,
    /// Confirmed status now; never equal to `from`.
    pub to: Status,
    /// The slot that confirmed it.
    pub slot: i32,
}

impl Transition {
    /// The series is now confirmed not to be OK and was not before: an incident begins.
    pub fn is_alert(&self) -> bool {
        self.to != Status::Ok && self.from.is_none_or(|from| from == Status::Ok)
    }

    /// The series is OK again after it was confirmed not to be: an incident ends.
    pub fn is_recovery(&self) -> bool {
        self.to == Status::Ok && self.from.is_some_and(|from| from != Status::Ok)
    }

    /// Error became Failed or the other way round within one incident.
    pub fn is_change_of_kind(&self) -> bool {
        self.to != Status::Ok && self.from.is_some_and(|from| from != Status::Ok)
    }
}

/// Folds one result into the state of its series. Results come in slot order.
///
/// - A late result (marked so, or not newer than `last_slot`) changes nothing.
/// - An unknown result moves `last_slot` only: older slots that come after it are late, but status, streak,
///   confirmation and `since` stay, for it says nothing about the target.
/// - Every other result is folded, those within maintenance and initial runs (`extra`) too.
/// - Error and Failed count alike towards `thresholds.failures`. Once not OK is confirmed, the confirmed status follows
///   the kind of the newest non-OK result; such a change is a [`Transition`] too ([`Transition::is_change_of_kind`]).
/// - While nothing is confirmed, or OK is, one OK result suffices for OK; after a confirmed failure it takes
///   `thresholds.successes` in a row.
pub fn fold(state: &mut SeriesState, input: &FoldInput, thresholds: Thresholds) -> Option<Transition> {
    if input.verdict.is_late() || state.is_late(input.slot) {
        return None;
    }
    state.last_slot = Some(input.slot);
    if input.verdict.is_unknown() {
        return None;
    }
    let status = input.verdict.status();
    if state.status != Some(status) {
        state.status = Some(status);
        state.since = input.slot;
    }
    state.reason = input.reason;
    state.runner_id = input.runner_id;
    state.value = input.value;
    state.start_ms = input.start_ms;
    let failing = state.confirmed.is_some_and(|confirmed| confirmed != Status::Ok);
    let confirmed = if status == Status::Ok {
        state.streak = state.streak.max(0).saturating_add(1);
        !failing || state.streak >= thresholds.successes
    } else {
        state.streak = state.streak.min(0).saturating_sub(1).max(-i16::MAX);
        failing || -state.streak >= thresholds.failures
    };
    if !confirmed || state.confirmed == Some(status) {
        return None;
    }
    let from = state.confirmed.replace(status);
    Some(Transition { from, to: status, slot: input.slot })
}

#[cfg(test)]
mod tests;
