//! What is probed is stored, once, at its slot.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nanomon_core::status::Phases;
use nanomon_core::{OutputId, ProbeType, Reason, Status, Verdict, slot};
use nanomon_runner::buffer::{Buffer, Pending};
use nanomon_runner::meter::{SeriesMeter, SeriesName};
use nanomon_runner::recorder::Recorder;
use nanomon_runner::stats::Stats;
use nanomon_sql::results::NewResult;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::support::{Database, Target1, http_def, schedule_of, slots_hit, uid_of, wait_for};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_are_stored_once_and_at_their_slots() -> Result<()> {
    let db = Database::shared().await?;
    let target = Target1::start().await?;
    let id = db.write_one("a", &http_def(&target.url("a"), Duration::from_secs(1))).await?;
    let dealer = db.deal();
    let runner = db.runner("one");
    wait_for("six results", || async { Ok(db.results(id).await?.len() >= 6) }).await?;
    runner.leave().await?;
    dealer.stop().await?;

    let rows = db.results(id).await?;
    let schedule = schedule_of(uid_of("a"), Duration::from_secs(1));
    for row in rows.iter().filter(|row| !row.verdict.is_extra()) {
        ensure!(row.verdict.status() == Status::Ok && row.reason == Reason::Ok, "{row:?}");
        ensure!(row.outputs.number(OutputId::STATUS) == Some(200.0), "{row:?}");
        ensure!(row.value.is_some_and(|ms| ms > 0.0 && ms < 1_000.0), "{row:?}");
        let slot_ms = schedule.next_at_or_after(i64::from(row.slot) * 1000);
        let started = i64::from(row.slot) * 1000 + i64::from(row.start_ms);
        ensure!(slot_ms <= started && started < slot_ms + 500, "started at {started} for the slot {slot_ms}");
    }
    let slots: BTreeSet<i32> = rows.iter().map(|row| row.slot).collect();
    ensure!(slots.len() == rows.len());
    let hit: BTreeSet<i32> =
        slots_hit(&target.hits("a"), uid_of("a"), Duration::from_secs(1)).keys().map(|ms| slot::key(*ms)).collect();
    let scheduled: BTreeSet<i32> = rows.iter().filter(|row| !row.verdict.is_extra()).map(|row| row.slot).collect();
    ensure!(scheduled.is_subset(&hit), "{scheduled:?} {hit:?}");
    ensure!(target.total() == rows.len(), "{} hits, {} rows: nothing was lost at the end", target.total(), rows.len());
    db.verify().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_monitors_start_within_one_interval() -> Result<()> {
    let db = Database::shared().await?;
    let target = Target1::start().await?;
    let interval = Duration::from_secs(10);
    let monitors: Vec<_> =
        (0..1_000).map(|n| (format!("m{n}"), http_def(&target.url(&format!("m{n}")), interval))).collect();
    db.write(&monitors).await?;
    let dealer = db.deal();
    let runner = db.runner("one");
    let begin = Instant::now();
    wait_for("every monitor has run", || async { Ok(target.paths() == 1_000) }).await?;
    let took = begin.elapsed();
    // Joining, dealing and loading come on top of the interval, on a machine that also does other things.
    ensure!(took < interval + Duration::from_secs(8), "{took:?}");
    runner.leave().await?;
    dealer.stop().await?;
    db.verify().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_verdict_is_stored_at_once() -> Result<()> {
    let db = Database::shared().await?;
    let target = Target1::start().await?;
    let id = db.write_one("a", &http_def(&target.url("a"), Duration::from_secs(1))).await?;
    let dealer = db.deal();
    let runner = db.runner("one");
    wait_for("two results", || async { Ok(db.results(id).await?.len() >= 2) }).await?;
    target.set_status(500);
    let before = target.total();
    wait_for("it is asked again", || async { Ok(target.total() > before) }).await?;
    let asked = Instant::now();
    wait_for("the error is stored", || async {
        Ok(db
            .results(id)
            .await?
            .first()
            .is_some_and(|row| row.verdict.status() == Status::Error && row.reason == Reason::RuleFalse))
    })
    .await?;
    // 200 ms in the product; the rest is this test's polling on a busy machine.
    ensure!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    runner.leave().await?;
    dealer.stop().await?;
    db.verify().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_initial_run_comes_at_once_and_only_once() -> Result<()> {
    let db = Database::shared().await?;
    let target = Target1::start().await?;
    let dealer = db.deal();
    let runner = db.runner("one");
    wait_for("the runner has its shards", || async { Ok(runner.metric("nanomon_runner_shards") == 1024) }).await?;
    let interval = Duration::from_hours(1);
    let id = db.write_one("a", &http_def(&target.url("a"), interval)).await?;
    wait_for("the initial run is stored", || async { Ok(db.results(id).await?.len() == 1) }).await?;
    let row = &db.results(id).await?[0];
    ensure!(row.verdict.is_extra(), "{row:?}");
    let monitor = db.store.monitor_get(id).await?.unwrap();
    ensure!(row.slot == monitor.activated_at);
    runner.leave().await?;
    // Whoever takes the monitor over does not run it again.
    let second = db.runner("two");
    wait_for("the second has its shards", || async { Ok(second.metric("nanomon_runner_shards") == 1024) }).await?;
    let other = db.write_one("b", &http_def(&target.url("b"), interval)).await?;
    wait_for("a new monitor's initial run", || async { Ok(db.results(other).await?.len() == 1) }).await?;
    ensure!(target.hits("a").len() == 1, "{:?}", target.hits("a"));
    second.leave().await?;
    dealer.stop().await?;
    db.verify().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_over_bodies_and_silent_hosts_do_not_hold_up_others() -> Result<()> {
    let db = Database::shared().await?;
    let (fast, silent) = (Target1::start().await?, Target1::start().await?);
    silent.set_delay(Duration::from_mins(1));
    let interval = Duration::from_secs(2);
    let mut monitors: Vec<_> =
        (0..20).map(|n| (format!("fast{n}"), http_def(&fast.url(&format!("f{n}")), interval))).collect();
    for n in 0..100 {
        monitors.push((format!("silent{n}"), http_def(&silent.url(&format!("s{n}")), interval)));
    }
    let mut body = http_def(&fast.url("body"), interval);
    body.rule = Some("body =~ 'ok' && regexMatch == 'k'".to_owned());
    if let nanomon_core::Target::Http(http) = &mut body.target {
        http.body_regex = Some("o(k)".to_owned());
    }
    monitors.push(("body".to_owned(), body));
    let ids = db.write(&monitors).await?;
    let dealer = db.deal();
    // All are on 127.0.0.1, so the bound per host is what is tried here.
    let runner = db.runner_with("one", |config| config.bounds.per_host = 40);
    wait_for("silent ones are skipped with their reason", || async {
        let latest = db.store.result_list_latest(1_000, None).await?;
        Ok(latest.iter().any(|row| row.reason == Reason::SkippedHostLimit && row.verdict.is_unknown())
            && latest.iter().any(|row| row.reason == Reason::Timeout && row.verdict.status() == Status::Failed))
    })
    .await?;
    ensure!(runner.metric("nanomon_slots_skipped_total{reason=\"host_limit\"}") > 0);
    wait_for("the body's rule holds", || async {
        Ok(db.results(ids[120]).await?.iter().any(|row| row.verdict.status() == Status::Ok))
    })
    .await?;
    runner.leave().await?;
    dealer.stop().await?;
    let row = db
        .results(ids[120])
        .await?
        .into_iter()
        .find(|row| row.verdict.status() == Status::Ok && !row.verdict.is_unknown())
        .unwrap();
    ensure!(row.outputs.get(OutputId::REGEX_MATCH).is_some() && row.outputs.get(OutputId::BODY).is_none());
    for id in &ids[..20] {
        let rows = db.results(*id).await?;
        ensure!(
            !rows.is_empty() && rows.iter().all(|row| row.verdict.is_unknown() || row.verdict.status() == Status::Ok),
            "{rows:?}"
        );
    }
    db.verify().await
}

/// A monitor without a runner, and a meter of it.
async fn unprobed(db: &Database) -> Result<(nanomon_sql::SeriesId, Arc<SeriesMeter>)> {
    let id = db.write_one("a", &http_def("http://127.0.0.1:9/", Duration::from_secs(1))).await?;
    let series_id = db.store.monitor_get(id).await?.context("written")?.series[0].id;
    let name = SeriesName {
        monitor_id: id,
        namespace: "default".to_owned(),
        name: "a".to_owned(),
        display_name: "a".to_owned(),
        pool: "default".to_owned(),
        probe: ProbeType::Http,
    };
    let meter = Arc::new(SeriesMeter::new(name, None));
    Ok((series_id, meter))
}

fn row_of(series_id: nanomon_sql::SeriesId, slot: i32) -> NewResult {
    NewResult {
        series_id,
        slot,
        verdict: Verdict::new(Status::Ok),
        reason: Reason::Ok,
        value: Some(1.0),
        start_ms: 0,
        runner_id: 1,
        phases: Phases::default(),
        outputs: vec![],
    }
}

fn now_s() -> Result<i32> {
    Ok(i32::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs())?)
}

/// More than one batch waits when the runner leaves, and what is left after it is less than one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaving_recorder_leaves_nothing_behind() -> Result<()> {
    const ROWS: i32 = 5_500;
    let db = Database::shared().await?;
    let (series_id, meter) = unprobed(&db).await?;
    let now = now_s()?;
    let buffer = Arc::new(Buffer::new(64 << 20));
    for ago in (0..ROWS).rev() {
        let row = row_of(series_id, now - ago);
        buffer.push(Pending { row, meter: meter.clone() }, false);
    }
    let recorder = Recorder::new(db.store.clone(), buffer, Arc::default(), Arc::default(), Arc::new(Notify::new()));
    let stop = CancellationToken::new();
    stop.cancel();
    ensure!(recorder.run(stop, CancellationToken::new()).await == 0, "rows were left behind");
    let report = db.store.verify().await?;
    ensure!(report.rows == ROWS as u64 && report.faults.is_empty(), "{report:?}");
    Ok(())
}

/// A row on which the statement itself fails (here by a trigger) does not hold up the others for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_no_statement_can_store_is_dropped_alone() -> Result<()> {
    const ROWS: i32 = 40;
    let db = Database::shared().await?;
    let (series_id, meter) = unprobed(&db).await?;
    let (now, stats) = (now_s()?, Arc::new(Stats::default()));
    let client = nanomon_testkit::postgres::connect(&db.dsn).await?;
    let refuse = format!(
        "create function refuse() returns trigger language plpgsql as $$ begin raise exception 'refused'; end $$; \
         create trigger refuse before insert on results for each row when (new.slot = {}) execute function refuse()",
        now - 13
    );
    client.batch_execute(&refuse).await?;
    let buffer = Arc::new(Buffer::new(64 << 20));
    for ago in (0..ROWS).rev() {
        buffer.push(Pending { row: row_of(series_id, now - ago), meter: meter.clone() }, false);
    }
    let recorder = Recorder::new(db.store.clone(), buffer, stats.clone(), Arc::default(), Arc::new(Notify::new()));
    let stop = CancellationToken::new();
    stop.cancel();
    let left = tokio::time::timeout(Duration::from_secs(40), recorder.run(stop, CancellationToken::new())).await?;
    ensure!(left == 0, "rows were left behind");
    ensure!(stats.store.dropped_statement.get() == 1 && stats.store.dropped_refused.get() == 0);
    let report = db.store.verify().await?;
    ensure!(report.rows == ROWS as u64 - 1 && report.faults.is_empty(), "{report:?}");
    Ok(())
}
