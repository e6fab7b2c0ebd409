//! The judge: the target's own log, by monitor and slot, beside the rows that are stored.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use nanomon_core::slot;
use nanomon_core::{Status, Verdict};
use nanomon_sql::{MonitorId, RunnerId, Slot};
use nanomon_testkit::light::{HitLog, percentile};

use crate::stack::Subject;
use crate::witness::Witness;

/// A stored result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its monitor.
    pub monitor: MonitorId,
    /// Its key.
    pub slot: Slot,
    /// True start after the key's second.
    pub start_ms: i16,
    /// As in the column.
    pub verdict: i16,
    /// Who ran it.
    pub runner: RunnerId,
}

impl Stored {
    fn verdict(self) -> Verdict {
        Verdict::from_bits(self.verdict).unwrap_or(Verdict::new(Status::Failed))
    }
}

/// What the log and the rows say of each other.
#[derive(Debug, Default)]
pub struct Judgement {
    /// Requests that the target has seen of these monitors.
    pub hits: usize,
    /// Rows, those of initial runs among them.
    pub rows: usize,
    /// Rows of initial runs.
    pub initial: usize,
    /// Slots hit of which there is no row: lost results. (Number, slot in milliseconds.)
    pub lost: Vec<(u32, i64)>,
    /// Rows of runs that the target has not seen: invented results.
    pub invented: Vec<(u32, Slot)>,
    /// Slots hit more often than once: how often too often.
    pub doubled: BTreeMap<(u32, i64), usize>,
    /// Slots between a monitor's first and last hit that were not hit.
    pub missed: Vec<(u32, i64)>,
    /// Rows that blame a target that was healthy all the time.
    pub blamed: usize,
    /// Rows that say that nothing can be said.
    pub unknown: usize,
    /// How long after its slot's time a hit arrived, in milliseconds: half and 99 % of them, and the worst.
    pub late_ms: [f64; 3],
}

/// A hit may arrive by this much too early: the offset between two clocks of one machine, measured over a busy loopback.
const EARLY_MS: i64 = 50;
/// A hit arrives at most this long after its slot, at an interval of 1 s: half of it for the start, 0.8 of it for the run.
const LATEST_MS: i64 = 1_300;
/// A request arrives at most this long after its run began.
const TRAVEL_US: i64 = 2_000_000;

impl Judgement {
    /// Compares. Hits at or after `until_us` are left out, and with them what may not be stored yet.
    pub fn of(subjects: &[Subject], log: &HitLog, rows: &[Stored], until_us: i64) -> Self {
        let mut by_monitor: HashMap<MonitorId, Vec<Stored>> = HashMap::new();
        for row in rows {
            by_monitor.entry(row.monitor).or_default().push(*row);
        }
        let mut judgement = Self::default();
        let mut late = Vec::new();
        for subject in subjects {
            let mut hits = log.hits.get(&subject.number).cloned().unwrap_or_default();
            hits.retain(|hit| *hit < until_us);
            let rows = by_monitor.get(&subject.id).map_or(&[][..], Vec::as_slice);
            judgement.add(subject, hits, rows, until_us, &mut late);
        }
        judgement.late_ms = [0.5, 0.99, 1.0].map(|share| percentile(&mut late, share));
        judgement
    }

