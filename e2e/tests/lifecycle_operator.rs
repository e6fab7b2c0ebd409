//! An operator that is killed, away, or without its database; and objects that vanish in masses.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use nanomon_crds::conditions::types;
use nanomon_e2e::eventually;
use nanomon_e2e::stage::{PATIENCE, Stage};
use nanomon_testkit::postgres::{Options, Postgres};
use serde_json::json;

#[tokio::test]
async fn what_was_missed_while_it_was_dead_is_made_good() {
    let stage = Stage::new().await.unwrap();
    let operator = stage.operator.start().unwrap();
    for name in ["stays", "changes", "goes"] {
        stage.create(name).await.unwrap();
    }
    for name in ["stays", "changes", "goes"] {
        stage.says(name, types::READY, "True", "Running").await.unwrap();
    }
    let stays = stage.row("stays").await.unwrap().unwrap();
    operator.kill();

    stage.apply("changes", json!({"interval": "1m", "ping": {"host": "127.0.0.1"}})).await.unwrap();
    stage.delete("goes").await.unwrap();
    stage.create("comes").await.unwrap();
    let _operator = stage.operator.start().unwrap();
    stage.row_when("changes", "changed", |row| row.generation == 2).await.unwrap();
    stage.row_gone("goes").await.unwrap();
    stage.says("comes", types::READY, "True", "Running").await.unwrap();
    assert_eq!(stage.row("stays").await.unwrap().unwrap().rev, stays.rev);
}

#[tokio::test]
async fn a_restart_with_nothing_changed_writes_nothing() {
    let stage = Stage::new().await.unwrap();
    let operator = stage.operator.start().unwrap();
    for n in 0..30 {
        stage.create(&format!("m{n}")).await.unwrap();
    }
    for n in 0..30 {
        stage.says(&format!("m{n}"), types::READY, "True", "Running").await.unwrap();
    }
    operator.stop().await.unwrap();
    let heads = stage.store.heads_read().await.unwrap();
    let versions = async || {
        let list = stage.monitors.list(&ListParams::default()).await.unwrap();
        list.items.into_iter().map(|m| m.metadata.resource_version).collect::<Vec<_>>()
    };
    let before = versions().await;

    let operator = stage.operator.start().unwrap();
    // A newcomer that is ready shows that everything before it has been looked at.
    eventually("it is ready", PATIENCE, || async { Ok(operator.readiness.waiting().is_none().then_some(())) })
        .await
        .unwrap();
    stage.create("newcomer").await.unwrap();
    stage.says("newcomer", types::READY, "True", "Running").await.unwrap();
    operator.stop().await.unwrap();
    assert_eq!(stage.store.heads_read().await.unwrap().catalog_rev, heads.catalog_rev + 1);
    stage.delete("newcomer").await.unwrap();
    assert_eq!(versions().await, before);
}

#[tokio::test]
async fn a_mass_loss_is_believed_only_when_a_second_list_confirms_it() {
    let mut stage = Stage::new().await.unwrap();
    stage.operator.config.resync_confirm = Duration::from_secs(4);
    let operator = stage.operator.start().unwrap();
    for n in 0..24 {
        stage.create(&format!("m{n}")).await.unwrap();
    }
    stage.row_when("m23", "there", |_| true).await.unwrap();
    operator.kill();
    stage.monitors.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();

    let operator = stage.operator.start().unwrap();
    let events: Api<Event> = Api::namespaced(stage.plane.client().unwrap(), &stage.operator.config.release_namespace);
    eventually("the loss is told", PATIENCE, || async {
        let list = events.list(&ListParams::default()).await?;
        Ok(list.items.into_iter().find(|e| e.reason.as_deref() == Some("MassRemovalHeld")))
    })
    .await
    .unwrap();
    assert!(stage.row("m0").await.unwrap().is_some(), "removed before the second list");
    for n in 0..24 {
        stage.row_gone(&format!("m{n}")).await.unwrap();
    }
    operator.stop().await.unwrap();
}

