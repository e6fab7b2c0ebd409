//! PostgreSQL stops, crashes, and is reached by a faulty way, under 100 probes a second: each slot hit is a row. The target's
//! own log is the judge, and `nanomon verify` ends each test.

#![expect(clippy::print_stdout, reason = "tests say what they measured")]

mod outage;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nanomon_e2e::eventually;
use nanomon_e2e::stack::PATIENCE;
use nanomon_testkit::pg_proxy::{Fault, PgProxy};
use outage::{MONITORS, SECOND, Stage};

const DRAFT: &str = r#"{"name": "posted", "type": "http", "interval": "1h", "target": "http://127.0.0.1:9/"}"#;

/// An orderly stop of 60 s: the API says 503, runners probe on and keep their results, no shard moves, no incident opens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minute_without_postgres_loses_nothing() -> Result<()> {
    let stage = Stage::new().await?;
    let standalone = stage.standalone(&stage.stack.dsn).await?;
    let second = stage.runner("second", "default", &stage.stack.dsn).await?;
    let owners = stage.stack.settled(&["standalone", "second"]).await?;
    stage.all_run().await?;
    ensure!(standalone.api("GET", "/api/health", "").await?.0 == 200);
    ensure!(standalone.api("GET", "/api/monitors", "").await?.0 == 200);

    stage.stack.postgres.stop().await?;
    let stopped = Instant::now();
    for (method, path, body) in
        [("GET", "/api/health", ""), ("GET", "/api/results", ""), ("POST", "/api/monitors", DRAFT)]
    {
        let (status, answer) = eventually("the API says 503", PATIENCE, || async {
            let (status, answer) = standalone.api(method, path, body).await?;
            Ok((status >= 500).then_some((status, answer)))
        })
        .await?;
        ensure!(status == 503, "{method} {path}: {status} {answer}");
    }
    println!("outage of 60 s: the API says 503 after {:.1} s", stopped.elapsed().as_secs_f64());
    while stopped.elapsed() < 60 * SECOND {
        stage.pass(1).await?;
    }
    let buffered = standalone.metric("nanomon_buffer_results").await? + second.metric("nanomon_buffer_results").await?;
    ensure!(buffered >= 50.0 * f64::from(MONITORS), "only {buffered} results wait");

    stage.stack.postgres.start().await?;
    let started = Instant::now();
    eventually("the API is back", PATIENCE, || async {
        Ok((standalone.api("GET", "/api/results", "").await?.0 == 200).then_some(()))
    })
    .await?;
    let api_back = started.elapsed();
    stage.caught_up(PATIENCE).await?;
    println!(
        "outage of 60 s: {buffered} results waited; stored {:.1} s after the return, the API back after {:.1} s",
        started.elapsed().as_secs_f64(),
        api_back.as_secs_f64()
    );
    // Whoever judges silence has had his full timeout, several times.
    stage.pass(15).await?;
    ensure!(stage.stack.settled(&["standalone", "second"]).await? == owners, "shards have moved");
    ensure!(stage.stack.count("select count(*) from incidents").await? == 0, "an incident was opened");
    let dropped = standalone.metric("nanomon_results_dropped_total").await?
        + second.metric("nanomon_results_dropped_total").await?;
    ensure!(dropped == 0.0, "{dropped} results were dropped");
    second.leave().await?;
    standalone.leave().await?;
    let judgement = stage.close("outage of 60 s").await?;
    judgement.ensure_none_missed(&stage.subjects, &stage.witness)
}

/// Three crashes (SIGQUIT) in a row, with two runners of which one deals.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_crashes_lose_nothing() -> Result<()> {
    let stage = Stage::new().await?;
    let one = stage.runner("one", "default", &stage.stack.dsn).await?;
    let two = stage.runner("two", "default", &stage.stack.dsn).await?;
    let owners = stage.stack.settled(&["one", "two"]).await?;
    stage.all_run().await?;
    for crash in 1..=3 {
        stage.stack.postgres.kill().await?;
        stage.pass(4).await?;
        stage.stack.postgres.start().await?;
        let started = Instant::now();
        stage.caught_up(PATIENCE).await?;
        println!("crash {crash}: all stored {:.1} s after the return", started.elapsed().as_secs_f64());
        stage.pass(3).await?;
    }
    ensure!(stage.stack.settled(&["one", "two"]).await? == owners, "shards have moved");
    ensure!(stage.stack.count("select count(*) from incidents").await? == 0, "an incident was opened");
    one.leave().await?;
    two.leave().await?;
    let judgement = stage.close("three crashes").await?;
    judgement.ensure_none_missed(&stage.subjects, &stage.witness)
}

/// A way that loses the answers to COMMITs, delays every answer by 2 s, and swallows all connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_faulty_way_to_postgres_loses_nothing() -> Result<()> {
    let stage = Stage::new().await?;
    let proxy = PgProxy::start(&stage.stack.postgres).await?;
    let standalone = stage.standalone(&proxy.dsn(&stage.stack.database)).await?;
    stage.stack.settled(&["standalone"]).await?;
    stage.all_run().await?;

    proxy.set(Fault::CutAfterCommit(2));
    eventually("ten answers to COMMIT are lost", PATIENCE, || async { Ok((proxy.cut() >= 10).then_some(())) }).await?;
    proxy.set(Fault::None);
    let healed = stage.caught_up(PATIENCE).await?;
    let duplicate = standalone.metric("nanomon_results_duplicate_total").await?;
    println!(
        "faulty way: {} COMMITs unanswered of {}, {duplicate} results sent twice; all stored {:.1} s after",
        proxy.cut(),
        proxy.commits(),
        healed.as_secs_f64()
    );
    ensure!(duplicate > 0.0, "no batch was cut after its COMMIT");

    proxy.set(Fault::Delay(2 * SECOND));
    let before = stage.stack.rows().await?.len();
    stage.pass(20).await?;
    let during = stage.stack.rows().await?.len();
    proxy.set(Fault::None);
    let healed = stage.caught_up(PATIENCE).await?;
    println!("faulty way: {} rows under 2 s of delay; all stored {:.1} s after", during - before, healed.as_secs_f64());

    proxy.set(Fault::BlackHole);
    stage.pass(20).await?;
    let swallowed = proxy.swallowed();
    proxy.set(Fault::None);
    let healed = stage.caught_up(PATIENCE).await?;
    println!("faulty way: {swallowed} connections swallowed for 20 s; all stored {:.1} s after", healed.as_secs_f64());
    ensure!(swallowed > 0 && healed < Duration::from_secs(30));

    ensure!(stage.stack.count("select count(*) from incidents").await? == 0, "an incident was opened");
    standalone.leave().await?;
    let judgement = stage.close("faulty way").await?;
    judgement.ensure_none_missed(&stage.subjects, &stage.witness)
}
