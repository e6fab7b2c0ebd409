//! Generated histories: whatever two writers do to a database, states and rollups equal what its rows say, and uptime from
//! rollups equals uptime from raw for windows of arbitrary seconds. The seeds are fixed; a failure names its seed.

use std::collections::BTreeMap;

use nanomon_core::codec::encode;
use nanomon_core::status::Phases;
use nanomon_core::{OutputId, Outputs, ProbeType, Reason, Status, Verdict};
use nanomon_sql::results::NewResult;
use nanomon_sql::retention::Retention;
use nanomon_sql::{MonitorId, SeriesId, Slot, Store};

use crate::support::{Fixture, connect, def, fixture, put};

/// How far back the histories reach: within the two days that the store accepts, over at least one day's edge.
const HOURS: i32 = 46;

/// A small generator (xorshift64*): the same on all machines.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: i32) -> i32 {
        ((self.next() >> 33) % bound as u64) as i32
    }

    fn percent(&mut self, chance: i32) -> bool {
        self.below(100) < chance
    }
}

/// One row of a timetable, as the database has it.
#[derive(Debug, Clone, Copy)]
struct Plan {
    from: Slot,
    interval_ms: i64,
    phase_ms: i64,
    active: bool,
}

/// A stored row as far as uptime needs it.
#[derive(Debug, Clone, Copy)]
struct Raw {
    series: SeriesId,
    slot: Slot,
    verdict: Verdict,
}

/// The naive model: everything that the database ever stored, and the timetables.
struct Model {
    rows: Vec<Raw>,
    plans: BTreeMap<SeriesId, Vec<Plan>>,
    series: BTreeMap<SeriesId, MonitorId>,
    cleared: BTreeMap<MonitorId, Slot>,
}

impl Model {
    async fn read(f: &Fixture) -> Self {
        let mut model =
            Self { rows: Vec::new(), plans: BTreeMap::new(), series: BTreeMap::new(), cleared: BTreeMap::new() };
        for row in f.sql.query("select series_id, slot, verdict from results", &[]).await.unwrap() {
            let verdict = Verdict::from_bits(row.get(2)).unwrap();
            model.rows.push(Raw { series: row.get(0), slot: row.get(1), verdict });
        }
        let sql = "select series_id, from_slot, interval_ms, phase_ms, active from series_schedule order by 1, 2";
        for row in f.sql.query(sql, &[]).await.unwrap() {
            model.plans.entry(row.get(0)).or_default().push(Plan {
                from: row.get(1),
                interval_ms: row.get::<_, i32>(2).into(),
                phase_ms: row.get::<_, i32>(3).into(),
                active: row.get(4),
            });
        }
        for row in f.sql.query("select id, monitor_id from series", &[]).await.unwrap() {
            model.series.insert(row.get(0), row.get(1));
        }
        model
    }

    fn cleared(&self, monitor: MonitorId) -> Slot {
        self.cleared.get(&monitor).copied().unwrap_or(0)
    }

    /// (up, down, maintenance, scheduled) in milliseconds over `[from, to)`, the slow way.
    fn uptime(&self, monitor: MonitorId, from: Slot, to: Slot) -> [i64; 4] {
        let from = from.max(self.cleared(monitor));
        let mut sums = [0; 4];
        for row in self.rows.iter().filter(|row| self.series[&row.series] == monitor && (from..to).contains(&row.slot))
        {
            let plan = self.plans[&row.series].iter().rev().find(|plan| plan.from <= row.slot);
            let weight = plan.filter(|plan| plan.active).map_or(0, |plan| plan.interval_ms);
            if row.verdict.is_unknown() || row.verdict.is_extra() {
                continue;
            }
            let which = match row.verdict.status() {
                _ if row.verdict.is_maintenance() => 2,
                Status::Ok => 0,
                Status::Error | Status::Failed => 1,
            };
            sums[which] += weight;
        }
        for (_, plans) in self.plans.iter().filter(|(series, _)| self.series[series] == monitor) {
            for (index, plan) in plans.iter().enumerate().filter(|(_, plan)| plan.active) {
                let end = plans.get(index + 1).map_or(i64::MAX, |next| i64::from(next.from) * 1000);
                let (start, end) = (i64::from(from.max(plan.from)) * 1000, end.min(i64::from(to) * 1000));
                let mut slot = start - start % plan.interval_ms + plan.phase_ms - plan.interval_ms;
                while slot < end {
                    sums[3] += if slot >= start { plan.interval_ms } else { 0 };
                    slot += plan.interval_ms;
                }
            }
        }
        sums
    }
}

