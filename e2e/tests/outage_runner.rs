//! Runners die, leave, freeze; definitions change: what the target sees of it, and what is stored. The target's own log is
//! the judge, and `nanomon verify` ends each test.

#![expect(clippy::print_stdout, reason = "tests say what they measured")]

mod outage;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nanomon_e2e::eventually;
use nanomon_e2e::judge::{Judgement, now_us};
use nanomon_e2e::stack::{PATIENCE, Program, Subject};
use nanomon_testkit::light::{Behaviour, HitLog};
use nanomon_testkit::pg_proxy::{Fault, PgProxy};
use outage::{MONITORS, SECOND, Stage};

/// Results wait at most 2 s for their batch; then it takes its time on a busy machine.
const UNFLUSHED_MS: i64 = 2_500;

/// A runner of another pool, which deals the shards of all and owns none.
async fn dealer_apart(stage: &Stage) -> Result<Program> {
    let dealer = stage.runner("dealer", "apart", &stage.stack.dsn).await?;
    eventually("it deals", PATIENCE, || async {
        Ok((stage.stack.dealer().await?.as_deref() == Some("dealer")).then_some(()))
    })
    .await?;
    Ok(dealer)
}

/// The monitors whose shards this runner owns.
fn monitors_of(stage: &Stage, owners: &[String], runner: &str) -> Vec<Subject> {
    stage.subjects.iter().filter(|subject| owners[usize::from(subject.bucket)] == runner).copied().collect()
}

/// The first hit of each of these monitors after a moment (Unix milliseconds), by number, once all have had one.
async fn resumed(stage: &Stage, subjects: &[Subject], after_ms: i64) -> Result<BTreeMap<u32, i64>> {
    // What was on its way at that moment still arrives.
    let after_us = (after_ms + 100) * 1_000;
    eventually("its monitors run elsewhere", PATIENCE, || async {
        let log = stage.target.log()?;
        let first = |subject: &Subject| log.hits.get(&subject.number)?.iter().find(|hit| **hit > after_us).copied();
        Ok(subjects.iter().map(|subject| Some((subject.number, first(subject)? / 1_000))).collect())
    })
    .await
}

/// Slots lost or missed are those of its monitors, between what it had not flushed and the takeover; no others.
fn ensure_only_in_window(
    stage: &Stage,
    judgement: &Judgement,
    from_ms: i64,
    taken_over: &BTreeMap<u32, i64>,
) -> Result<()> {
    for &(number, slot) in judgement.lost.iter().chain(&judgement.missed) {
        let until = taken_over.get(&number).copied().unwrap_or(i64::MIN);
        let excused = (from_ms..until).contains(&slot) || stage.witness.excuses(slot, slot + 500);
        ensure!(
            excused,
            "monitor {number}: slot {slot} is outside the window {from_ms} to {until}; the machine {}",
            stage.witness
        );
    }
    ensure!(judgement.invented.is_empty() && judgement.blamed == 0, "{judgement}");
    ensure!(judgement.doubles_per_monitor().values().all(|doubles| *doubles <= 1), "{:?}", judgement.doubled);
    Ok(())
}

