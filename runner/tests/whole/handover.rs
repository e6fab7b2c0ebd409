//! Shards move, runners die, freeze and come back: the target's log says what was missed and what was run twice.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use nanomon_core::Status;
use nanomon_sql::MonitorId;
use nanomon_testkit::postgres::{Options, Postgres};

use super::child::RunnerProcess;
use super::support::{Database, Target1, http_def, schedule_of, slots_hit, uid_of, wait_for};

const SECOND: Duration = Duration::from_secs(1);
const MONITORS: usize = 200;

fn now_ms() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as i64
}

fn name(n: usize) -> String {
    format!("m{n}")
}

async fn monitors(db: &Database, target: &Target1, interval: Duration) -> Result<Vec<MonitorId>> {
    let monitors: Vec<_> = (0..MONITORS).map(|n| (name(n), http_def(&target.url(&name(n)), interval))).collect();
    db.write(&monitors).await
}

/// Shards that each runner runs by the map, and whether none is on its way.
async fn shares(db: &Database) -> Result<(Vec<usize>, bool)> {
    let pool_id = db.store.pool_ensure("default").await?;
    let (_, map) = db.store.shard_list(pool_id).await?;
    let owners: BTreeSet<i16> = map.iter().filter_map(|row| row.owner).collect();
    let count = |id: &i16| map.iter().filter(|row| row.owner == Some(*id)).count();
    Ok((owners.iter().map(count).collect(), map.iter().all(|row| row.next.is_none() && row.owner.is_some())))
}

async fn settled(db: &Database, runners: usize) -> Result<()> {
    wait_for(&format!("{runners} runners share the shards"), || async {
        let (shares, settled) = shares(db).await?;
        Ok(settled && shares.len() == runners)
    })
    .await
}

/// Waits for this much more of the schedule.
async fn pass(target: &Target1, hits: usize) -> Result<()> {
    let before = target.total();
    wait_for("probing goes on", || async { Ok(target.total() >= before + hits) }).await
}