#[tokio::test]
async fn a_mass_loss_that_was_a_mistake_removes_nothing() {
    let mut stage = Stage::new().await.unwrap();
    stage.operator.config.resync_confirm = Duration::from_secs(4);
    let operator = stage.operator.start().unwrap();
    for n in 0..24 {
        stage.create(&format!("m{n}")).await.unwrap();
    }
    stage.row_when("m23", "there", |_| true).await.unwrap();
    let ids = async || {
        let mut ids = Vec::new();
        for n in 0..24 {
            ids.push(stage.row(&format!("m{n}")).await.unwrap().map(|row| row.id));
        }
        ids
    };
    let before = ids().await;
    operator.kill();
    stage.monitors.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    let operator = stage.operator.start().unwrap();
    eventually("the loss is held", PATIENCE, || async {
        Ok(operator.metrics()?.contains("nanomon_operator_mass_removal_held 24").then_some(()))
    })
    .await
    .unwrap();
    for n in 0..24 {
        stage.create(&format!("m{n}")).await.unwrap();
    }
    for n in 0..24 {
        stage.says(&format!("m{n}"), types::READY, "True", "Running").await.unwrap();
    }
    eventually("the doubt is over", PATIENCE, || async {
        Ok(operator.metrics()?.contains("nanomon_operator_mass_removal_held 0").then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(ids().await, before);
    let metrics = operator.metrics().unwrap();
    assert!(!metrics.contains("kind=\"tombstoned\""), "{metrics}");
}

#[tokio::test]
async fn without_postgresql_the_old_stay_ready_and_the_new_wait() {
    let postgres = Postgres::start_with(Options::default()).await.unwrap();
    let stage = Stage::with_dsn(&postgres.create_dsn().await.unwrap()).await.unwrap();
    let _operator = stage.operator.start().unwrap();
    stage.create("old").await.unwrap();
    stage.create("edited").await.unwrap();
    stage.says("old", types::READY, "True", "Running").await.unwrap();
    stage.says("edited", types::READY, "True", "Running").await.unwrap();

    postgres.kill().await.unwrap();
    stage.create("new").await.unwrap();
    stage.apply("edited", json!({"interval": "1m", "ping": {"host": "127.0.0.1"}})).await.unwrap();
    let new = stage.says("new", types::READY, "False", "DatabaseUnavailable").await.unwrap();
    let edited = stage.says("edited", types::READY, "False", "DatabaseUnavailable").await.unwrap();
    let running = |monitor: nanomon_crds::Monitor| monitor.status.unwrap().running_generation;
    assert_eq!((running(new), running(edited)), (None, Some(1)));
    stage.says("old", types::READY, "True", "Running").await.unwrap();

    postgres.start().await.unwrap();
    stage.says("new", types::READY, "True", "Running").await.unwrap();
    stage.says("edited", types::READY, "True", "Running").await.unwrap();
}

#[tokio::test]
async fn one_of_two_leads_and_the_other_takes_over() {
    let stage = Stage::new().await.unwrap();
    let first = stage.operator.start().unwrap();
    let leases: Api<Lease> = Api::namespaced(stage.plane.client().unwrap(), &stage.operator.config.release_namespace);
    let holder = async |wanted: &str| {
        eventually(&format!("{wanted} leads"), PATIENCE, || async {
            let lease = leases.get_opt("nanomon-operator").await?;
            let holder = lease.and_then(|lease| lease.spec).and_then(|spec| spec.holder_identity);
            Ok((holder.as_deref() == Some(wanted)).then_some(()))
        })
        .await
        .unwrap();
    };
    holder("operator-0").await;
    let mut other = stage.operator.clone();
    other.config.identity = "operator-1".to_owned();
    let second = other.start().unwrap();
    stage.create("a").await.unwrap();
    stage.says("a", types::READY, "True", "Running").await.unwrap();
    let epoch = stage.store.heads_read().await.unwrap().operator_epoch;
    holder("operator-0").await;

    first.kill();
    holder("operator-1").await;
    stage.create("b").await.unwrap();
    stage.says("b", types::READY, "True", "Running").await.unwrap();
    assert_eq!(stage.store.heads_read().await.unwrap().operator_epoch, epoch + 1);

    // One that stops in order gives the lease back.
    second.stop().await.unwrap();
    let spec = leases.get("nanomon-operator").await.unwrap().spec.unwrap();
    assert_eq!(spec.holder_identity, None);
}

#[tokio::test]
async fn monitors_of_a_namespace_that_is_no_longer_watched_pause() {
    let mut stage = Stage::new().await.unwrap();
    let operator = stage.operator.start().unwrap();
    stage.create("a").await.unwrap();
    stage.says("a", types::READY, "True", "Running").await.unwrap();
    operator.stop().await.unwrap();
    let watched = std::mem::take(&mut stage.operator.config.watch_namespaces);
    stage.operator.config.watch_namespaces = vec![stage.plane.namespace("elsewhere").await.unwrap()];
    let operator = stage.operator.start().unwrap();
    stage.row_when("a", "paused", |row| row.def.as_ref().is_some_and(|def| def.suspended)).await.unwrap();
    operator.stop().await.unwrap();
    stage.operator.config.watch_namespaces = watched;
    let _operator = stage.operator.start().unwrap();
    stage.row_when("a", "probed again", |row| row.def.as_ref().is_some_and(|def| !def.suspended)).await.unwrap();
}

#[tokio::test]
async fn an_epoch_that_another_took_shuts_the_old_one_out() {
    let stage = Stage::new().await.unwrap();
    let _operator = stage.operator.start().unwrap();
    stage.create("a").await.unwrap();
    stage.says("a", types::READY, "True", "Running").await.unwrap();
    // As if another operator had taken over while this one was frozen.
    let taken = stage.store.operator_epoch_take().await.unwrap();
    stage.create("b").await.unwrap();
    stage.says("b", types::READY, "True", "Running").await.unwrap();
    // It still holds the lease, so that it takes an epoch of its own before it writes anything.
    assert!(stage.store.heads_read().await.unwrap().operator_epoch > taken);
}
