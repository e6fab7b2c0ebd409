//! Charts: raw points for short spans, buckets for longer ones.

use std::collections::BTreeMap;

use nanomon_core::Verdict;
use nanomon_core::codec::decode;
use nanomon_core::rollup::{Bucket, Level};
use nanomon_core::status::{FoldInput, Phases};
use tokio_postgres::Row;

use super::SeriesPoints;
use crate::error::Result;
use crate::results::{BUCKET_COLUMNS, bucket_sums, reason_of, rollup_table};
use crate::session::Session;
use crate::{MonitorId, Slot, Store};

/// Most points of one answer.
pub const POINTS_MAX: u16 = 500;

const RAW_MAX_S: i64 = 6 * 3600;
const FIVE_MINUTES_MAX_S: i64 = 8 * 86_400;
const HOUR_MAX_S: i64 = 90 * 86_400;
/// More raw rows than this are not read for one chart.
const RAW_ROWS_MAX: i64 = 5_000;

const RAW: &str = "select r.slot, r.verdict, r.value, r.outputs, coalesce(case when c.active then c.interval_ms end, 0) \
    from monitors m join series s on s.monitor_id = m.id join results r on r.series_id = s.id \
      and r.slot >= $2 and r.slot < $3 and r.slot >= m.cleared_before \
    left join lateral (select c.interval_ms, c.active from series_schedule c where c.series_id = r.series_id \
      and c.from_slot <= r.slot order by c.from_slot desc limit 1) c on true \
    where m.id = $1 and m.tombstoned_at is null and $2 >= (select from_slot from kept where name = 'results') limit $4";

impl Store {
    /// Points of a monitor in `[from, to)`, at most `points` (≤ 500): ≤ 6 h raw, ≤ 8 days 5 min, ≤ 90 days hours, beyond days.
    /// Coarser where the finer level is no longer kept, where a chart would need too many raw rows, or where there would be
    /// too many points; unknown results and initial runs have no point. Buckets at the edges are whole ones.
    pub async fn series_read(&self, monitor: MonitorId, from: Slot, to: Slot, points: u16) -> Result<SeriesPoints> {
        let points = i64::from(points.clamp(1, POINTS_MAX));
        let span = i64::from(to) - i64::from(from);
        let session = self.session("series_read").await?;
        if span <= 0 {
            return Ok(SeriesPoints { bucket_seconds: 0, points: Vec::new() });
        }
        if span <= RAW_MAX_S && from >= self.kept().results {
            let rows = session.query(RAW, &[&monitor, &from, &to, &(RAW_ROWS_MAX + 1)]).await?;
            // None at all may mean that retention has moved its mark: the buckets know.
            if !rows.is_empty() && rows.len() as i64 <= RAW_ROWS_MAX {
                return Ok(raw_points(&rows, from, span, points));
            }
        }
        let mut level = if span <= FIVE_MINUTES_MAX_S {
            Level::FiveMinutes
        } else if span <= HOUR_MAX_S {
            Level::Hour
        } else {
            Level::Day
        };
        loop {
            let (mark, buckets) = read_level(&session, monitor, from, to, level).await?;
            level = match level {
                Level::FiveMinutes if mark > level.start(from) => Level::Hour,
                Level::Hour if mark > level.start(from) => Level::Day,
                Level::FiveMinutes | Level::Hour | Level::Day => return Ok(merge_points(buckets, level, span, points)),
            };
        }
    }
}

async fn read_level(
    session: &Session,
    monitor: MonitorId,
    from: Slot,
    to: Slot,
    level: Level,
) -> Result<(Slot, BTreeMap<Slot, Bucket>)> {
    let table = rollup_table(level);
    // The open bucket lives in the state; it belongs to the bucket of the level that holds it.
    let sql = format!(
        "with w as materialized (select s.id from monitors m join series s on s.monitor_id = m.id \
           where m.id = $1 and m.tombstoned_at is null) \
         select k.from_slot, x.* from kept k left join ( \
           select r.bucket, {BUCKET_COLUMNS} from w join {table} r on r.series_id = w.id and r.bucket >= $2 and r.bucket < $3 \
           union all \
           select t.acc_bucket, {BUCKET_COLUMNS} from w join monitor_states t on t.series_id = w.id \
             and t.acc_bucket >= $2 and t.acc_bucket < $3 \
         ) x on true where k.name = '{table}'"
    );
    let rows = session.query(&sql, &[&monitor, &level.start(from), &to]).await?;
    let mark = rows.first().map_or(0, |row| row.get(0));
    let mut buckets = BTreeMap::new();
    for row in &rows {
        let Some(start) = row.get::<_, Option<Slot>>(1) else { continue };
        add(&mut buckets, level.start(start), &bucket_sums(row, 2));
    }
    Ok((mark, buckets))
}

/// Merges neighbours until there are no more than `points`.
fn merge_points(buckets: BTreeMap<Slot, Bucket>, level: Level, span: i64, points: i64) -> SeriesPoints {
    // One more than fits the span: the first bucket may begin before it.
    let count = span / i64::from(level.seconds()) + 1;
    let mut width = level.seconds() * ((count + points - 1) / points) as Slot;
    while buckets.len() as i64 > points && distinct(&buckets, width) > points {
        width += level.seconds();
    }
    let mut merged = BTreeMap::new();
    for (start, bucket) in buckets {
        add(&mut merged, start - start.rem_euclid(width), &bucket);
    }
    SeriesPoints { bucket_seconds: width, points: non_empty(merged) }
}

fn distinct(buckets: &BTreeMap<Slot, Bucket>, width: Slot) -> i64 {
    let mut starts: Vec<Slot> = buckets.keys().map(|start| start - start.rem_euclid(width)).collect();
    starts.dedup();
    starts.len() as i64
}

fn raw_points(rows: &[Row], from: Slot, span: i64, points: i64) -> SeriesPoints {
    let mut by_slot = BTreeMap::new();
    for row in rows {
        let slot: Slot = row.get(0);
        let Some(verdict) = Verdict::from_bits(row.get(1)) else { continue };
        let value: Option<f32> = row.get(2);
        let outputs = row.get::<_, Option<&[u8]>>(3).and_then(|bytes| decode(bytes, value).ok());
        let input = FoldInput {
            slot,
            verdict,
            reason: reason_of(0),
            value,
            runner_id: 0,
            start_ms: 0,
            phases: outputs.as_ref().map_or_else(Phases::default, Phases::from_outputs),
        };
        add(&mut by_slot, slot, &Bucket::of(&input, i64::from(row.get::<_, i32>(4))));
    }
    if by_slot.len() as i64 <= points {
        return SeriesPoints { bucket_seconds: 0, points: non_empty(by_slot) };
    }
    let width = (span as i32 + points as i32 - 1) / points as i32;
    let mut merged = BTreeMap::new();
    for (slot, bucket) in by_slot {
        add(&mut merged, from + (slot - from) / width * width, &bucket);
    }
    SeriesPoints { bucket_seconds: width, points: non_empty(merged) }
}

fn add(buckets: &mut BTreeMap<Slot, Bucket>, start: Slot, bucket: &Bucket) {
    buckets.entry(start).or_insert(Bucket { start, ..Bucket::default() }).merge(bucket);
}

fn non_empty(buckets: BTreeMap<Slot, Bucket>) -> Vec<Bucket> {
    buckets.into_values().filter(|bucket| !bucket.is_empty()).collect()
}
