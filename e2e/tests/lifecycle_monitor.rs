//! A Monitor from apply to tombstone, with the operator's own rights against a real API server and PostgreSQL.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use nanomon_crds::conditions::{self, types};
use nanomon_e2e::eventually;
use nanomon_e2e::stage::{PATIENCE, Stage};
use serde_json::json;

#[tokio::test]
async fn apply_edit_delete_and_apply_again() {
    let stage = Stage::new().await.unwrap();
    let _operator = stage.operator.start().unwrap();
    stage.apply("home", json!({"interval": "10s", "http": {"url": "http://127.0.0.1/?token=secret"}})).await.unwrap();
    stage.says("home", types::READY, "True", "Running").await.unwrap();

    let row = stage.row("home").await.unwrap().unwrap();
    let object = stage.monitors.get("home").await.unwrap();
    assert_eq!(Some(row.uid.to_string()), object.metadata.uid);
    let def = row.def.unwrap();
    assert_eq!((def.interval.as_secs(), def.pools.as_slice()), (10, &["default".to_owned()][..]));
    assert_eq!(row.series.len(), 1);
    let status = object.status.unwrap();
    assert_eq!((status.observed_generation, status.running_generation), (Some(1), Some(1)));
    assert_eq!((status.id, status.probe_type.as_deref()), (Some(i64::from(row.id)), Some("http")));
    assert_eq!(status.target.as_deref(), Some("http://127.0.0.1/?token=…"));

    // An edit of what is probed is a new activation; one of a label is not.
    stage.apply("home", json!({"interval": "20s", "http": {"url": "http://127.0.0.1/"}})).await.unwrap();
    let edited = stage.row_when("home", "edited", |row| row.generation == 2).await.unwrap();
    assert_eq!(edited.id, row.id);
    assert!(edited.activated_at > row.activated_at);
    stage.says("home", types::READY, "True", "Running").await.unwrap();
    let label = json!({"metadata": {"labels": {"team": "web"}}});
    stage.monitors.patch("home", &PatchParams::default(), &Patch::Merge(&label)).await.unwrap();
    let labelled = stage.row_when("home", "labelled", |row| row.meta["labels"]["team"] == "web").await.unwrap();
    assert_eq!((labelled.generation, labelled.activated_at), (2, edited.activated_at));

    stage.delete("home").await.unwrap();
    stage.row_gone("home").await.unwrap();
    let changes = stage.store.catalog_changes(labelled.rev, None).await.unwrap();
    assert!(changes.monitors.iter().any(|m| m.id == row.id && m.tombstoned), "{changes:?}");

    // The same name again inherits id and history.
    stage.apply("home", json!({"ping": {"host": "127.0.0.1"}})).await.unwrap();
    let revived = stage.row_when("home", "revived", |_| true).await.unwrap();
    assert_eq!(revived.id, row.id);
    assert_ne!(revived.uid, row.uid);
}

#[tokio::test]
async fn kubectl_applies_waits_and_shows_the_columns() {
    if std::process::Command::new("kubectl").args(["version", "--client"]).output().is_err() {
        println!("SKIPPED: kubectl is not installed");
        return;
    }
    let stage = Stage::new().await.unwrap();
    let _operator = stage.operator.start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let manifest = folder.path().join("home.yaml");
    let text = "apiVersion: nanomon.io/v1alpha1\nkind: Monitor\nmetadata:\n  name: home\nspec:\n  interval: 10s\n  \
                http:\n    url: http://127.0.0.1/\n";
    std::fs::write(&manifest, text).unwrap();
    let manifest = manifest.to_str().unwrap();
    let applied = stage.kubectl(&["apply", "-f", manifest]).await.unwrap();
    assert_eq!(applied.trim(), "monitor.nanomon.io/home created");
    let waited = stage.kubectl(&["wait", "--for=condition=Ready", "--timeout=30s", "nmon/home"]).await.unwrap();
    assert_eq!(waited.trim(), "monitor.nanomon.io/home condition met");
    // What the operator wrote into the status is no drift: the same file changes nothing.
    let again = stage.kubectl(&["apply", "-f", manifest]).await.unwrap();
    assert_eq!(again.trim(), "monitor.nanomon.io/home unchanged");

    let table = stage.kubectl(&["get", "monitors"]).await.unwrap();
    let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    assert_eq!(lines.next().unwrap(), ["NAME", "STATE", "READY", "TYPE", "TARGET", "VALUE", "AGE"], "{table}");
    // No runner has measured yet: the value is empty.
    let home = lines.next().unwrap();
    assert_eq!(home[..5], ["home", "Unknown", "True", "http", "http://127.0.0.1/"], "{table}");
    assert_eq!((home.len(), lines.next()), (6, None), "{table}");
    let short = stage.kubectl(&["get", "nmon", "-o", "name"]).await.unwrap();
    assert_eq!(short.trim(), "monitor.nanomon.io/home");
}

