//! The board: nobody sees anything older than a second, everybody sees his own write.

use std::time::{Duration, Instant};

use futures::future::join_all;
use nanomon_core::Reason;
use nanomon_core::verdict::Status;
use nanomon_dashboard_api::ApiConfig;
use nanomon_sql::notify::Wakeup;
use serde_json::json;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::support::{Api, http_form};

const LIMIT: Duration = Duration::from_secs(1);

/// Asks until the answer shows it, and says how long that took.
async fn until<F: Future<Output = bool>>(shown: impl Fn() -> F) -> Duration {
    let began = Instant::now();
    while !shown().await {
        assert!(began.elapsed() < Duration::from_secs(10), "never shown");
        tokio::task::yield_now().await;
    }
    began.elapsed()
}

#[tokio::test]
async fn own_writes_are_seen_at_once() {
    let api = Api::standalone().await;
    assert!(api.names().await.is_empty());
    for round in 0..5 {
        let name = format!("monitor {round}");
        let id = api.make_http(&name).await;
        assert!(api.names().await.contains(&name), "round {round}");
        let mut form = http_form(&name);
        form["group"] = json!("changed");
        api.put(&format!("/api/monitors/{id}"), &form).await;
        let list = api.get("/api/monitors?group=changed").await.json();
        assert_eq!(list.as_array().unwrap().len(), 1, "round {round}");
        assert_eq!(api.get("/api/overview").await.json()["total"], 1);
        api.delete(&format!("/api/monitors/{id}")).await;
        assert!(api.names().await.is_empty(), "round {round}");
    }
}

/// Somebody else writes, with the board just read: the change is seen within a second by a client who asks all the time.
#[tokio::test]
async fn changes_of_others_are_seen_within_a_second() {
    let api = Api::standalone().await;
    let id = api.make_http("web").await;
    let api_2 = Api::with(ApiConfig::standalone(), api.store.clone());
    for (round, status) in [Status::Ok, Status::Error, Status::Failed, Status::Ok].into_iter().enumerate() {
        let want = status.as_str();
        api.get("/api/monitors").await;
        api.store_result(id, Duration::from_secs(40 - 10 * round as u64), status, Reason::RuleFalse).await;
        let took = until(|| async { api.get("/api/monitors").await.json()[0]["state"]["status"] == want }).await;
        assert!(took < LIMIT, "{want} was shown after {took:?}");
        let path = format!("/api/monitors/{id}/results?max=1");
        let took = until(|| async { api.get(&path).await.json()[0]["status"] == status.code() }).await;
        assert!(took < LIMIT, "the result was shown after {took:?}");
    }
    api_2.get("/api/monitors").await;
    api_2.make_http("other").await;
    let took = until(|| async { api.names().await.len() == 2 }).await;
    assert!(took < LIMIT, "a new monitor was shown after {took:?}");
}

/// A listener says that nothing changed, wrongly: a lost notification costs less than a second.
#[tokio::test]
async fn a_lost_notification_costs_less_than_a_second() {
    let api = Api::standalone().await;
    let (wakeups, received) = broadcast::channel::<Wakeup>(4);
    let stop = CancellationToken::new();
    let follower = tokio::spawn(api.state.board.clone().follow(received, stop.clone()));
    let other = Api::with(ApiConfig::standalone(), api.store.clone());
    for round in 1..4 {
        assert_eq!(api.names().await.len(), round - 1);
        other.make_http(&format!("monitor {round}")).await;
        let took = until(|| async { api.names().await.len() == round }).await;
        assert!(took < LIMIT, "round {round}: shown after {took:?}");
    }
    stop.cancel();
    follower.await.unwrap();
    drop(wakeups);
}

/// Many readers cost few statements, and a board that nobody looks at costs none.
#[tokio::test]
async fn readers_share_readings() {
    let api = Api::standalone().await;
    api.make_http("web").await;
    let readings = || api.state.metrics.board_readings.get();
    let first = api.state.board.read().await.unwrap();
    let (began, before) = (Instant::now(), readings());
    for _ in 0..20 {
        let answers = join_all((0..50).map(|_| api.get("/api/monitors"))).await;
        assert!(answers.windows(2).all(|pair| pair[0].text == pair[1].text));
    }
    let allowed = 1 + began.elapsed().as_millis() as u64 / 250;
    let done = readings() - before;
    assert!(done <= allowed, "{done} readings for 1,000 requests, {allowed} allowed");
    let last = api.state.board.read().await.unwrap();
    assert_eq!(first.revision, last.revision, "nothing changed, so the revision did not");
}

/// Monitors of another installation in the same database are neither shown nor changed.
#[tokio::test]
async fn other_installations_are_not_ours() {
    let api = Api::standalone().await;
    let id = api.make_http("web").await;
    let config = ApiConfig { installation: "elsewhere".into(), ..ApiConfig::standalone() };
    let other = Api::with(config, api.store.clone());
    assert!(other.names().await.is_empty());
    let path = format!("/api/monitors/{id}");
    for answer in [other.get(&path).await, other.put(&path, &http_form("x")).await, other.delete(&path).await] {
        assert_eq!(answer.status, axum::http::StatusCode::NOT_FOUND);
    }
    other.delete("/api/monitors").await;
    assert_eq!(api.names().await, ["web"]);
}