/// Kills the runner `one` of two and measures the takeover.
async fn kill_one(stage: &Stage, one: &mut Program, limit: Duration, what: &str) -> Result<()> {
    let owners = stage.stack.settled(&["one", "two"]).await?;
    let victims = monitors_of(stage, &owners, "one");
    ensure!(victims.len() >= MONITORS as usize / 4, "only {} monitors are its own", victims.len());
    one.process.kill()?;
    let killed_ms = now_us() / 1_000;
    let resumed = resumed(stage, &victims, killed_ms).await?;
    let worst = resumed.values().max().map_or(0, |first| first - killed_ms);
    println!("{what}: {} monitors run elsewhere {:.1} s after SIGKILL", victims.len(), worst as f64 / 1e3);
    ensure!(worst <= limit.as_millis() as i64, "taken over after {worst} ms");
    stage.stack.settled(&["two"]).await?;
    stage.pass(8).await?;
    stage.caught_up_but(killed_ms - UNFLUSHED_MS, killed_ms + 100).await?;
    let judgement = stage.judge(5 * SECOND).await?;
    println!("{what}: {judgement}; the machine {}", stage.witness);
    ensure_only_in_window(stage, &judgement, killed_ms - UNFLUSHED_MS, &resumed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_runner_is_replaced_within_ten_seconds() -> Result<()> {
    let stage = Stage::new().await?;
    let dealer = dealer_apart(&stage).await?;
    let mut one = stage.runner("one", "default", &stage.stack.dsn).await?;
    let two = stage.runner("two", "default", &stage.stack.dsn).await?;
    stage.stack.settled(&["one", "two"]).await?;
    stage.all_run().await?;
    stage.pass(3).await?;
    kill_one(&stage, &mut one, 10 * SECOND, "killed").await?;
    two.leave().await?;
    dealer.leave().await?;
    println!("killed: nanomon verify: {}", stage.stack.verify().await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_runner_that_dealt_is_replaced_within_twenty_seconds() -> Result<()> {
    let stage = Stage::new().await?;
    let mut one = stage.runner("one", "default", &stage.stack.dsn).await?;
    eventually("it deals", PATIENCE, || async {
        Ok((stage.stack.dealer().await?.as_deref() == Some("one")).then_some(()))
    })
    .await?;
    let two = stage.runner("two", "default", &stage.stack.dsn).await?;
    stage.stack.settled(&["one", "two"]).await?;
    stage.all_run().await?;
    stage.pass(3).await?;
    kill_one(&stage, &mut one, 20 * SECOND, "killed with the dealer").await?;
    ensure!(stage.stack.dealer().await?.as_deref() == Some("two"));
    two.leave().await?;
    println!("killed with the dealer: nanomon verify: {}", stage.stack.verify().await?);
    Ok(())
}

/// A runner comes, half of the shards move; another leaves, the rest moves: the one that leaves is the one that deals.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moves_miss_nothing() -> Result<()> {
    let stage = Stage::new().await?;
    let one = stage.runner("one", "default", &stage.stack.dsn).await?;
    stage.stack.settled(&["one"]).await?;
    stage.all_run().await?;
    let two = stage.runner("two", "default", &stage.stack.dsn).await?;
    stage.stack.settled(&["one", "two"]).await?;
    stage.pass(4).await?;
    one.leave().await?;
    stage.stack.settled(&["two"]).await?;
    stage.pass(4).await?;
    two.leave().await?;
    let judgement = stage.close("two moves").await?;
    let doubles = judgement.doubles_per_monitor();
    println!("two moves: {} monitors were hit once too often", doubles.len());
    ensure!(doubles.values().all(|doubles| *doubles <= 2), "more than one for each move: {doubles:?}");
    judgement.ensure_none_missed(&stage.subjects, &stage.witness)
}

/// A runner freezes for 10 s in the middle of its probes and thaws: nobody is blamed, nothing that it did is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_runner_blames_nobody() -> Result<()> {
    let behaviour = Behaviour { delay: Duration::from_millis(200), ..Behaviour::default() };
    let stage = Stage::with(behaviour).await?;
    let dealer = dealer_apart(&stage).await?;
    let one = stage.runner("one", "default", &stage.stack.dsn).await?;
    let two = stage.runner("two", "default", &stage.stack.dsn).await?;
    stage.stack.settled(&["one", "two"]).await?;
    stage.all_run().await?;
    let owners = stage.stack.settled(&["one", "two"]).await?;
    let frozen = monitors_of(&stage, &owners, "one");
    one.process.signal("STOP")?;
    let frozen_ms = now_us() / 1_000;
    let resumed = resumed(&stage, &frozen, frozen_ms).await?;
    let worst = resumed.values().max().map_or(0, |first| first - frozen_ms);
    eventually("10 s have passed", PATIENCE, || async { Ok((now_us() / 1_000 >= frozen_ms + 10_000).then_some(())) })
        .await?;
    one.process.signal("CONT")?;
    stage.stack.settled(&["one", "two"]).await?;
    stage.pass(4).await?;
    let aside = one.metric("nanomon_runs_set_aside_total").await?;
    one.leave().await?;
    two.leave().await?;
    dealer.leave().await?;
    println!("frozen: taken over after {:.1} s; {aside} runs set aside", worst as f64 / 1e3);
    let judgement = stage.judge(Duration::ZERO).await?;
    println!("frozen: {judgement}; the machine {}", stage.witness);
    ensure!(judgement.lost.is_empty(), "what it did before it froze is stored after: {:?}", judgement.lost);
    ensure!(judgement.doubled.values().all(|extra| *extra <= 1), "{:?}", judgement.doubled);
    ensure!(judgement.invented.is_empty() && judgement.blamed == 0, "{judgement}");
    for &(number, slot) in &judgement.missed {
        let until = resumed.get(&number).copied().unwrap_or(i64::MIN);
        let excused = (frozen_ms - 500..until).contains(&slot) || stage.witness.excuses(slot, slot + 500);
        ensure!(excused, "monitor {number}: slot {slot} was missed, frozen at {frozen_ms}, resumed at {until}");
    }
    println!("frozen: nanomon verify: {}", stage.stack.verify().await?);
    Ok(())
}

/// A runner freezes inside an open batch, holding the locks of its monitors' states: the new owner is not held up by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_frozen_inside_a_batch_holds_nobody_up() -> Result<()> {
    let stage = Stage::new().await?;
    let proxy = PgProxy::start(&stage.stack.postgres).await?;
    let dealer = dealer_apart(&stage).await?;
    let one = stage.runner("one", "default", &proxy.dsn(&stage.stack.database)).await?;
    let two = stage.runner("two", "default", &stage.stack.dsn).await?;
    stage.stack.settled(&["one", "two"]).await?;
    stage.all_run().await?;
    let owners = stage.stack.settled(&["one", "two"]).await?;
    let frozen = monitors_of(&stage, &owners, "one");
    proxy.set(Fault::SwallowAtBegin);
    eventually("a batch is open", PATIENCE, || async { Ok((proxy.swallowed() > 0).then_some(())) }).await?;
    one.process.signal("STOP")?;
    let frozen_ms = now_us() / 1_000;
    let is_stored = |rows: &[nanomon_e2e::judge::Stored], subject: &Subject| {
        rows.iter().any(|row| row.monitor == subject.id && i64::from(row.slot) * 1_000 > frozen_ms)
    };
    let stored = async |enough: usize| {
        eventually("the new owner's results are stored", PATIENCE, || async {
            let rows = stage.stack.rows().await?;
            let count = frozen.iter().filter(|subject| is_stored(&rows, subject)).count();
            Ok((count >= enough).then(|| now_us() / 1_000 - frozen_ms))
        })
        .await
    };
    let (first, all) = (stored(1).await?, stored(frozen.len()).await?);
    println!("frozen inside a batch: stored again after {first} ms, all {} monitors after {all} ms", frozen.len());
    // Its interval, the batch and the reading of the rows are on top of the takeover.
    ensure!(first <= 10_000 && all <= 13_000, "held up for {first} ms, {all} ms");
    proxy.set(Fault::None);
    one.process.signal("CONT")?;
    stage.stack.settled(&["one", "two"]).await?;
    stage.pass(3).await?;
    one.leave().await?;
    two.leave().await?;
    dealer.leave().await?;
    let judgement = stage.judge(Duration::ZERO).await?;
    println!("frozen inside a batch: {judgement}; the machine {}", stage.witness);
    judgement.ensure_exact()?;
    println!("frozen inside a batch: nanomon verify: {}", stage.stack.verify().await?);
    Ok(())
}

/// The dealer freezes, another takes its place, it thaws: it takes nothing back and moves nothing; probing does not notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_dealer_takes_nothing_back() -> Result<()> {
    let stage = Stage::new().await?;
    let dealer = dealer_apart(&stage).await?;
    let one = stage.runner("one", "default", &stage.stack.dsn).await?;
    let two = stage.runner("two", "default", &stage.stack.dsn).await?;
    stage.stack.settled(&["one", "two"]).await?;
    stage.all_run().await?;
    let owners = stage.stack.settled(&["one", "two"]).await?;
    dealer.process.signal("STOP")?;
    let frozen = Instant::now();
    let successor = eventually("another deals", PATIENCE, || async {
        Ok(stage.stack.dealer().await?.filter(|holder| holder != "dealer"))
    })
    .await?;
    println!("frozen dealer: {successor} deals {:.1} s later", frozen.elapsed().as_secs_f64());
    let heads = "select map_epoch from heads";
    let map_epoch = stage.stack.count(heads).await?;
    dealer.process.signal("CONT")?;
    // Its next rounds: it believed to hold the lease.
    stage.pass(8).await?;
    ensure!(stage.stack.dealer().await? == Some(successor), "the thawed one has taken the lease back");
    ensure!(stage.stack.count(heads).await? == map_epoch, "the map was written");
    ensure!(stage.stack.settled(&["one", "two"]).await? == owners, "shards have moved");
    one.leave().await?;
    two.leave().await?;
    dealer.leave().await?;
    let judgement = stage.close("frozen dealer").await?;
    judgement.ensure_none_missed(&stage.subjects, &stage.witness)
}