#[tokio::test]
async fn a_bad_rule_is_said_and_the_last_good_generation_runs_on() {
    let stage = Stage::new().await.unwrap();
    let _operator = stage.operator.start().unwrap();
    stage.apply("web", json!({"http": {"url": "http://127.0.0.1/"}, "rule": "status == 200"})).await.unwrap();
    stage.says("web", types::READY, "True", "Running").await.unwrap();
    stage.apply("web", json!({"http": {"url": "http://127.0.0.1/"}, "rule": "status =="})).await.unwrap();
    let refused = stage.says("web", types::READY, "False", "InvalidRule").await.unwrap();
    let status = refused.status.unwrap();
    assert_eq!((status.observed_generation, status.running_generation), (Some(2), Some(1)));
    let stalled = conditions::find(&status.conditions, types::STALLED).unwrap();
    assert!(stalled.message.contains("spec.rule: rule does not compile"), "{}", stalled.message);
    let row = stage.row("web").await.unwrap().unwrap();
    assert_eq!(row.def.unwrap().rule.as_deref(), Some("status == 200"));

    let events: Api<Event> = Api::namespaced(stage.plane.client().unwrap(), &stage.namespace);
    eventually("an Event says it", PATIENCE, || async {
        let list = events.list(&ListParams::default()).await?;
        Ok(list.items.into_iter().find(|e| e.reason.as_deref() == Some("InvalidRule")))
    })
    .await
    .unwrap();

    stage.apply("web", json!({"http": {"url": "http://127.0.0.1/"}, "rule": "status < 500"})).await.unwrap();
    let mended = stage.says("web", types::READY, "True", "Running").await.unwrap();
    assert!(conditions::find(&mended.status.unwrap().conditions, types::STALLED).is_none());
}

#[tokio::test]
async fn a_pool_that_does_not_exist_stalls_after_a_while() {
    let mut stage = Stage::new().await.unwrap();
    stage.operator.config.stalled_after = std::time::Duration::from_secs(1);
    let _operator = stage.operator.start().unwrap();
    stage.apply("far", json!({"ping": {"host": "127.0.0.1"}, "runnerPools": ["moon"]})).await.unwrap();
    let object = stage.says("far", types::STALLED, "True", "NoPool").await.unwrap();
    let status = object.status.unwrap();
    let scheduled = conditions::find(&status.conditions, types::SCHEDULED).unwrap();
    assert_eq!((scheduled.status.as_str(), scheduled.message.as_str()), ("False", "There is no runner pool moon."));
    assert_eq!(conditions::find(&status.conditions, types::ACCEPTED).unwrap().status, "True");
    stage.apply("far", json!({"ping": {"host": "127.0.0.1"}, "runnerPools": ["default"]})).await.unwrap();
    let mended = stage.says("far", types::READY, "True", "Running").await.unwrap();
    assert!(conditions::find(&mended.status.unwrap().conditions, types::STALLED).is_none());
}

#[tokio::test]
async fn a_suspended_monitor_is_ready_and_not_probed() {
    let stage = Stage::new().await.unwrap();
    let _operator = stage.operator.start().unwrap();
    stage.apply("quiet", json!({"ping": {"host": "127.0.0.1"}, "suspend": true})).await.unwrap();
    stage.says("quiet", types::READY, "True", "Suspended").await.unwrap();
    assert!(stage.row("quiet").await.unwrap().unwrap().def.unwrap().suspended);
}