struct History {
    f: Fixture,
    random: Random,
    monitors: Vec<MonitorId>,
    series: Vec<SeriesId>,
    now: Slot,
}

impl History {
    /// Three monitors, one of them in two pools, whose timetables have changed and rested in the past.
    async fn new(seed: u64) -> Self {
        let f = fixture().await;
        let mut random = Random(seed);
        let now: Slot = f.sql.query_one("select floor(extract(epoch from now()))::int4", &[]).await.unwrap().get(0);
        let (mut monitors, mut series) = (Vec::new(), Vec::new());
        for n in 0..3 {
            let mut def = def(&format!("m{n}"), 60);
            if n == 0 {
                def.pools = vec!["default".to_owned(), "edge".to_owned()];
            }
            let id = put(&f.store, &format!("m{n}"), def).await.id;
            monitors.push(id);
            series.extend(f.store.monitor_get(id).await.unwrap().unwrap().series.iter().map(|s| s.id));
        }
        for &id in &series {
            let mut from = now - HOURS * 3600 - random.below(1000);
            f.sql.execute("delete from series_schedule where series_id = $1", &[&id]).await.unwrap();
            let (mut interval, mut active) = (0, true);
            while from < now - 100 {
                interval = [30_000, 61_500, 120_000, 299_000, 600_000][random.below(5) as usize];
                active = !random.percent(20);
                let phase = random.below(interval) / 10 * 10;
                let (failures, successes) = (1 + random.below(3) as i16, 1 + random.below(2) as i16);
                let sql = "insert into series_schedule values ($1, $2, $3, $4, $5, $6, $7)";
                f.sql.execute(sql, &[&id, &from, &interval, &phase, &failures, &successes, &active]).await.unwrap();
                let sql = "update monitor_states set sched_from = $2, interval_ms = $3, failures = $4, successes = $5, \
                    active = $6 where series_id = $1";
                f.sql.execute(sql, &[&id, &from, &interval, &failures, &successes, &active]).await.unwrap();
                from += 3600 + random.below(15 * 3600);
            }
            let _ = (interval, active);
        }
        // Maintenance with edges inside buckets.
        let from = now - 20 * 3600 - random.below(1000);
        let to = from + 8000 + random.below(9000);
        let sql = "insert into maintenance_spans (monitor_id, from_slot, to_slot) values ($1, $2, $3)";
        f.sql.execute(sql, &[&monitors[1], &from, &to]).await.unwrap();
        Self { f, random, monitors, series, now }
    }

    /// Results in the order in which they reach the database: late ones, gaps, days' edges, other runners' copies.
    fn results(&mut self, span: std::ops::Range<Slot>) -> Vec<NewResult> {
        let mut delivered: Vec<(Slot, NewResult)> = Vec::new();
        for &series in &self.series.clone() {
            let (mut slot, mut status) = (span.start, Status::Ok);
            while slot < span.end {
                if self.random.percent(8) {
                    status = [Status::Ok, Status::Ok, Status::Error, Status::Failed][self.random.below(4) as usize];
                }
                // Some hours without data.
                let gap = (slot / 5000) % 7 == series % 7;
                if !gap && !self.random.percent(5) {
                    let copies = if self.random.percent(10) { 2 } else { 1 };
                    for runner in 0..copies {
                        let delay =
                            if self.random.percent(15) { self.random.below(6000) } else { self.random.below(20) };
                        let result = self.result(series, slot, if runner == 0 { status } else { Status::Ok });
                        delivered.push((slot + delay, result));
                    }
                }
                slot += 20 + self.random.below(150);
            }
        }
        delivered.sort_by_key(|(at, result)| (*at, result.series_id, result.slot));
        delivered.into_iter().map(|(_, result)| result).collect()
    }

