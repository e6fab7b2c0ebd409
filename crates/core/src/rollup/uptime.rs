//! Uptime and coverage, and the timetable of a series that they are measured against.

use super::Bucket;
use crate::slot::Schedule;
use crate::status::Thresholds;

/// One row of `series_schedule`: what is valid from a slot on, until the next row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScheduleRow {
    /// First slot (whole Unix second) for which the row is valid.
    pub from_slot: i32,
    /// Time between two slots.
    pub interval_ms: u32,
    /// Phase of the slots, below the interval.
    pub phase_ms: u32,
    /// What confirms a change.
    pub thresholds: Thresholds,
    /// False while suspended or not in the pool: no slots are expected.
    pub active: bool,
}

impl ScheduleRow {
    /// The slots while the row is valid; `None` while nothing is expected.
    pub fn schedule(&self) -> Option<Schedule> {
        (self.active && self.interval_ms > 0)
            .then_some(Schedule { interval_ms: self.interval_ms, phase_ms: self.phase_ms })
    }
}

/// The row valid at a slot. `rows` are those of one series in ascending order of `from_slot`.
pub fn schedule_at(rows: &[ScheduleRow], slot: i32) -> Option<&ScheduleRow> {
    let after = rows.partition_point(|row| row.from_slot <= slot);
    rows[..after].last()
}

/// What a result of this slot weighs in uptime: the interval valid then in milliseconds; 0 where none was expected (a
/// straggler of a suspended monitor, or before the first row).
pub fn weight_at(rows: &[ScheduleRow], slot: i32) -> i64 {
    schedule_at(rows, slot).and_then(ScheduleRow::schedule).map_or(0, |schedule| schedule.interval_ms.into())
}

/// The thresholds valid at a slot; the defaults before the first row.
pub fn thresholds_at(rows: &[ScheduleRow], slot: i32) -> Thresholds {
    schedule_at(rows, slot).map_or_else(Thresholds::default, |row| row.thresholds)
}

/// The milliseconds that all expected slots of `[from, to)` (Unix seconds) stand for: the number of slots, each times
/// the interval valid then. `rows` are those of one series in ascending order of `from_slot`.
pub fn scheduled_ms(rows: &[ScheduleRow], from: i32, to: i32) -> i64 {
    let ends = rows.iter().skip(1).map(|row| row.from_slot).chain([i32::MAX]);
    rows.iter()
        .zip(ends)
        .filter_map(|(row, end)| {
            let schedule = row.schedule()?;
            let (from, to) = (i64::from(from.max(row.from_slot)), i64::from(to.min(end)));
            Some(schedule.count(from * 1000, to * 1000) * i64::from(schedule.interval_ms))
        })
        .sum()
}

/// Milliseconds up, down and in maintenance, out of those scheduled. A monitor's figure is the sum over its series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uptime {
    /// Stood for by OK results.
    pub up_ms: i64,
    /// Stood for by Error and Failed results.
    pub down_ms: i64,
    /// Stood for by results within maintenance.
    pub maint_ms: i64,
    /// Stood for by the slots expected ([`scheduled_ms`]).
    pub scheduled_ms: i64,
}

impl Uptime {
    /// Adds what a bucket measured.
    pub fn add_bucket(&mut self, bucket: &Bucket) {
        self.up_ms += bucket.up_ms;
        self.down_ms += bucket.down_ms;
        self.maint_ms += bucket.maint_ms;
    }

    /// Adds another figure: another span of the series, or another series.
    pub fn merge(&mut self, other: &Self) {
        self.up_ms += other.up_ms;
        self.down_ms += other.down_ms;
        self.maint_ms += other.maint_ms;
        self.scheduled_ms += other.scheduled_ms;
    }

    /// up / (up + down), from 0 to 1; `None` if nothing was measured outside maintenance.
    pub fn ratio(&self) -> Option<f64> {
        let measured = self.up_ms + self.down_ms;
        (measured > 0).then(|| self.up_ms as f64 / measured as f64)
    }

    /// (up + down + maintenance) / scheduled, from 0 to 1; `None` if nothing was scheduled. Stragglers of the timetable
    /// before a change may add a slot's time to a span: the figure is cut at 1.
    pub fn coverage(&self) -> Option<f64> {
        let measured = self.up_ms + self.down_ms + self.maint_ms;
        (self.scheduled_ms > 0).then(|| (measured as f64 / self.scheduled_ms as f64).min(1.0))
    }
}