#[tokio::test]
async fn an_id_drawn_before_is_kept_and_a_made_up_one_is_not() {
    let stage = Stage::new().await.unwrap();
    let _operator = stage.operator.start().unwrap();
    let drawn = stage.store.monitor_id_draw().await.unwrap();
    for (name, id) in [("drawn", drawn), ("made-up", 123_456)] {
        let object = json!({
            "apiVersion": "nanomon.io/v1alpha1", "kind": "Monitor",
            "metadata": {"name": name, "annotations": {"nanomon.io/id": id.to_string()}},
            "spec": {"ping": {"host": "127.0.0.1"}},
        });
        let params = PatchParams::apply("e2e").force();
        stage.monitors.patch(name, &params, &Patch::Apply(&object)).await.unwrap();
    }
    assert_eq!(stage.row_when("drawn", "there", |_| true).await.unwrap().id, drawn);
    assert_ne!(stage.row_when("made-up", "there", |_| true).await.unwrap().id, 123_456);
}

#[tokio::test]
async fn the_annotation_asks_for_one_run_and_is_echoed() {
    let stage = Stage::new().await.unwrap();
    let operator = stage.operator.start().unwrap();
    stage.apply("now", json!({"ping": {"host": "127.0.0.1"}})).await.unwrap();
    stage.says("now", types::READY, "True", "Running").await.unwrap();
    let pool = stage.store.pool_ensure("default").await.unwrap();
    let claim = async || stage.store.probe_request_claim(pool, 1, 10).await.unwrap();
    let annotate = async |token: &str| {
        let patch = json!({"metadata": {"annotations": {"nanomon.io/run-now": token}}});
        stage.monitors.patch("now", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
        eventually("the token is echoed", PATIENCE, || async {
            let status = stage.monitors.get("now").await?.status.unwrap_or_default();
            Ok((status.last_run_request.as_deref() == Some(token)).then_some(()))
        })
        .await
        .unwrap();
    };
    annotate("1").await;
    let claimed = claim().await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].monitor_id, stage.row("now").await.unwrap().map(|row| row.id));
    annotate("2").await;
    assert_eq!(claim().await.len(), 1);
    // Not again for the same token, not even by a successor.
    operator.stop().await.unwrap();
    let _operator = stage.operator.start().unwrap();
    stage.apply("other", json!({"ping": {"host": "127.0.0.1"}})).await.unwrap();
    stage.says("other", types::READY, "True", "Running").await.unwrap();
    assert_eq!(claim().await.len(), 0);
}

#[tokio::test]
async fn the_operator_may_do_what_it_needs_and_nothing_else() {
    let stage = Stage::new().await.unwrap();
    let reviews: Api<SelfSubjectAccessReview> = Api::all(Client::try_from(stage.operator.cluster.clone()).unwrap());
    let release = stage.operator.config.release_namespace.clone();
    for (namespace, verb, group, resource, allowed) in [
        (stage.namespace.as_str(), "watch", "nanomon.io", "monitors", true),
        (&stage.namespace, "update", "nanomon.io", "monitors", false),
        (&stage.namespace, "delete", "nanomon.io", "monitors", false),
        (&stage.namespace, "get", "", "secrets", false),
        (&stage.namespace, "create", "", "pods", false),
        (&stage.namespace, "create", "coordination.k8s.io", "leases", false),
        (&release, "create", "coordination.k8s.io", "leases", true),
        (&release, "delete", "coordination.k8s.io", "leases", false),
        (&release, "get", "", "secrets", false),
    ] {
        let attributes = ResourceAttributes {
            namespace: Some(namespace.to_owned()),
            verb: Some(verb.to_owned()),
            group: Some(group.to_owned()),
            resource: Some(resource.to_owned()),
            ..ResourceAttributes::default()
        };
        let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
        let review = SelfSubjectAccessReview { spec, ..Default::default() };
        let answer = reviews.create(&PostParams::default(), &review).await.unwrap();
        assert_eq!(answer.status.unwrap().allowed, allowed, "{verb} {group}/{resource} in {namespace}");
    }
}
