//! Run now and drafts.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nanomon_sql::probe_requests::{NewProbeRequest, RequestState};
use serde_json::Value;

use super::support::{Database, Target1, http_def, wait_for};

async fn ask(db: &Database, monitor_id: Option<i32>, def: Option<Value>) -> Result<Value> {
    let pool_id = db.store.pool_ensure("default").await?;
    let request =
        NewProbeRequest { monitor_id, def, namespace: "default".to_owned(), pool_id, requester: "test".to_owned() };
    let id = db.store.probe_request_create(&request).await?.context("refused")?;
    wait_for("the request is done", || async {
        Ok(db.store.probe_request_get(id).await?.is_some_and(|row| row.state == RequestState::Done))
    })
    .await?;
    db.store.probe_request_get(id).await?.and_then(|row| row.result).context("no result")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_now_and_drafts_are_run_and_never_stored_as_results() -> Result<()> {
    let db = Database::shared().await?;
    let target = Target1::start().await?;
    let dealer = db.deal();
    let runner = db.runner("one");
    let id = db.write_one("a", &http_def(&target.url("a"), Duration::from_hours(1))).await?;
    wait_for("the initial run", || async { Ok(db.results(id).await?.len() == 1) }).await?;

    let now = ask(&db, Some(id), None).await?;
    ensure!(now["status"] == 0 && now["reason"] == "ok" && now["outputs"]["status"] == 200, "{now}");
    ensure!(now["value"].as_f64().is_some() && now["durationMs"].as_f64().is_some(), "{now}");
    ensure!(target.hits("a").len() == 2);

    let mut draft = http_def(&target.url("draft"), Duration::from_secs(10));
    draft.rule = Some("body =~ 'nowhere'".to_owned());
    let drafted = ask(&db, None, Some(serde_json::to_value(&draft)?)).await?;
    ensure!(drafted["status"] == 1 && drafted["reason"] == "rule_false", "{drafted}");
    ensure!(
        drafted["outputs"].get("body").is_none() && !drafted.to_string().contains("\"ok\""),
        "the body is not shown: {drafted}"
    );
    ensure!(target.hits("draft").len() == 1);

    let refused = ask(&db, None, Some(serde_json::json!({"nonsense": true}))).await?;
    ensure!(refused["error"].is_string(), "{refused}");
    let gone = ask(&db, Some(999_999), None).await;
    ensure!(gone.is_err() || gone.is_ok_and(|gone| gone["error"].is_string()));
    ensure!(db.results(id).await?.len() == 1, "only the initial run is stored");
    runner.leave().await?;
    dealer.stop().await
}