    fn add(&mut self, subject: &Subject, mut hits: Vec<i64>, rows: &[Stored], until_us: i64, late: &mut Vec<f64>) {
        let Subject { number, schedule, .. } = *subject;
        self.hits += hits.len();
        self.rows += rows.iter().filter(|row| i64::from(row.slot) * 1_000_000 < until_us).count();
        // Initial runs are outside the schedule: each takes its own hit, which is found by its true start.
        for row in rows.iter().filter(|row| row.verdict().is_extra()) {
            self.initial += 1;
            let start = i64::from(row.slot) * 1_000_000 + i64::from(row.start_ms) * 1_000;
            let own = hits.iter().position(|hit| (start - EARLY_MS * 1_000..start + TRAVEL_US).contains(hit));
            match own {
                Some(at) => drop(hits.remove(at)),
                None if start + TRAVEL_US < until_us => self.invented.push((number, row.slot)),
                None => {}
            }
        }
        let scheduled = rows.iter().filter(|row| !row.verdict().is_extra());
        let keys: BTreeSet<Slot> = scheduled.map(|row| row.slot).collect();
        let mut slots: BTreeMap<i64, usize> = BTreeMap::new();
        for hit in &hits {
            let at = hit / 1_000;
            let mut slot = schedule.last_at_or_before(at + EARLY_MS);
            // A run that started at the end of its slot's grace, against a target that was slow to read, arrives when the next
            // slot has come: it belongs to the slot before if that one was run and has no hit of its own.
            let before = slot - i64::from(schedule.interval_ms);
            if at - before <= LATEST_MS && keys.contains(&slot::key(before)) && !slots.contains_key(&before) {
                slot = before;
            }
            *slots.entry(slot).or_default() += 1;
            late.push(*hit as f64 / 1_000.0 - slot as f64);
        }
        let hit_keys: BTreeSet<Slot> = slots.keys().map(|slot| slot::key(*slot)).collect();
        self.lost.extend(slots.keys().filter(|slot| !keys.contains(&slot::key(**slot))).map(|slot| (number, *slot)));
        for row in rows {
            let verdict = row.verdict();
            self.unknown += usize::from(verdict.is_unknown());
            self.blamed += usize::from(!verdict.is_unknown() && verdict.status() != Status::Ok);
            let seen = verdict.is_extra() || hit_keys.contains(&row.slot);
            // Only a run that had its answer must have been seen; the newest slots may be hit after the log was read.
            if !seen && !verdict.is_unknown() && (i64::from(row.slot) + 1) * 1_000_000 + TRAVEL_US < until_us {
                self.invented.push((number, row.slot));
            }
        }
        self.doubled
            .extend(slots.iter().filter(|(_, hits)| **hits > 1).map(|(slot, hits)| ((number, *slot), hits - 1)));
        if let (Some(first), Some(last)) = (slots.keys().next(), slots.keys().next_back()) {
            let mut slot = schedule.next_after(*first);
            while slot < *last {
                if !slots.contains_key(&slot) {
                    self.missed.push((number, slot));
                }
                slot = schedule.next_after(slot);
            }
        }
    }

    /// Each hit is a row, each row is a hit, no slot was hit more than twice, and nobody healthy was blamed.
    pub fn ensure_exact(&self) -> Result<()> {
        ensure!(self.hits > 0, "the target was not hit at all");
        ensure!(self.lost.is_empty(), "{} slots were hit and have no row: {:?}", self.lost.len(), first(&self.lost));
        ensure!(self.invented.is_empty(), "{} rows without a hit: {:?}", self.invented.len(), first(&self.invented));
        ensure!(self.doubled.values().all(|extra| *extra <= 1), "hit more than twice: {:?}", self.doubled);
        ensure!(self.blamed == 0, "{} results blame a healthy target", self.blamed);
        Ok(())
    }

    /// No slot was missed, but for those during whose grace this machine withheld its CPUs.
    pub fn ensure_none_missed(&self, subjects: &[Subject], witness: &Witness) -> Result<()> {
        let grace = subjects.first().map_or(0, |subject| slot::grace_ms(subject.schedule.interval_ms));
        let unexcused: Vec<&(u32, i64)> =
            self.missed.iter().filter(|(_, slot)| !witness.excuses(*slot, slot + grace)).collect();
        ensure!(
            unexcused.is_empty(),
            "{} slots were not run: {:?}; the machine: {witness}",
            unexcused.len(),
            first(&unexcused)
        );
        Ok(())
    }