/// Slots missed and slots hit twice, per monitor, between two moments.
fn judged(target: &Target1, interval: Duration, from_ms: i64, to_ms: i64) -> (usize, usize, u32) {
    let (mut missed, mut twice, mut worst) = (0, 0, 0);
    for n in 0..MONITORS {
        let schedule = schedule_of(uid_of(&name(n)), interval);
        let slots = slots_hit(&target.hits(&name(n)), uid_of(&name(n)), interval);
        let mut slot = schedule.next_after(from_ms);
        let mut extra = 0;
        while slot < to_ms {
            match slots.get(&slot) {
                None => missed += 1,
                Some(1) => {}
                Some(hits) => extra += hits - 1,
            }
            slot = schedule.next_after(slot);
        }
        twice += usize::from(extra > 0);
        worst = worst.max(extra);
    }
    (missed, twice, worst)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn graceful_moves_miss_nothing() -> Result<()> {
    let db = Database::shared().await?;
    let target = Target1::start().await?;
    // Half of it is what a slot may be late: more than a busy machine takes.
    let interval = 3 * SECOND;
    monitors(&db, &target, interval).await?;
    let dealer = db.deal();
    let one = db.runner("one");
    settled(&db, 1).await?;
    wait_for("all are run", || async { Ok(target.paths() == MONITORS) }).await?;
    pass(&target, 2 * MONITORS).await?;
    let from = now_ms();
    // A second runner comes: half of the shards move.
    let two = db.runner("two");
    settled(&db, 2).await?;
    let parts = (one.metric("nanomon_runner_monitors"), two.metric("nanomon_runner_monitors"));
    ensure!(parts.0.min(parts.1) >= 2 * MONITORS as i64 / 5, "shared by rate: {parts:?}");
    pass(&target, 2 * MONITORS).await?;
    // The first one leaves: the other half moves.
    one.leave().await?;
    settled(&db, 1).await?;
    pass(&target, 2 * MONITORS).await?;
    let to = now_ms() - 2_000;
    let (missed, _, worst) = judged(&target, interval, from, to);
    ensure!(missed == 0, "{missed} slots missed");
    ensure!(worst <= 2, "a monitor was hit {worst} times too often in two moves");
    two.leave().await?;
    dealer.stop().await?;
    let latest = db.store.result_list_latest(1_000, None).await?;
    ensure!(latest.iter().all(|row| row.verdict.status() == Status::Ok));
    db.verify().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_in_the_middle_of_a_handover_leaves_no_gap() -> Result<()> {
    let postgres = Postgres::start_with(Options::default()).await?;
    let db = Database::new(&postgres).await?;
    let target = Target1::start().await?;
    // Long enough for a slot that starts late to count as run.
    let interval = 4 * SECOND;
    monitors(&db, &target, interval).await?;
    let dealer = db.deal();
    let one = db.runner("one");
    settled(&db, 1).await?;
    wait_for("all are run", || async { Ok(target.paths() == MONITORS) }).await?;
    let from = now_ms();
    let two = db.runner("two");
    let pool_id = db.store.pool_ensure("default").await?;
    wait_for("a cut is set", || async {
        Ok(db.store.shard_list(pool_id).await?.1.iter().any(|row| row.cut_at_ms.is_some()))
    })
    .await?;
    postgres.kill().await?;
    pass(&target, 3 * MONITORS).await?;
    postgres.start().await?;
    settled(&db, 2).await?;
    pass(&target, 2 * MONITORS).await?;
    let to = now_ms() - 5_000;
    let (missed, _, _) = judged(&target, interval, from, to);
    ensure!(missed == 0, "{missed} slots missed");
    one.leave().await?;
    two.leave().await?;
    dealer.stop().await?;
    db.verify().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_runner_is_replaced_within_ten_seconds() -> Result<()> {
    let db = Database::shared().await?;
    let target = Target1::start().await?;
    let interval = 2 * SECOND;
    let ids = monitors(&db, &target, interval).await?;
    let dealer = db.deal();
    let one = RunnerProcess::start(&db.dsn, "one", false)?;
    let two = RunnerProcess::start(&db.dsn, "two", false)?;
    settled(&db, 2).await?;
    wait_for("all are run", || async { Ok(target.paths() == MONITORS) }).await?;
    pass(&target, 2 * MONITORS).await?;
    one.kill().await?;
    let killed = now_ms();
    settled(&db, 1).await?;
    pass(&target, 3 * MONITORS).await?;
    // Every monitor runs again at the latest 10 s after the kill.
    wait_for("some seconds after the takeover", || async { Ok(now_ms() > killed + 16_000) }).await?;
    let (missed, _, _) = judged(&target, interval, killed + 10_000, killed + 14_000);
    ensure!(missed == 0, "{missed} slots are missed ten seconds after the kill");
    two.leave().await?;
    dealer.stop().await?;
    // Rows are missing in the window of the kill only.
    for (n, id) in ids.iter().enumerate() {
        let schedule = schedule_of(uid_of(&name(n)), interval);
        let rows: BTreeSet<i32> = db.results(*id).await?.iter().map(|row| row.slot).collect();
        let mut slot = schedule.next_after(killed + 10_000);
        while slot < killed + 14_000 {
            ensure!(rows.contains(&nanomon_core::slot::key(slot)), "{}: no row for {slot}", name(n));
            slot = schedule.next_after(slot);
        }
    }
    db.verify().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_runner_blames_nobody_and_takes_nothing_back() -> Result<()> {
    let db = Database::shared().await?;
    let target = Target1::start().await?;
    let ids = monitors(&db, &target, SECOND).await?;
    // Slow enough that some runs are in flight at the freeze.
    target.set_delay(Duration::from_millis(50));
    let dealer = db.deal();
    let one = RunnerProcess::start(&db.dsn, "one", false)?;
    let two = RunnerProcess::start(&db.dsn, "two", false)?;
    settled(&db, 2).await?;
    wait_for("all are run", || async { Ok(target.paths() == MONITORS) }).await?;
    one.freeze()?;
    settled(&db, 1).await?;
    pass(&target, 2 * MONITORS).await?;
    one.thaw()?;
    // It joins again and gets its part.
    settled(&db, 2).await?;
    pass(&target, 3 * MONITORS).await?;
    one.leave().await?;
    two.leave().await?;
    dealer.stop().await?;
    for id in ids {
        for row in db.results(id).await? {
            ensure!(
                row.verdict.is_unknown() || row.verdict.status() == Status::Ok,
                "a healthy target was blamed: {row:?}"
            );
        }
    }
    db.verify().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_deals_when_nobody_else_does() -> Result<()> {
    let db = Database::shared().await?;
    let target = Target1::start().await?;
    monitors(&db, &target, SECOND).await?;
    // The lease was held and is not given back: as if the dealer had died.
    db.store.lease_take(nanomon_dealer::LEASE, "somebody", Duration::from_secs(1)).await?;
    let one = RunnerProcess::start(&db.dsn, "one", true)?;
    let two = RunnerProcess::start(&db.dsn, "two", true)?;
    settled(&db, 2).await?;
    wait_for("all are run", || async { Ok(target.paths() == MONITORS) }).await?;
    // Whichever deals, the other one goes on when it leaves.
    one.leave().await?;
    settled(&db, 1).await?;
    pass(&target, 2 * MONITORS).await?;
    two.leave().await?;
    db.verify().await
}
