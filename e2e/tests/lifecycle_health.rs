//! From stored results to `status`: transitions, values, silence.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::{SystemTime, UNIX_EPOCH};

use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use nanomon_core::reason::Reason;
use nanomon_core::status::Phases;
use nanomon_core::{Status, Verdict};
use nanomon_crds::conditions::{self, types};
use nanomon_crds::v1alpha1::status::TargetState;
use nanomon_e2e::eventually;
use nanomon_e2e::stage::{PATIENCE, Stage};
use nanomon_sql::results::NewResult;
use nanomon_sql::{RunnerId, SeriesId};
use serde_json::json;

/// Plays the runner: stores results as it would.
struct Runner<'a> {
    stage: &'a Stage,
    id: RunnerId,
    series: SeriesId,
}

impl<'a> Runner<'a> {
    async fn of(stage: &'a Stage, name: &str) -> Self {
        let pool = stage.store.pool_ensure("default").await.unwrap();
        let id = stage.store.runner_register(name, name, pool, "e2e").await.unwrap();
        let series = stage.row(name).await.unwrap().unwrap().series[0].id;
        Self { stage, id, series }
    }

    /// A result this many seconds ago.
    async fn result(&self, ago: i32, status: Status, reason: Reason, value: Option<f32>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i32;
        let result = NewResult {
            series_id: self.series,
            slot: now - ago,
            verdict: Verdict::new(status),
            reason,
            value,
            start_ms: 0,
            runner_id: self.id,
            phases: Phases::default(),
            outputs: vec![],
        };
        let report = self.stage.store.result_write_batch(&[result]).await.unwrap();
        assert_eq!(report.stored.len(), 1, "{report:?}");
    }
}

#[tokio::test]
async fn transitions_reach_the_status_and_readiness_does_not_follow_the_target() {
    let stage = Stage::new().await.unwrap();
    let _operator = stage.operator.start().unwrap();
    stage.apply("web", json!({"interval": "10s", "http": {"url": "http://127.0.0.1/"}})).await.unwrap();
    stage.says("web", types::HEALTHY, "Unknown", "Unknown").await.unwrap();
    let runner = Runner::of(&stage, "web").await;
    runner.result(9, Status::Ok, Reason::Ok, Some(12.34)).await;
    let healthy = stage.says("web", types::HEALTHY, "True", "OK").await.unwrap().status.unwrap();
    assert_eq!((healthy.state, healthy.last_value.as_deref()), (Some(TargetState::Ok), Some("12.3")));
    assert!(healthy.since.is_some() && healthy.last_check_time.is_some());
    assert_eq!(healthy.failure_reason, None);

    // Three in a row confirm a failure.
    for ago in [6, 4, 2] {
        runner.result(ago, Status::Failed, Reason::ConnectRefused, None).await;
    }
    let failed = stage.says("web", types::HEALTHY, "False", "Failed").await.unwrap().status.unwrap();
    assert_eq!((failed.state, failed.failure_reason.as_deref()), (Some(TargetState::Failed), Some("connect_refused")));
    assert_eq!((failed.pools[0].name.as_str(), failed.pools[0].state), ("default", TargetState::Failed));
    let healthy = conditions::find(&failed.conditions, types::HEALTHY).unwrap();
    assert_eq!(healthy.message, "The connection was refused.");
    let ready = conditions::find(&failed.conditions, types::READY).unwrap();
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("True", "Running"));

    let events: Api<Event> = Api::namespaced(stage.plane.client().unwrap(), &stage.namespace);
    eventually("an Event tells it", PATIENCE, || async {
        let list = events.list(&ListParams::default()).await?;
        Ok(list
            .items
            .into_iter()
            .find(|e| e.reason.as_deref() == Some("Failed") && e.type_.as_deref() == Some("Warning")))
    })
    .await
    .unwrap();

    runner.result(0, Status::Ok, Reason::Ok, Some(5.0)).await;
    let recovered = stage.says("web", types::HEALTHY, "True", "OK").await.unwrap().status.unwrap();
    assert_eq!((recovered.state, recovered.failure_reason), (Some(TargetState::Ok), None));
}

#[tokio::test]
async fn results_that_stopped_are_stale() {
    let stage = Stage::new().await.unwrap();
    let operator = stage.operator.start().unwrap();
    stage.apply("silent", json!({"interval": "1s", "ping": {"host": "127.0.0.1"}})).await.unwrap();
    stage.says("silent", types::READY, "True", "Running").await.unwrap();
    operator.stop().await.unwrap();
    let runner = Runner::of(&stage, "silent").await;
    runner.result(60, Status::Ok, Reason::Ok, Some(1.0)).await;
    // Looked at from the start on.
    let _operator = stage.operator.start().unwrap();
    let stale = stage.says("silent", types::STALE, "True", "NoResults").await.unwrap();
    let conditions = stale.status.unwrap().conditions;
    assert_eq!(conditions::find(&conditions, types::READY).unwrap().status, "True");
}