    /// Hits too many, per monitor.
    pub fn doubles_per_monitor(&self) -> BTreeMap<u32, usize> {
        let mut doubles = BTreeMap::new();
        for ((number, _), extra) in &self.doubled {
            *doubles.entry(*number).or_default() += extra;
        }
        doubles
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hits, rows, initial, lost, invented, doubled, missed, blamed, unknown, late_ms } = self;
        write!(
            f,
            "{hits} hits, {rows} rows ({initial} initial, {unknown} unknown, {blamed} blaming); {} lost, {} invented, {} doubled, \
             {} missed; after the slot p50 {:.0} ms, p99 {:.0} ms, at most {:.0} ms",
            lost.len(),
            invented.len(),
            doubled.len(),
            missed.len(),
            late_ms[0],
            late_ms[1],
            late_ms[2]
        )
    }
}

fn first<T>(all: &[T]) -> &[T] {
    &all[..all.len().min(8)]
}

/// Unix microseconds now.
pub fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as i64
}

#[cfg(test)]
mod tests {
    use nanomon_core::slot::Schedule;

    use super::*;

    const SUBJECT: Subject =
        Subject { number: 7, id: 1, schedule: Schedule { interval_ms: 1_000, phase_ms: 300 }, bucket: 0 };

    fn row(slot: Slot, verdict: Verdict, start_ms: i16) -> Stored {
        Stored { monitor: 1, slot, start_ms, verdict: verdict.bits(), runner: 1 }
    }

    fn judged(hits_ms: &[i64], rows: &[Stored]) -> Judgement {
        let mut log = HitLog::default();
        log.hits.insert(7, hits_ms.iter().map(|ms| ms * 1_000).collect());
        Judgement::of(&[SUBJECT], &log, rows, i64::MAX)
    }

    #[test]
    fn what_is_lost_invented_doubled_missed_is_told_apart() {
        let ok = Verdict::new(Status::Ok);
        let exact = judged(&[10_300, 11_299, 12_900], &[row(10, ok, 300), row(11, ok, 299), row(12, ok, 900)]);
        exact.ensure_exact().unwrap();
        assert_eq!((exact.missed.len(), exact.late_ms[2]), (0, 600.0));
        assert_eq!(judged(&[10_300, 11_300], &[row(10, ok, 300)]).lost, [(7, 11_300)]);
        assert_eq!(judged(&[10_300], &[row(10, ok, 300), row(11, ok, 300)]).invented, [(7, 11)]);
        let unknown = judged(&[10_300], &[row(10, ok, 300), row(11, ok.with(Verdict::UNKNOWN), 300)]);
        assert!(unknown.invented.is_empty() && unknown.unknown == 1);
        let twice = judged(&[10_300, 10_800, 12_300], &[row(10, ok, 300), row(12, ok, 300)]);
        assert_eq!((twice.doubled[&(7, 10_300)], &twice.missed[..]), (1, &[(7, 11_300)][..]));
        twice.ensure_exact().unwrap();
        // Late, and then the next one in time; the second is not the next slot's.
        let late = judged(&[11_400, 11_450, 13_400], &[row(10, ok, 790), row(11, ok, 400), row(13, ok, 400)]);
        late.ensure_exact().unwrap();
        assert_eq!((late.doubled.len(), &late.missed[..]), (0, &[(7, 12_300)][..]));
        assert!(judged(&[10_300, 10_500, 10_600], &[row(10, ok, 300)]).ensure_exact().is_err());
        assert!(judged(&[10_300], &[row(10, Verdict::new(Status::Failed), 300)]).ensure_exact().is_err());
        assert!(judged(&[], &[]).ensure_exact().is_err());
    }

    #[test]
    fn an_initial_run_takes_its_own_hit() {
        let ok = Verdict::new(Status::Ok);
        let rows = [row(9, ok.with(Verdict::EXTRA), 1_100), row(10, ok, 300)];
        let exact = judged(&[10_101, 10_300], &rows);
        exact.ensure_exact().unwrap();
        assert_eq!((exact.initial, exact.doubled.len()), (1, 0));
        assert!(judged(&[10_300], &rows[..1]).lost.is_empty(), "the only hit is the initial run's");
        assert_eq!(judged(&[14_300], &rows).invented, [(7, 9), (7, 10)]);
    }
}