    fn result(&mut self, series_id: SeriesId, slot: Slot, status: Status) -> NewResult {
        let mut flags = 0;
        flags |= if self.random.percent(3) { Verdict::UNKNOWN } else { 0 };
        flags |= if self.random.percent(2) { Verdict::EXTRA } else { 0 };
        let value = (!self.random.percent(10)).then(|| self.random.below(1_000_000) as f32 / 997.0);
        let mut outputs = Outputs::default();
        if self.random.percent(70) {
            outputs.set_number(OutputId::DNS_TIME, f64::from(self.random.below(90_000)) / 1000.0);
            outputs.set_number(OutputId::CONNECT_TIME, f64::from(self.random.below(90_000)) / 1000.0);
            outputs.set_number(OutputId::STATUS, 200.0);
        }
        NewResult {
            series_id,
            slot,
            verdict: Verdict::new(status).with(flags),
            reason: if status == Status::Ok { Reason::Ok } else { Reason::Timeout },
            value,
            start_ms: self.random.below(1000) as i16,
            runner_id: 1 + self.random.below(3) as i16,
            phases: Phases::from_outputs(&outputs),
            outputs: encode(ProbeType::Http, &outputs, value),
        }
    }

    /// Two writers take turns at batches of all sizes; some batches are sent again, as after an unknown commit.
    async fn write(&mut self, results: Vec<NewResult>) {
        let mut queues: [Vec<Vec<NewResult>>; 2] = Default::default();
        let mut rest = &results[..];
        while !rest.is_empty() {
            let size = (1 + self.random.below(250) as usize).min(rest.len());
            let (batch, after) = rest.split_at(size);
            rest = after;
            let queue = &mut queues[self.random.below(2) as usize];
            queue.push(batch.to_vec());
            if self.random.percent(15) {
                queue.push(batch.to_vec());
            }
        }
        let run = |store: Store, batches: Vec<Vec<NewResult>>| async move {
            for batch in batches {
                store.result_write_batch(&batch).await.unwrap();
            }
        };
        let [a, b] = queues;
        tokio::join!(run(connect(&self.f.dsn), a), run(connect(&self.f.dsn), b));
    }

    fn windows(&mut self) -> Vec<(Slot, Slot)> {
        let start = self.now - HOURS * 3600;
        let day = self.now - self.now.rem_euclid(86_400);
        let mut windows = vec![(day - 86_400, day), (day - 86_400, day + 86_400), (start, self.now + 10), (day, day)];
        for _ in 0..25 {
            let from = start - 4000 + self.random.below(HOURS * 3600 + 4000);
            let length = [1, 299, 301, 3599, 7300, 40_000, 90_000][self.random.below(7) as usize];
            windows.push((from, from + 1 + self.random.below(length)));
        }
        windows
    }

    async fn check(&mut self, model: &Model, exact: bool, seed: u64, what: &str) {
        let report = self.f.store.verify().await.unwrap();
        assert_eq!(report.faults, Vec::<String>::new(), "seed {seed}, {what}");
        let windows = self.windows();
        let found = self.f.store.uptime_read(&self.monitors, &windows).await.unwrap();
        assert_eq!(found.len(), self.monitors.len() * windows.len());
        for (index, uptime) in found.iter().enumerate() {
            let monitor = self.monitors[index / windows.len()];
            let window = windows[index % windows.len()];
            assert_eq!(uptime.monitor_id, monitor);
            assert!(uptime.from <= window.0 && uptime.to >= window.1);
            if exact {
                assert_eq!((uptime.from, uptime.to), window, "seed {seed}, {what}");
            }
            let expected = model.uptime(monitor, uptime.from, uptime.to);
            let got = [uptime.up_ms, uptime.down_ms, uptime.maint_ms, uptime.scheduled_ms];
            assert_eq!(got, expected, "seed {seed}, {what}, monitor {monitor}, asked {window:?}, answered {uptime:?}");
        }
        self.check_points(model, seed, what).await;
    }