/// Deleted monitors are not hit again after 3 s, changed ones not in their old form, the others do not notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_take_hold_within_three_seconds() -> Result<()> {
    const DELETED: u32 = 20;
    const CHANGED: u32 = 40;
    let stage = Stage::new().await?;
    let standalone = stage.standalone(&stage.stack.dsn).await?;
    let second = stage.runner("second", "default", &stage.stack.dsn).await?;
    stage.stack.settled(&["standalone", "second"]).await?;
    stage.all_run().await?;
    // Until what the shards' former owner ran is stored: moves are another test's matter.
    stage.pass(4).await?;
    let changes: Vec<(u32, u32)> = (DELETED..CHANGED).map(|n| (n, 1_000 + n)).collect();
    let deletions: Vec<i32> = stage.subjects[..DELETED as usize].iter().map(|subject| subject.id).collect();
    let changed = stage.stack.write(&stage.target, &changes, SECOND).await?;
    ensure!(stage.stack.store.monitor_tombstone_batch("e2e", None, &deletions).await? == u64::from(DELETED));
    let edited_ms = now_us() / 1_000;
    resumed(&stage, &changed, edited_ms).await?;
    stage.pass_part(8, 0.8).await?;
    second.leave().await?;
    standalone.leave().await?;

    let log = stage.target.log()?;
    let last = |numbers: std::ops::Range<u32>| {
        let last = numbers.filter_map(|number| log.hits.get(&number)?.last()).max();
        last.map_or(0, |hit| (hit / 1_000 - edited_ms).max(0))
    };
    let (deleted, old_form) = (last(0..DELETED), last(DELETED..CHANGED));
    println!(
        "edits: last hit of a deleted monitor after {deleted} ms, of a changed one in its old form after {old_form} ms"
    );
    ensure!(deleted <= 3_000 && old_form <= 3_000);
    // Both forms of a changed monitor are the same series; rows of deleted ones may be dropped.
    let mut merged = HitLog { hits: log.hits.clone() };
    for number in DELETED..CHANGED {
        let new = merged.hits.remove(&(1_000 + number)).unwrap_or_default();
        merged.hits.entry(number).or_default().extend(new);
    }
    let kept = &stage.subjects[DELETED as usize..];
    let judgement = Judgement::of(kept, &merged, &stage.stack.rows().await?, i64::MAX);
    println!("edits: {judgement}; the machine {}", stage.witness);
    judgement.ensure_exact()?;
    judgement.ensure_none_missed(kept, &stage.witness)?;
    println!("edits: nanomon verify: {}", stage.stack.verify().await?);
    Ok(())
}
