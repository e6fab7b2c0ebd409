//! The database outlives the cluster: a fresh control plane with the old installation's id finds ids and history again.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::{SystemTime, UNIX_EPOCH};

use kube::Api;
use kube::api::{Patch, PatchParams};
use nanomon_core::reason::Reason;
use nanomon_core::status::Phases;
use nanomon_core::{Status, Verdict};
use nanomon_crds::Monitor;
use nanomon_e2e::stage::{PATIENCE, Stage};
use nanomon_e2e::{ControlPlane, OperatorStage, eventually};
use nanomon_sql::results::NewResult;
use nanomon_testkit::postgres::Postgres;
use serde_json::json;

const NAMES: [&str; 3] = ["a", "b", "c"];

async fn ids(stage: &Stage) -> Vec<Option<i32>> {
    let mut ids = Vec::new();
    for name in NAMES {
        ids.push(stage.row(name).await.unwrap().map(|row| row.id));
    }
    ids
}

#[tokio::test]
async fn a_fresh_cluster_keeps_ids_and_history() {
    let dsn = Postgres::shared().await.create_dsn().await.unwrap();
    let stage = Stage::with_dsn(&dsn).await.unwrap();
    let operator = stage.operator.start().unwrap();
    for name in NAMES {
        stage.create(name).await.unwrap();
        stage.row_when(name, "there", |_| true).await.unwrap();
    }
    let before = ids(&stage).await;
    let row = stage.row("a").await.unwrap().unwrap();
    let pool = stage.store.pool_ensure("default").await.unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i32;
    let result = NewResult {
        series_id: row.series[0].id,
        slot: now - 1,
        verdict: Verdict::new(Status::Ok),
        reason: Reason::Ok,
        value: Some(1.5),
        start_ms: 0,
        runner_id: stage.store.runner_register("r", "r", pool, "e2e").await.unwrap(),
        phases: Phases::default(),
        outputs: vec![],
    };
    assert_eq!(stage.store.result_write_batch(&[result]).await.unwrap().stored.len(), 1);
    operator.stop().await.unwrap();

    // Another cluster: other UIDs everywhere, and nothing applied yet when the operator starts.
    let plane = ControlPlane::start().await.unwrap();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": stage.namespace}});
    plane.apply(&[namespace]).await.unwrap();
    let mut moved = OperatorStage::prepare(&plane, &dsn).await.unwrap();
    assert_ne!(moved.config.installation, stage.operator.config.installation);
    moved.config.installation.clone_from(&stage.operator.config.installation);
    moved.config.watch_namespaces = vec![stage.namespace.clone()];
    let _operator = moved.start().unwrap();
    eventually("the lost objects' rows are tombstones", PATIENCE, || async {
        Ok(ids(&stage).await.iter().all(Option::is_none).then_some(()))
    })
    .await
    .unwrap();
    let monitors: Api<Monitor> = Api::namespaced(plane.client().unwrap(), &stage.namespace);
    for name in NAMES {
        let object = json!({
            "apiVersion": "nanomon.io/v1alpha1", "kind": "Monitor", "metadata": {"name": name},
            "spec": {"ping": {"host": "127.0.0.1"}},
        });
        monitors.patch(name, &PatchParams::apply("e2e").force(), &Patch::Apply(&object)).await.unwrap();
    }
    eventually("the rows live again", PATIENCE, || async { Ok((ids(&stage).await == before).then_some(())) })
        .await
        .unwrap();
    let history = stage.store.result_list(row.id, 10).await.unwrap();
    assert_eq!(history.len(), 1, "{history:?}");
}
