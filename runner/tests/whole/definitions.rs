//! Changes of definitions are noticed, and nothing runs in its old form afterwards.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nanomon_runner::catalog::{Catalog, CatalogParts};
use nanomon_runner::compiler::Compiler;
use nanomon_runner::probe::{ProbeConfig, Prober};
use nanomon_runner::scheduler::Command;
use nanomon_sql::SeriesId;
use tokio::sync::mpsc;

use super::support::{Database, Target1, http_def, uid_of, wait_for, write_of};

const SECOND: Duration = Duration::from_secs(1);

/// Waits until the target has been asked for this path `more` times from now on.
async fn asked_again(target: &Target1, path: &str, more: usize) -> Result<()> {
    let before = target.hits(path).len();
    wait_for(&format!("{path} is asked again"), || async { Ok(target.hits(path).len() >= before + more) }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_changed_suspended_and_moved_monitors_stop_in_their_old_form() -> Result<()> {
    let db = Database::shared().await?;
    let target = Target1::start().await?;
    let all = ["deleted", "changed", "suspended", "anew", "elsewhere", "kept"];
    let monitors: Vec<_> = all.iter().map(|name| ((*name).to_owned(), http_def(&target.url(name), SECOND))).collect();
    let ids = db.write(&monitors).await?;
    let dealer = db.deal();
    let runner = db.runner("one");
    for name in all {
        asked_again(&target, name, 1).await?;
    }

    db.delete(&ids[..1]).await?;
    db.write_one("changed", &http_def(&target.url("changed2"), SECOND)).await?;
    let mut suspended = http_def(&target.url("suspended"), SECOND);
    suspended.suspended = true;
    db.write_one("suspended", &suspended).await?;
    // Deleted and made again between two looks: another uid, hence another shard, under the old id.
    let anew = write_of("anew", &http_def(&target.url("anew2"), SECOND), uid_of("anew, the second"));
    db.store.monitor_write_batch("test", None, &[anew]).await?;
    let mut elsewhere = http_def(&target.url("elsewhere"), SECOND);
    elsewhere.pools = vec!["another".to_owned()];
    db.write_one("elsewhere", &elsewhere).await?;

    asked_again(&target, "changed2", 1).await?;
    asked_again(&target, "anew2", 1).await?;
    let old = ["deleted", "changed", "suspended", "anew", "elsewhere"];
    let counts = || old.map(|name| target.hits(name).len());
    // The changes are one notice apart; when all are through, nothing old is left.
    wait_for("only what is left is scheduled", || async { Ok(runner.metric("nanomon_runner_monitors") == 3) }).await?;
    let before = counts();
    asked_again(&target, "kept", 3).await?;
    ensure!(counts() == before, "{old:?}: {before:?}, now {:?}", counts());

    // Resumed, it runs again at once.
    db.write_one("suspended", &http_def(&target.url("suspended"), SECOND)).await?;
    asked_again(&target, "suspended", 2).await?;
    runner.leave().await?;
    dealer.stop().await?;
    db.verify().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_nobody_announced_is_noticed() -> Result<()> {
    let db = Database::shared().await?;
    let target = Target1::start().await?;
    db.write_one("a", &http_def(&target.url("a"), SECOND)).await?;
    let dealer = db.deal();
    // No listener at all: as if each NOTIFY were lost.
    let runner = db.runner_with("deaf", |config| config.wakeups = None);
    asked_again(&target, "a", 1).await?;
    db.write_one("a", &http_def(&target.url("b"), SECOND)).await?;
    asked_again(&target, "b", 2).await?;
    let before = target.hits("a").len();
    asked_again(&target, "b", 2).await?;
    ensure!(target.hits("a").len() == before);
    runner.leave().await?;
    dealer.stop().await
}

/// What a catalog tells the probe thread: series put on and taken off, in order.
fn told(commands: &mut mpsc::UnboundedReceiver<Command>) -> (Vec<SeriesId>, Vec<SeriesId>) {
    let (mut put, mut removed) = (Vec::new(), Vec::new());
    while let Ok(command) = commands.try_recv() {
        match command {
            Command::Put(plans) => put.extend(plans.iter().map(|(plan, _)| plan.series_id)),
            Command::Remove(series) => removed.extend(series),
            Command::Windows(_) | Command::Once(..) | Command::Finish(_) => {}
        }
    }
    (put, removed)
}

/// A catalog that knows nothing, and what it tells.
async fn catalog_of(db: &Database) -> Result<(Catalog, mpsc::UnboundedReceiver<Command>)> {
    let (sender, commands) = mpsc::unbounded_channel();
    let catalog = Catalog::new(CatalogParts {
        store: db.store.clone(),
        pool_id: db.store.pool_ensure("default").await?,
        pool: "default".to_owned(),
        compiler: Arc::new(Mutex::new(Compiler::new(Prober::new(ProbeConfig::default())?))),
        clock: Arc::default(),
        registry: Arc::default(),
        stats: Arc::default(),
        commands: sender,
    });
    Ok((catalog, commands))
}

/// Who takes shards over while PostgreSQL stumbles must not believe to have what it could not read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_that_could_not_be_loaded_are_not_taken_for_loaded() -> Result<()> {
    let db = Database::shared().await?;
    let target = Target1::start().await?;
    db.write_one("a", &http_def(&target.url("a"), SECOND)).await?;
    let (mut catalog, mut commands) = catalog_of(&db).await?;
    let all: Vec<i16> = (0..1024).collect();
    let client = nanomon_testkit::postgres::connect(&db.dsn).await?;
    // Definitions can be read, states cannot.
    client.batch_execute("alter table monitor_states rename to hidden").await?;
    ensure!(catalog.load(&all).await.is_err());
    client.batch_execute("alter table hidden rename to monitor_states").await?;
    let missing: Vec<i16> = all.iter().copied().filter(|bucket| !catalog.buckets().contains(bucket)).collect();
    ensure!(!missing.is_empty() && told(&mut commands).0.is_empty());
    catalog.load(&missing).await?;
    ensure!(told(&mut commands).0.len() == 1, "the monitor's shard was believed to be loaded");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_full_comparison_finds_what_no_revision_told() -> Result<()> {
    let db = Database::shared().await?;
    let target = Target1::start().await?;
    let names = ["deleted", "changed", "kept"];
    let monitors: Vec<_> = names.iter().map(|name| ((*name).to_owned(), http_def(&target.url(name), SECOND))).collect();
    let ids = db.write(&monitors).await?;
    // A later revision than the others', so that one can be taken off it.
    db.write_one("changed", &http_def(&target.url("again"), SECOND)).await?;
    let mut series = Vec::new();
    for id in &ids {
        series.push(db.store.monitor_get(*id).await?.context("written")?.series[0].id);
    }
    let (mut catalog, mut commands) = catalog_of(&db).await?;
    let all: Vec<i16> = (0..1024).collect();
    catalog.load(&all).await?;
    let (put, removed) = told(&mut commands);
    ensure!(put.len() == 3 && removed.is_empty(), "{put:?} {removed:?}");
    catalog.compare().await?;
    ensure!(told(&mut commands) == (vec![], vec![]), "nothing was missed");

    // As a restored backup or a hand in the database would leave it: changed without a new revision.
    let client = nanomon_testkit::postgres::connect(&db.dsn).await?;
    client.execute("update monitors set tombstoned_at = now() where id = $1", &[&ids[0]]).await?;
    client.execute("update monitors set rev = rev - 1 where id = $1", &[&ids[1]]).await?;
    catalog.follow().await?;
    ensure!(told(&mut commands) == (vec![], vec![]), "a revision tells nothing of it");
    catalog.compare().await?;
    let (put, removed) = told(&mut commands);
    ensure!(removed == [series[0]], "{removed:?}");
    ensure!(put == [series[1]], "{put:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_definitions_and_hostile_names_are_run() -> Result<()> {
    let db = Database::shared().await?;
    let target = Target1::start().await?;
    let mut large = http_def(&target.url("large"), SECOND);
    large.display_name = "up\" } 1\n# TYPE evil counter".to_owned();
    if let nanomon_core::Target::Http(http) = &mut large.target {
        http.body = "x".repeat(60_000);
        http.method = "POST".to_owned();
    }
    let id = db.write_one("large", &large).await?;
    let dealer = db.deal();
    let runner = db.runner("one");
    wait_for("its result", || async { Ok(!db.results(id).await?.is_empty()) }).await?;
    wait_for("its metrics", || async {
        Ok(runner
            .metrics
            .render_text(nanomon_service::exposition::Exposition::Text)
            .contains("nanomon_up{monitor_namespace=\"default\",monitor=\"large\""))
    })
    .await?;
    let text = runner.metrics.render_text(nanomon_service::exposition::Exposition::Text);
    ensure!(!text.lines().any(|line| line.contains("evil") && line.starts_with("# TYPE") && line.ends_with("counter")));
    ensure!(text.contains("nanomon_up____1___type_evil_counter{id="), "{text}");
    runner.leave().await?;
    dealer.stop().await
}