    /// The points of a chart add up to the rows, at each level.
    async fn check_points(&mut self, model: &Model, seed: u64, what: &str) {
        for monitor in self.monitors.clone() {
            for span in [3600, 5 * 3600, 20 * 3600, 10 * 86_400, 100 * 86_400] {
                let (from, to) = (self.now - span, self.now + 10);
                for points in [500, 7] {
                    let found = self.f.store.series_read(monitor, from, to, points).await.unwrap();
                    assert!(found.points.len() <= usize::from(points), "seed {seed}: {}", found.points.len());
                    // A bucket at the edge may begin earlier.
                    let start = found.points.first().map_or(from, |bucket| bucket.start).min(from);
                    let last = found.points.last().map_or(to, |bucket| bucket.start + found.bucket_seconds).max(to);
                    let up: i64 = found.points.iter().map(|bucket| bucket.up_ms).sum();
                    let down: i64 = found.points.iter().map(|bucket| bucket.down_ms).sum();
                    let least = model.uptime(monitor, from, to);
                    let most = model.uptime(monitor, start - found.bucket_seconds, last);
                    for (got, which) in [(up, 0), (down, 1)] {
                        assert!(
                            least[which] <= got && got <= most[which],
                            "seed {seed}, {what}, monitor {monitor}, span {span}, points {points}: {got} not within {} and {}",
                            least[which],
                            most[which]
                        );
                    }
                }
            }
        }
    }
}

async fn play(seed: u64) {
    let mut history = History::new(seed).await;
    let (start, now) = (history.now - HOURS * 3600, history.now);
    let results = history.results(start..now - 600);
    assert!(results.len() > 5000);
    history.write(results).await;
    let model = Model::read(&history.f).await;
    assert!(model.rows.iter().any(|row| row.verdict.is_late()));
    assert!(model.rows.iter().any(|row| row.verdict.is_maintenance()));
    history.check(&model, true, seed, "after the writers").await;

    // Suspended, resumed, another interval, another pool: by the product's own hand, between live results.
    let mut changed = def("m0", 20);
    changed.suspended = true;
    put(&history.f.store, "m0", changed.clone()).await;
    changed.suspended = false;
    put(&history.f.store, "m0", changed.clone()).await;
    let recent = history.results(now - 600..now - 300);
    history.write(recent).await;
    changed.pools = vec!["edge".to_owned()];
    put(&history.f.store, "m0", changed).await;
    let recent = history.results(now - 300..now + 4);
    history.write(recent).await;
    let model = Model::read(&history.f).await;
    history.check(&model, true, seed, "after changes").await;

    // A clear mark in the middle of a bucket, and one at the end.
    let (middle, end) = (history.monitors[1], history.monitors[2]);
    let mark = now - 10_000 - history.random.below(50_000);
    history.f.store.monitor_clear_results(&[middle], mark).await.unwrap();
    history.f.store.monitor_clear_results(&[end], now + 5).await.unwrap();
    // The store has met definitions that differ from the timetables made above, and has put that right.
    let mut model = Model::read(&history.f).await;
    model.cleared.insert(middle, mark);
    model.cleared.insert(end, now + 5);
    history.check(&model, true, seed, "after clear marks").await;

    // Raw days expire; then the 5-minute level too.
    let retention = Retention { raw_days: 1, ..Retention::default() };
    history.f.store.maintain(&retention).await.unwrap();
    history.check(&model, false, seed, "without old raw rows").await;
    let retention = Retention { raw_days: 0, five_minute_days: 0, ..Retention::default() };
    history.f.store.maintain(&retention).await.unwrap();
    history.check(&model, false, seed, "without old raw rows and 5-minute buckets").await;
}

#[tokio::test]
async fn rollups_and_uptime_equal_raw() {
    for seed in [1, 0x9E37_79B9, 77_777] {
        play(seed).await;
    }
}
