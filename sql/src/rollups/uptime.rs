//! Uptime over arbitrary windows: one statement for all monitors and windows.

use std::collections::{BTreeMap, HashMap};

use nanomon_core::rollup::{Level, ScheduleRow, scheduled_ms};
use nanomon_core::status::Thresholds;
use tokio_postgres::Row;

use super::segments::{Segment, cover};
use super::{Uptime, WEIGHT};
use crate::error::Result;
use crate::kept::Kept;
use crate::{MonitorId, SeriesId, Slot, Store};

/// The statement's rows are of three kinds: marks (what retention has kept), timetables, sums.
fn statement() -> String {
    let level = |code: i16, table: &str| {
        format!(
            "select sum(r.up_ms), sum(r.down_ms), sum(r.maint_ms) from {table} r \
             where g.level = {code} and r.series_id = w.series_id and r.bucket >= g.a and r.bucket < g.b"
        )
    };
    format!(
        "with w as materialized ( \
           select s.id as series_id, m.id as monitor_id, m.cleared_before from monitors m join series s on s.monitor_id = m.id \
           where m.id = any($1) and m.tombstoned_at is null), \
         g as materialized (select * from unnest($2::int4[], $3::int2[], $4::int4[], $5::int4[]) as g(win, level, a, b)) \
         select 0::int2, k.name, k.from_slot, 0, 0::int8, 0::int8, 0::int8, false, 0 from kept k \
         union all \
         select 1::int2, null, w.monitor_id, w.series_id, c.from_slot, c.interval_ms, c.phase_ms, c.active, w.cleared_before \
         from w join series_schedule c on c.series_id = w.series_id \
         union all \
         select 2::int2, null, w.monitor_id, g.win, coalesce(sum(x.up), 0)::int8, coalesce(sum(x.down), 0)::int8, \
           coalesce(sum(x.maint), 0)::int8, false, 0 \
         from w cross join g cross join lateral ( \
           {day} union all {hour} union all {five} union all \
           select t.up_ms, t.down_ms, t.maint_ms from monitor_states t where g.level > 0 and t.series_id = w.series_id \
             and t.acc_bucket >= g.a and t.acc_bucket < g.b \
           union all \
           select sum(v.up), sum(v.down), sum(v.maint) from ( \
             select {WEIGHT} from results r left join lateral ( \
               select c.interval_ms, c.active from series_schedule c where c.series_id = r.series_id \
                 and c.from_slot <= r.slot order by c.from_slot desc limit 1) c on true \
             where g.level = 0 and r.series_id = w.series_id and r.slot >= greatest(g.a, w.cleared_before) and r.slot < g.b \
           ) v \
         ) as x(up, down, maint) \
         group by w.monitor_id, g.win",
        day = level(3, "rollup_day"),
        hour = level(2, "rollup_hour"),
        five = level(1, "rollup_5m"),
    )
}

/// How a level is named within the statement.
fn level_code(level: Option<Level>) -> i16 {
    match level {
        None => 0,
        Some(Level::FiveMinutes) => 1,
        Some(Level::Hour) => 2,
        Some(Level::Day) => 3,
    }
}

impl Store {
    /// Uptime of these monitors over these windows `[from, to)`: one statement for all. Answers monitor by monitor in the
    /// order given, each with all windows in theirs; monitors that do not live are left out, empty windows are all zero.
    pub async fn uptime_read(&self, monitors: &[MonitorId], windows: &[(Slot, Slot)]) -> Result<Vec<Uptime>> {
        let session = self.session("uptime_read").await?;
        let sql = statement();
        loop {
            // Marks change with retention only; if they did, the answer is made again for what is really kept.
            let kept = self.kept();
            let covers: Vec<Vec<Segment>> = windows.iter().map(|&(from, to)| cover(from, to, &kept)).collect();
            let mut columns: (Vec<i32>, Vec<i16>, Vec<Slot>, Vec<Slot>) = Default::default();
            for (window, segments) in covers.iter().enumerate() {
                for segment in segments {
                    columns.0.push(window as i32);
                    columns.1.push(level_code(segment.level));
                    columns.2.push(segment.from);
                    columns.3.push(segment.to);
                }
            }
            let rows = session.query(&sql, &[&monitors, &columns.0, &columns.1, &columns.2, &columns.3]).await?;
            let found = Answer::read(&rows);
            if found.kept != kept {
                self.set_kept(found.kept);
                continue;
            }
            return Ok(found.uptimes(monitors, windows, &covers));
        }
    }
}

#[derive(Debug, Default)]
struct Answer {
    kept: Kept,
    /// By monitor and series: the clear mark and the timetable.
    schedules: HashMap<MonitorId, BTreeMap<SeriesId, (Slot, Vec<ScheduleRow>)>>,
    sums: HashMap<(MonitorId, i32), [i64; 3]>,
}

impl Answer {
    fn read(rows: &[Row]) -> Self {
        let mut answer = Self {
            kept: Kept::read(rows.iter().filter_map(|row| Some((row.get::<_, Option<&str>>(1)?, row.get(2))))),
            ..Self::default()
        };
        for row in rows {
            let (id, sub): (i32, i32) = (row.get(2), row.get(3));
            let numbers = [row.get::<_, i64>(4), row.get(5), row.get(6)];
            match row.get::<_, i16>(0) {
                1 => {
                    let series = answer.schedules.entry(id).or_default();
                    let (_, schedule) = series.entry(sub).or_insert_with(|| (row.get(8), Vec::new()));
                    schedule.push(ScheduleRow {
                        from_slot: numbers[0] as Slot,
                        interval_ms: numbers[1] as u32,
                        phase_ms: numbers[2] as u32,
                        thresholds: Thresholds::default(),
                        active: row.get(7),
                    });
                }
                2 => {
                    answer.sums.insert((id, sub), numbers);
                }
                _ => {}
            }
        }
        for (_, schedule) in answer.schedules.values_mut().flat_map(BTreeMap::values_mut) {
            schedule.sort_unstable_by_key(|row| row.from_slot);
        }
        answer
    }

    fn uptimes(&self, monitors: &[MonitorId], windows: &[(Slot, Slot)], covers: &[Vec<Segment>]) -> Vec<Uptime> {
        let mut uptimes = Vec::with_capacity(monitors.len() * windows.len());
        for &monitor_id in monitors {
            let Some(series) = self.schedules.get(&monitor_id) else { continue };
            for (index, (&window, segments)) in windows.iter().zip(covers).enumerate() {
                let from = segments.first().map_or(window.0, |segment| segment.from);
                let to = segments.last().map_or(window.1, |segment| segment.to);
                let [up_ms, down_ms, maint_ms] =
                    self.sums.get(&(monitor_id, index as i32)).copied().unwrap_or_default();
                let scheduled_ms =
                    series.values().map(|(cleared, schedule)| scheduled_ms(schedule, from.max(*cleared), to)).sum();
                uptimes.push(Uptime { monitor_id, from, to, up_ms, down_ms, maint_ms, scheduled_ms });
            }
        }
        uptimes
    }
}
