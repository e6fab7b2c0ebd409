//! All parts as processes on a real control plane and a real PostgreSQL, each with its own rights: a Monitor applied becomes
//! results that a person can see.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use kube::Api;
use kube::api::{Patch, PatchParams};
use nanomon_crds::Monitor;
use nanomon_e2e::cluster::Release;
use nanomon_e2e::stack::{Program, Stack};
use nanomon_e2e::{ControlPlane, eventually};
use nanomon_testkit::http::HttpServer;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);
/// From apply to a result behind the API.
const APPLY_TO_RESULT: Duration = Duration::from_secs(10);

async fn get(api: &Program, path: &str) -> Result<Value> {
    let (status, body) = api.api("GET", path, "").await?;
    ensure!(status == 200, "{path}: {status} {body}");
    Ok(serde_json::from_str(&body)?)
}

async fn listed(api: &Program, namespace: &str, name: &str) -> Result<Option<Value>> {
    let list = get(api, &format!("/api/monitors?namespace={namespace}")).await?;
    Ok(list.as_array().context("a list")?.iter().find(|m| m["objectName"] == name).cloned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_applied_monitor_becomes_results_that_a_person_can_see() -> Result<()> {
    let plane = ControlPlane::shared().await;
    let namespace = plane.namespace("shop").await?;
    let stack = Stack::start().await?;
    let release = Release::prepare(plane).await?;
    let operator = release.operator(&stack, &namespace).await?;
    let runner = stack.runner("runner-0", "default", &stack.dsn).await?;
    let api = release.api(&stack).await?;
    // The shards are dealt once; from then on a new Monitor needs nothing but its own way.
    stack.settled(&["runner-0"]).await?;
    let target = HttpServer::start().await?;
    let monitors: Api<Monitor> = Api::namespaced(plane.client()?, &namespace);

    let manifest = json!({
        "apiVersion": "nanomon.io/v1alpha1", "kind": "Monitor", "metadata": {"name": "home"},
        "spec": {"interval": "1s", "http": {"url": target.url("/")}, "rule": "status == 200"},
    });
    let applied = Instant::now();
    monitors.patch("home", &PatchParams::apply("kubectl").force(), &Patch::Apply(&manifest)).await?;
    let row = eventually("a result behind the API", APPLY_TO_RESULT, || async {
        let Some(row) = listed(&api, &namespace, "home").await? else { return Ok(None) };
        let results = get(&api, &format!("/api/monitors/{}/results?max=1", row["id"])).await?;
        Ok((results[0]["status"] == 0).then_some(row))
    })
    .await?;
    println!("applied to seen behind the API: {:.2} s", applied.elapsed().as_secs_f64());
    assert_eq!(row["managedBy"]["source"], "kubernetes", "{row}");
    eventually("kubectl sees the state", PATIENCE, || async {
        let status = monitors.get("home").await?.status;
        Ok(serde_json::to_value(&status)?.get("state").is_some_and(|state| state == "OK").then_some(()))
    })
    .await?;

    // Written through the API it is an object like any other.
    let form = json!({"name": "Shop port", "type": "tcp", "interval": "1s", "target": target.addr().to_string()});
    let (status, body) = api.api("POST", &format!("/api/monitors?namespace={namespace}"), &form.to_string()).await?;
    ensure!(status == 200, "{status} {body}");
    let created: Value = serde_json::from_str(&body)?;
    let path = format!("/api/monitors/{}", created["id"]);
    let object = monitors.get("shop-port").await?;
    assert_eq!(object.spec.interval, "1s");
    let changed = json!({"name": "Shop port", "type": "tcp", "interval": "2s", "target": target.addr().to_string()});
    let (status, body) = api.api("PUT", &path, &changed.to_string()).await?;
    ensure!(status == 200, "{status} {body}");
    assert_eq!(monitors.get("shop-port").await?.spec.interval, "2s");

    // What GitOps owns is not for the dashboard.
    let owned = json!({"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "shop:nanomon.io/Monitor:shop/shop-port"}}});
    monitors.patch("shop-port", &PatchParams::default(), &Patch::Merge(&owned)).await?;
    let (status, body) = api.api("DELETE", &path, "").await?;
    assert_eq!(status, 409, "{body}");
    assert!(body.contains("Argo CD"), "{body}");
    let freed = json!({"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": null}}});
    monitors.patch("shop-port", &PatchParams::default(), &Patch::Merge(&freed)).await?;
    let (status, body) = api.api("DELETE", &path, "").await?;
    ensure!(status == 204, "{status} {body}");
    assert!(monitors.get_opt("shop-port").await?.is_none());

    // A draft goes through a runner: the API dials nothing itself.
    let draft =
        json!({"namespace": namespace, "spec": {"http": {"url": target.url("/status/503")}, "rule": "status == 503"}});
    let (status, body) = api.api("POST", "/api/probes?wait=10", &draft.to_string()).await?;
    ensure!(status == 200, "{status} {body}");
    let draft: Value = serde_json::from_str(&body)?;
    assert_eq!(draft["result"]["outputs"]["status"], 503, "{draft}");

    for part in [api, runner, operator] {
        part.leave().await?;
    }
    println!("{}", stack.verify().await?);
    Ok(())
}
