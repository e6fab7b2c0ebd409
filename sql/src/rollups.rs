//! Charts and uptime, from rollups and (for short windows) raw rows.

use nanomon_core::rollup::Bucket;

use crate::{MonitorId, Slot};

mod points;
mod segments;
mod uptime;

pub use points::POINTS_MAX;

/// A chart's data.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesPoints {
    /// Length of each bucket in seconds; 0: raw results, one point each.
    pub bucket_seconds: i32,
    /// In time order, empty buckets left out; sums over the monitor's pools.
    pub points: Vec<Bucket>,
}

/// Uptime over a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Uptime {
    /// Monitor.
    pub monitor_id: MonitorId,
    /// Window as answered (whole buckets where raw is gone).
    pub from: Slot,
    /// End, exclusive.
    pub to: Slot,
    /// Milliseconds that OK results stand for.
    pub up_ms: i64,
    /// Milliseconds that Error and Failed results stand for.
    pub down_ms: i64,
    /// Milliseconds in maintenance.
    pub maint_ms: i64,
    /// Milliseconds that the schedule asks for.
    pub scheduled_ms: i64,
}

impl Uptime {
    /// up / (up + down); `None` without either.
    pub fn ratio(&self) -> Option<f64> {
        let known = self.up_ms + self.down_ms;
        (known > 0).then(|| self.up_ms as f64 / known as f64)
    }

    /// (up + down + maintenance) / scheduled, at most 1; `None` if nothing was scheduled.
    pub fn coverage(&self) -> Option<f64> {
        (self.scheduled_ms > 0)
            .then(|| ((self.up_ms + self.down_ms + self.maint_ms) as f64 / self.scheduled_ms as f64).min(1.0))
    }
}

/// What a raw row `r` with its timetable `c` weighs: as `core`'s `Bucket::add` and `weight_at` have it. 36 is unknown or
/// extra, 8 maintenance, 3 the status.
const WEIGHT: &str = "case when c.active and r.verdict & 36 = 0 and r.verdict & 8 = 0 and r.verdict & 3 = 0 \
      then c.interval_ms else 0 end::int8 as up, \
    case when c.active and r.verdict & 36 = 0 and r.verdict & 8 = 0 and r.verdict & 3 <> 0 \
      then c.interval_ms else 0 end::int8 as down, \
    case when c.active and r.verdict & 36 = 0 and r.verdict & 8 <> 0 then c.interval_ms else 0 end::int8 as maint";
