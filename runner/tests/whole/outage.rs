//! PostgreSQL goes away and comes back: nothing that was probed is lost.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nanomon_core::slot;
use nanomon_sql::MonitorId;
use nanomon_testkit::pg_proxy::{Fault, PgProxy};
use nanomon_testkit::postgres::{Options, Postgres};

use super::support::{Database, PATIENCE, Target1, http_def, schedule_of, slots_hit, uid_of, wait_for};

const SECOND: Duration = Duration::from_secs(1);
const MONITORS: usize = 50;

fn name(n: usize) -> String {
    format!("m{n}")
}

async fn monitors(db: &Database, target: &Target1) -> Result<Vec<MonitorId>> {
    let monitors: Vec<_> = (0..MONITORS).map(|n| (name(n), http_def(&target.url(&name(n)), SECOND))).collect();
    db.write(&monitors).await
}

async fn pass(target: &Target1, hits: usize) -> Result<()> {
    let before = target.total();
    wait_for("probing goes on", || async { Ok(target.total() >= before + hits) }).await
}

/// Each slot that the target was asked for has its row, and no slot was left out.
async fn nothing_lost(db: &Database, target: &Target1, ids: &[MonitorId]) -> Result<()> {
    for (n, id) in ids.iter().enumerate() {
        let (name, uid) = (name(n), uid_of(&name(n)));
        let rows = db.results(*id).await?;
        let keys: BTreeSet<i32> = rows.iter().map(|row| row.slot).collect();
        let slots = slots_hit(&target.hits(&name), uid, SECOND);
        let scheduled: BTreeSet<i32> = slots.keys().map(|ms| slot::key(*ms)).collect();
        let missing: Vec<&i32> = scheduled.difference(&keys).collect();
        // The initial run's hit belongs to the slot before it by this count, and has its row under its own key.
        ensure!(
            missing.len() <= rows.iter().filter(|row| row.verdict.is_extra()).count(),
            "{name}: hit, but no row: {missing:?}"
        );
        let schedule = schedule_of(uid, SECOND);
        let (first, last) = (*slots.keys().next().unwrap(), *slots.keys().next_back().unwrap());
        let expected = schedule.count(schedule.next_after(first), last) as usize;
        let mut missed = Vec::new();
        let mut slot_ms = first;
        while slot_ms < last {
            if !slots.contains_key(&slot_ms) {
                missed.push((slot_ms - first) / 1000);
            }
            slot_ms = schedule.next_after(slot_ms);
        }
        ensure!(missed.is_empty(), "{name}: of {expected} slots these were not run: {missed:?}");
    }
    db.verify().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_wait_for_postgres_and_none_is_lost() -> Result<()> {
    let postgres = Postgres::start_with(Options::default()).await?;
    let db = Database::new(&postgres).await?;
    let target = Target1::start().await?;
    let ids = monitors(&db, &target).await?;
    let dealer = db.deal();
    let (one, two) = (db.runner("one"), db.runner("two"));
    wait_for("all are run", || async { Ok(target.paths() == MONITORS) }).await?;
    // An orderly stop that lasts longer than silence may, then a crash.
    postgres.stop().await?;
    pass(&target, 12 * MONITORS).await?;
    wait_for("what is run meanwhile waits", || async {
        Ok(one.metric("nanomon_buffer_results") + two.metric("nanomon_buffer_results") >= 10 * MONITORS as i64)
    })
    .await?;
    let shards = (one.metric("nanomon_runner_shards"), two.metric("nanomon_runner_shards"));
    postgres.start().await?;
    wait_for("the backlog is stored", || async {
        Ok(one.metric("nanomon_buffer_results") + two.metric("nanomon_buffer_results") < 4 * MONITORS as i64)
    })
    .await?;
    pass(&target, 4 * MONITORS).await?;
    ensure!(shards == (one.metric("nanomon_runner_shards"), two.metric("nanomon_runner_shards")), "no shard has moved");
    postgres.kill().await?;
    pass(&target, 2 * MONITORS).await?;
    postgres.start().await?;
    pass(&target, 4 * MONITORS).await?;
    one.leave().await?;
    two.leave().await?;
    dealer.stop().await?;
    nothing_lost(&db, &target, &ids).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_postgres_is_no_reason_to_lose_anything() -> Result<()> {
    let postgres = Postgres::start_with(Options::default()).await?;
    let db = Database::new(&postgres).await?;
    let target = Target1::start().await?;
    let ids = monitors(&db, &target).await?;
    let dealer = db.deal();
    let one = db.runner("one");
    wait_for("all are run", || async { Ok(target.paths() == MONITORS) }).await?;
    for _ in 0..2 {
        postgres.pause()?;
        pass(&target, 12 * MONITORS).await?;
        postgres.resume()?;
        pass(&target, 4 * MONITORS).await?;
    }
    one.leave().await?;
    dealer.stop().await?;
    nothing_lost(&db, &target, &ids).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_faulty_way_to_postgres_loses_nothing_and_stores_nothing_twice() -> Result<()> {
    let postgres = Postgres::shared().await;
    let db = Database::new(postgres).await?;
    let name = db.dsn.rsplit("dbname=").next().unwrap_or_default().to_owned();
    let proxy = PgProxy::start(postgres).await?;
    let target = Target1::start().await?;
    let ids = monitors(&db, &target).await?;
    // The judge goes the straight way, the runner and the dealer the faulty one.
    let faulty = Database::by(&proxy.dsn(&name))?;
    let dealer = faulty.deal();
    let one = faulty.runner("one");
    wait_for("all are run", || async { Ok(target.paths() == MONITORS) }).await?;
    proxy.set(Fault::CutAfterCommit(1));
    pass(&target, 6 * MONITORS).await?;
    ensure!(proxy.cut() > 0);
    proxy.set(Fault::Delay(2 * SECOND));
    pass(&target, 8 * MONITORS).await?;
    proxy.set(Fault::SwallowAtBegin);
    pass(&target, 4 * MONITORS).await?;
    proxy.set(Fault::BlackHole);
    pass(&target, 12 * MONITORS).await?;
    ensure!(proxy.swallowed() > 0);
    proxy.set(Fault::None);
    wait_for("the backlog is stored", || async {
        Ok(one.metric("nanomon_buffer_results") < 3 * MONITORS as i64
            && one.metric("nanomon_batches_retried_total") > 0)
    })
    .await?;
    pass(&target, 3 * MONITORS).await?;
    one.leave().await?;
    dealer.stop().await?;
    nothing_lost(&db, &target, &ids).await
}

/// Loading all shards takes longer than a runner may be silent: it must not look dead meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_that_loads_for_long_stays_alive() -> Result<()> {
    let postgres = Postgres::shared().await;
    let db = Database::new(postgres).await?;
    let name = db.dsn.rsplit("dbname=").next().unwrap_or_default().to_owned();
    let proxy = PgProxy::start(postgres).await?;
    let target = Target1::start().await?;
    monitors(&db, &target).await?;
    let dealer = db.deal();
    // Every statement of the runner takes this long, and it needs some forty for its shards.
    proxy.set(Fault::Delay(SECOND / 4));
    let one = Database::by(&proxy.dsn(&name))?.runner("one");
    let (begin, mut silent) = (Instant::now(), 0.0_f64);
    while one.metric("nanomon_runner_shards") < 1_024 {
        ensure!(begin.elapsed() < PATIENCE, "it does not get on with its shards");
        for runner in db.store.runner_list().await? {
            silent = silent.max(runner.silent_s);
        }
        tokio::time::sleep(SECOND / 10).await;
    }
    ensure!(silent < 5.0, "silent for {silent} s");
    proxy.set(Fault::None);
    one.leave().await?;
    dealer.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_row_is_dropped_alone() -> Result<()> {
    let postgres = Postgres::start_with(Options::default()).await?;
    let db = Database::new(&postgres).await?;
    let target = Target1::start().await?;
    let ids = monitors(&db, &target).await?;
    // PostgreSQL refuses the data of one series, as it would a value that no column takes.
    let poisoned = db.store.monitor_get(ids[7]).await?.unwrap().series[0].id;
    let client = nanomon_testkit::postgres::connect(&db.dsn).await?;
    client
        .batch_execute(&format!(
            "create function refuse() returns trigger language plpgsql as $$ begin \
               if new.series_id = {poisoned} then raise exception 'poison' using errcode = '22003'; end if; \
               return new; end $$; \
             create trigger refuse before insert on results for each row execute function refuse()"
        ))
        .await?;
    let dealer = db.deal();
    let one = db.runner("one");
    wait_for("the poisoned rows are dropped", || async {
        Ok(one.metric("nanomon_results_dropped_total{reason=\"refused\"}") >= 2)
    })
    .await?;
    for id in ids.iter().filter(|id| **id != ids[7]) {
        wait_for("the others are stored", || async { Ok(db.results(*id).await?.len() >= 3) }).await?;
    }
    ensure!(db.results(ids[7]).await?.is_empty());
    one.leave().await?;
    dealer.stop().await?;
    db.verify().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_that_starts_before_postgres_waits_for_it() -> Result<()> {
    let postgres = Postgres::start_with(Options::default()).await?;
    let db = Database::new(&postgres).await?;
    let target = Target1::start().await?;
    monitors(&db, &target).await?;
    postgres.stop().await?;
    let one = db.runner("one");
    let dealer = db.deal();
    tokio::task::yield_now().await;
    postgres.start().await?;
    wait_for("all are run", || async { Ok(target.paths() == MONITORS) }).await?;
    one.leave().await?;
    dealer.stop().await?;
    db.verify().await
}
