//! Rollup buckets: additive sums from which uptime and charts are read.
//!
//! The open 5-minute bucket of a series lives in its state. [`rollup_step`] moves it on with each result that is not
//! late and hands out the bucket that is thereby closed; the store adds that to all levels ([`Bucket::levels`]). A late
//! result is added to all levels at once, as the bucket made by [`Bucket::of`]. Hence, at any time: the rollup row of a
//! level plus the open bucket, if it lies within, equals the sum over the stored rows. Readers add both.

mod uptime;

use crate::codec::micros;
use crate::status::FoldInput;
use crate::verdict::Status;

pub use uptime::{ScheduleRow, Uptime, schedule_at, scheduled_ms, thresholds_at, weight_at};

/// The levels that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Five minutes, kept 8 days.
    FiveMinutes,
    /// An hour, kept 13 months.
    Hour,
    /// A UTC day, kept 5 years.
    Day,
}

impl Level {
    /// All levels, finest first.
    pub const ALL: [Level; 3] = [Self::FiveMinutes, Self::Hour, Self::Day];

    /// Length in seconds.
    pub fn seconds(self) -> i32 {
        match self {
            Self::FiveMinutes => 300,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    /// Start of the bucket that holds `slot`.
    pub fn start(self, slot: i32) -> i32 {
        slot.saturating_sub(slot.rem_euclid(self.seconds()))
    }
}

/// The sums of one series over one bucket. All fields are whole numbers, so that sums are exact in any order.
///
/// Unknown results and initial runs (`extra`) appear in no field, so that counts and charts show the schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Start as a Unix second. Of an open bucket: the one that holds the series' `last_slot`; 0 before the first result.
    pub start: i32,
    /// Results with status OK, Error, Failed; those within maintenance too.
    pub n_ok: i32,
    /// See `n_ok`.
    pub n_error: i32,
    /// See `n_ok`.
    pub n_failed: i32,
    /// Milliseconds of schedule that OK results stand for.
    pub up_ms: i64,
    /// Milliseconds that Error and Failed results stand for.
    pub down_ms: i64,
    /// Milliseconds that results within maintenance stand for, whatever their status.
    pub maint_ms: i64,
    /// Results that have a value.
    pub n_value: i32,
    /// Sum, smallest and largest value in microseconds (smallest and largest 0 if there is none).
    pub value_sum_us: i64,
    /// See `value_sum_us`.
    pub value_min_us: i64,
    /// See `value_sum_us`.
    pub value_max_us: i64,
    /// Sums of the phases in microseconds, over the results that have a value: divide by `n_value`.
    pub dns_us: i64,
    /// See `dns_us`.
    pub connect_us: i64,
    /// See `dns_us`.
    pub tls_us: i64,
    /// See `dns_us`.
    pub first_byte_us: i64,
    /// See `dns_us`.
    pub transfer_us: i64,
}

impl Bucket {
    /// The 5-minute bucket that holds this result alone: what a late result adds. `weight_ms` is [`weight_at`] its slot.
    pub fn of(input: &FoldInput, weight_ms: i64) -> Self {
        let mut bucket = Self { start: Level::FiveMinutes.start(input.slot), ..Self::default() };
        bucket.add(input, weight_ms);
        bucket
    }

    /// Adds a result that lies within this bucket. `weight_ms` is the interval valid at its slot ([`weight_at`]): OK is
    /// up, Error and Failed are down, anything within maintenance is maintenance only. Unknown results and initial runs
    /// add nothing.
    pub fn add(&mut self, input: &FoldInput, weight_ms: i64) {
        let verdict = input.verdict;
        if verdict.is_unknown() || verdict.is_extra() {
            return;
        }
        let count = match verdict.status() {
            Status::Ok => &mut self.n_ok,
            Status::Error => &mut self.n_error,
            Status::Failed => &mut self.n_failed,
        };
        *count = count.saturating_add(1);
        let time = match verdict.status() {
            _ if verdict.is_maintenance() => &mut self.maint_ms,
            Status::Ok => &mut self.up_ms,
            Status::Error | Status::Failed => &mut self.down_ms,
        };
        *time = time.saturating_add(weight_ms);
        let Some(value) = input.value.and_then(|ms| micros(f64::from(ms))) else { return };
        let phases = input.phases;
        self.add_values(&Self {
            n_value: 1,
            value_sum_us: value,
            value_min_us: value,
            value_max_us: value,
            dns_us: phases.dns.into(),
            connect_us: phases.connect.into(),
            tls_us: phases.tls.into(),
            first_byte_us: phases.first_byte.into(),
            transfer_us: phases.transfer.into(),
            ..Self::default()
        });
    }

    /// Adds the sums of another bucket of the same series; `start` stays. The SQL upsert does the same.
    pub fn merge(&mut self, other: &Self) {
        self.n_ok = self.n_ok.saturating_add(other.n_ok);
        self.n_error = self.n_error.saturating_add(other.n_error);
        self.n_failed = self.n_failed.saturating_add(other.n_failed);
        self.up_ms = self.up_ms.saturating_add(other.up_ms);
        self.down_ms = self.down_ms.saturating_add(other.down_ms);
        self.maint_ms = self.maint_ms.saturating_add(other.maint_ms);
        self.add_values(other);
    }

    fn add_values(&mut self, other: &Self) {
        if other.n_value == 0 {
            return;
        }
        let first = self.n_value == 0;
        self.value_min_us = if first { other.value_min_us } else { self.value_min_us.min(other.value_min_us) };
        self.value_max_us = if first { other.value_max_us } else { self.value_max_us.max(other.value_max_us) };
        self.n_value = self.n_value.saturating_add(other.n_value);
        self.value_sum_us = self.value_sum_us.saturating_add(other.value_sum_us);
        self.dns_us = self.dns_us.saturating_add(other.dns_us);
        self.connect_us = self.connect_us.saturating_add(other.connect_us);
        self.tls_us = self.tls_us.saturating_add(other.tls_us);
        self.first_byte_us = self.first_byte_us.saturating_add(other.first_byte_us);
        self.transfer_us = self.transfer_us.saturating_add(other.transfer_us);
    }

    /// Whether nothing was added; such a bucket needs no row.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Results in the bucket.
    pub fn count(&self) -> i64 {
        i64::from(self.n_ok) + i64::from(self.n_error) + i64::from(self.n_failed)
    }

    /// The mean value in milliseconds; `None` if no result has one.
    pub fn mean_ms(&self) -> Option<f64> {
        (self.n_value > 0).then(|| self.value_sum_us as f64 / f64::from(self.n_value) / 1000.0)
    }

    /// The row that this 5-minute bucket adds to, one per level: the same sums with that level's start.
    pub fn levels(&self) -> [(Level, Bucket); 3] {
        Level::ALL.map(|level| (level, Bucket { start: level.start(self.start), ..*self }))
    }
}

/// Moves the open 5-minute bucket on to a result that is not late and adds the result to it. Returns the bucket that was
/// open before, if the result lies in another one and there is something in it. Unknown results and initial runs move
/// it on too, though they add nothing.
///
/// Must not be called for late results: these add [`Bucket::of`] to the levels directly.
pub fn rollup_step(open: &mut Bucket, input: &FoldInput, weight_ms: i64) -> Option<Bucket> {
    let start = Level::FiveMinutes.start(input.slot);
    let closed = (open.start != start).then(|| std::mem::replace(open, Bucket { start, ..Bucket::default() }));
    open.add(input, weight_ms);
    closed.filter(|bucket| !bucket.is_empty())
}

#[cfg(test)]
mod tests;
