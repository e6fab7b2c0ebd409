//! What is remembered of each series for `/metrics`: the newest stored result and the counts of failures.
//!
//! Written by the recorder when PostgreSQL has stored a row (so that a result is counted once, whoever ran it), read by
//! scrapes; neither touches the probe thread.

use std::sync::atomic::{AtomicI16, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nanomon_core::status::Phases;
use nanomon_core::{ProbeType, Reason, Verdict};
use nanomon_sql::results::NewResult;
use nanomon_sql::{MonitorId, Slot};

/// Reasons counted one by one per series; further ones are counted as `other`.
pub const REASONS_MAX: usize = 8;

/// Who a series is, as labels and legacy names show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesName {
    /// The monitor.
    pub monitor_id: MonitorId,
    /// Its namespace.
    pub namespace: String,
    /// Its object name.
    pub name: String,
    /// Free text.
    pub display_name: String,
    /// The pool's name.
    pub pool: String,
    /// Kind of probe.
    pub probe: ProbeType,
}

/// The newest stored result of a series.
#[derive(Debug, Clone, Default)]
pub struct Last {
    /// Status and flags; `None` before the first.
    pub verdict: Option<Verdict>,
    /// Its slot.
    pub slot: Slot,
    /// Milliseconds.
    pub value: Option<f32>,
    /// Phases in microseconds.
    pub phases: Phases,
    /// Outputs as stored.
    pub outputs: Box<[u8]>,
    /// Slot of the newest OK result; 0 if there was none.
    pub last_success: Slot,
    /// Failures by reason, at most [`REASONS_MAX`].
    pub failures: Vec<(Reason, u64)>,
    /// Failures for reasons beyond these.
    pub other_failures: u64,
}

/// The meter of one series. Lives as long as its monitor is run here.
#[derive(Debug)]
pub struct SeriesMeter {
    name: SeriesName,
    last: Mutex<Last>,
    /// Status and the unknown flag of the newest stored result; -1 before the first.
    stored: AtomicI16,
}

const JUDGED: i16 = 0b11 | Verdict::UNKNOWN;

impl SeriesMeter {
    /// A meter for this series. `stored`: the status that PostgreSQL has, so that the first equal result is not urgent.
    pub fn new(name: SeriesName, stored: Option<Verdict>) -> Self {
        Self { name, last: Mutex::default(), stored: AtomicI16::new(stored.map_or(-1, |v| v.bits() & JUDGED)) }
    }

    fn lock(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who it is.
    pub fn name(&self) -> &SeriesName {
        &self.name
    }

    /// A copy of the newest stored result; `None` before the first.
    pub fn last(&self) -> Option<Last> {
        let last = self.lock();
        last.verdict.is_some().then(|| last.clone())
    }

    /// Looks at the newest stored result without copying it; `None` before the first.
    pub fn with_last<T>(&self, look: impl FnOnce(&Last) -> T) -> Option<T> {
        let last = self.lock();
        last.verdict.is_some().then(|| look(&last))
    }

    /// Whether a result with this verdict says something else than the newest stored one.
    pub fn differs(&self, verdict: Verdict) -> bool {
        self.stored.load(Ordering::Relaxed) != verdict.bits() & JUDGED
    }

    /// Takes over what the meter of the series' former definition has counted.
    pub fn inherit(&self, former: &Self) {
        let last = former.lock().clone();
        *self.lock() = last;
        self.stored.store(former.stored.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// PostgreSQL has stored this row. An older slot than the newest changes counts only.
    pub fn stored(&self, row: &NewResult) {
        let mut last = self.lock();
        let (status_ok, unknown) = (row.reason == Reason::Ok, row.verdict.is_unknown());
        if !status_ok && !unknown {
            last.count(row.reason);
        }
        if last.verdict.is_some() && row.slot <= last.slot {
            return;
        }
        self.stored.store(row.verdict.bits() & JUDGED, Ordering::Relaxed);
        last.verdict = Some(row.verdict);
        last.slot = row.slot;
        last.value = row.value;
        last.phases = row.phases;
        last.outputs = row.outputs.as_slice().into();
        if status_ok && !unknown {
            last.last_success = row.slot;
        }
    }

    /// A meter for tests of other parts.
    #[cfg(test)]
    pub(crate) fn for_tests(name: &str) -> Self {
        Self::new(
            SeriesName {
                monitor_id: 1,
                namespace: "default".to_owned(),
                name: name.to_owned(),
                display_name: name.to_owned(),
                pool: "default".to_owned(),
                probe: ProbeType::Http,
            },
            None,
        )
    }
}

impl Last {
    fn count(&mut self, reason: Reason) {
        if let Some((_, count)) = self.failures.iter_mut().find(|(known, _)| *known == reason) {
            *count += 1;
        } else if self.failures.len() < REASONS_MAX {
            self.failures.push((reason, 1));
        } else {
            self.other_failures += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::tests::pending;
    use nanomon_core::Status;

    fn row(slot: i32, status: Status, reason: Reason) -> NewResult {
        NewResult { verdict: Verdict::new(status), reason, ..pending(1, slot, 3).row }
    }

    #[test]
    fn the_newest_slot_counts_and_failures_add_up() {
        let meter = SeriesMeter::for_tests("m");
        assert!(meter.last().is_none());
        assert!(meter.differs(Verdict::new(Status::Ok)), "the first result is news");
        meter.stored(&row(10, Status::Ok, Reason::Ok));
        assert!(!meter.differs(Verdict::new(Status::Ok).with(Verdict::EXTRA)));
        assert!(meter.differs(Verdict::new(Status::Ok).with(Verdict::UNKNOWN)));
        meter.stored(&row(20, Status::Failed, Reason::Timeout));
        meter.stored(&row(15, Status::Failed, Reason::Timeout));
        let last = meter.last().unwrap();
        assert_eq!((last.slot, last.last_success), (20, 10));
        assert_eq!(last.failures, [(Reason::Timeout, 2)]);
    }

    #[test]
    fn reasons_are_bounded() {
        let meter = SeriesMeter::for_tests("m");
        for (slot, reason) in Reason::ALL.iter().enumerate() {
            meter.stored(&row(slot as i32, Status::Failed, *reason));
        }
        let last = meter.last().unwrap();
        assert_eq!(last.failures.len(), REASONS_MAX);
        assert_eq!(last.other_failures as usize, Reason::ALL.len() - 1 - REASONS_MAX);
    }
}
