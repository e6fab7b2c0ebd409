//! What follows from a changed definition for its series: their states' copies, and their schedule.

use nanomon_core::slot::{hash, phase_ms};
use nanomon_core::status::Thresholds;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::Result;
use crate::health::{self, ClosedBy};
use crate::session::Session;
use crate::{MonitorId, SeriesId, Slot};

const STATES_MAKE: &str = "insert into monitor_states (series_id, monitor_id, pool_id, live, active, sched_from, \
      interval_ms, failures, successes) \
    select s.id, s.monitor_id, s.pool_id, false, false, 0, 0, 0, 0 from series s \
    where s.monitor_id = any($1) and not exists (select from monitor_states t where t.series_id = s.id) order by s.id";

// series_schedule is changed under the lock of heads only, which the caller holds; last_slot is read from the locked row.
const STATES_LOCK: &str = "select t.series_id, t.monitor_id, t.last_slot, t.live, t.cleared_before, \
      s.retired_at is null and m.tombstoned_at is null, m.suspended, m.uid, m.interval_ms, m.cleared_before, \
      c.from_slot, c.interval_ms, c.phase_ms, c.failures, c.successes, c.active \
    from series s join monitors m on m.id = s.monitor_id join monitor_states t on t.series_id = s.id \
    left join lateral (select * from series_schedule c where c.series_id = s.id order by c.from_slot desc limit 1) c on true \
    where s.monitor_id = any($1) order by t.series_id for update of t";

// A change within the same second, or before the first slot of the one before, replaces it.
const SCHEDULE_ADD: &str = "insert into series_schedule (series_id, from_slot, interval_ms, phase_ms, failures, successes, \
      active) \
    select * from unnest($1::int4[], $2::int4[], $3::int4[], $4::int4[], $5::int2[], $6::int2[], $7::bool[]) \
    on conflict (series_id, from_slot) do update set interval_ms = excluded.interval_ms, phase_ms = excluded.phase_ms, \
      failures = excluded.failures, successes = excluded.successes, active = excluded.active";

const STATES_COPY: &str = "update monitor_states t set sched_from = w.from_slot, interval_ms = w.interval_ms, \
      failures = w.failures, successes = w.successes, active = w.active, live = w.live, cleared_before = w.cleared_before \
    from unnest($1::int4[], $2::int4[], $3::int4[], $4::int2[], $5::int2[], $6::bool[], $7::bool[], $8::int4[]) \
      as w(series_id, from_slot, interval_ms, failures, successes, active, live, cleared_before) \
    where t.series_id = w.series_id";

/// One row of `series_schedule` without its series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    interval_ms: i32,
    phase_ms: i32,
    failures: i16,
    successes: i16,
    active: bool,
}

#[derive(Debug)]
struct Line {
    series_id: SeriesId,
    monitor_id: MonitorId,
    last_slot: Option<Slot>,
    was_live: bool,
    had_cleared: Slot,
    live: bool,
    cleared_before: Slot,
    plan: Plan,
    before: Option<(Slot, Plan)>,
}

/// Brings states, schedule, health and incidents of these monitors in line with `monitors` and `series`. The caller holds
/// the lock of `heads` and has changed the rows; `now` is PostgreSQL's whole second.
pub(crate) async fn series_sync(session: &Session, monitors: &[MonitorId], now: Slot, gone: ClosedBy) -> Result<()> {
    session.execute(STATES_MAKE, &[&monitors]).await?;
    let lines: Vec<Line> = session.query(STATES_LOCK, &[&monitors]).await?.iter().map(line).collect();
    let mut schedule = Columns::default();
    let mut copies = Columns::default();
    for line in &lines {
        let plan = line.plan;
        let old = line.before.map(|(_, plan)| plan);
        let from = match line.before {
            Some((from, old)) if old == plan => from,
            // Newer than each folded slot, so that no stored result changes its weight.
            before => now.max(line.last_slot.map_or(now, |last| last + 1)).max(before.map_or(now, |(from, _)| from)),
        };
        if old != Some(plan) {
            schedule.push(line, from);
        }
        if old != Some(plan) || line.live != line.was_live || line.cleared_before != line.had_cleared {
            copies.push(line, from);
        }
    }
    if !schedule.series.is_empty() {
        let c = &schedule;
        session
            .execute(SCHEDULE_ADD, &[&c.series, &c.from, &c.interval, &c.phase, &c.failures, &c.successes, &c.active])
            .await?;
    }
    if !copies.series.is_empty() {
        let c = &copies;
        session
            .execute(
                STATES_COPY,
                &[&c.series, &c.from, &c.interval, &c.failures, &c.successes, &c.active, &c.live, &c.cleared],
            )
            .await?;
    }
    health::make(session, monitors).await?;
    let runs = |id: MonitorId| lines.iter().any(|line| line.monitor_id == id && line.plan.active);
    let (running, ended): (Vec<_>, Vec<_>) = monitors.iter().copied().partition(|&id| runs(id));
    health::end(session, &ended, now, gone).await?;
    // A pool may have left that was the only one down, or come back.
    let moved = |id: MonitorId| lines.iter().any(|line| line.monitor_id == id && line.live != line.was_live);
    let changed: Vec<MonitorId> = running.into_iter().filter(|&id| moved(id)).collect();
    health::decide_and_write(session, &changed, &[], now).await
}

fn line(row: &Row) -> Line {
    let (live, suspended): (bool, bool) = (row.get(5), row.get(6));
    let (uid, interval_ms): (Uuid, i32) = (row.get(7), row.get(8));
    let thresholds = Thresholds::default();
    Line {
        series_id: row.get(0),
        monitor_id: row.get(1),
        last_slot: row.get(2),
        was_live: row.get(3),
        had_cleared: row.get(4),
        live,
        cleared_before: row.get(9),
        plan: Plan {
            interval_ms,
            phase_ms: phase_ms(hash(uid.as_bytes()), interval_ms as u32) as i32,
            failures: thresholds.failures,
            successes: thresholds.successes,
            active: live && !suspended,
        },
        before: row.get::<_, Option<Slot>>(10).map(|from| {
            let plan = Plan {
                interval_ms: row.get(11),
                phase_ms: row.get(12),
                failures: row.get(13),
                successes: row.get(14),
                active: row.get(15),
            };
            (from, plan)
        }),
    }
}

#[derive(Debug, Default)]
struct Columns {
    series: Vec<SeriesId>,
    from: Vec<Slot>,
    interval: Vec<i32>,
    phase: Vec<i32>,
    failures: Vec<i16>,
    successes: Vec<i16>,
    active: Vec<bool>,
    live: Vec<bool>,
    cleared: Vec<Slot>,
}

impl Columns {
    fn push(&mut self, line: &Line, from: Slot) {
        let Plan { interval_ms, phase_ms, failures, successes, active } = line.plan;
        self.series.push(line.series_id);
        self.from.push(from);
        self.interval.push(interval_ms);
        self.phase.push(phase_ms);
        self.failures.push(failures);
        self.successes.push(successes);
        self.active.push(active);
        self.live.push(line.live);
        self.cleared.push(line.cleared_before);
    }
}
