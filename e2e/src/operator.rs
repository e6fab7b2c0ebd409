//! An operator under test: its own runtime, so that it can be killed like a process, and the rights of `operator/rbac.yaml`.

use std::time::Duration;

use anyhow::{Context as _, Result};
use kube::{Client, Config};
use nanomon_operator::config::LeaseTiming;
use nanomon_operator::{OperatorConfig, metrics::Metrics};
use nanomon_service::Readiness;
use nanomon_sql::{Settings, Store};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::{ControlPlane, eventually};

/// What an operator needs: rights in the cluster, a database, settings.
#[derive(Clone)]
pub struct OperatorStage {
    /// The operator's own rights.
    pub cluster: Config,
    /// Its database.
    pub settings: Settings,
    /// Its settings; tests change them before they start one.
    pub config: OperatorConfig,
}

impl OperatorStage {
    /// Makes the release's namespace and account with the rights of `operator/rbac.yaml`, and migrates the database.
    pub async fn prepare(plane: &ControlPlane, dsn: &str) -> Result<Self> {
        let namespace = plane.namespace("release").await?;
        plane.apply(&rights(include_str!("../../operator/rbac.yaml"), &namespace)?).await?;
        let cluster = plane.config_of_account(&namespace, "nanomon-operator").await?;
        let settings = Settings::parse(dsn, None)?.with_pool(4, "nanomon-e2e-operator");
        let store = Store::new(&settings)?;
        store.migrate().await?;
        store.close();
        let client = Client::try_from(cluster.clone())?;
        // The authorizer follows new bindings with a little delay.
        let installation = eventually("the account may read kube-system", Duration::from_secs(20), || async {
            Ok(Some(nanomon_operator::installation::read(client.clone(), &namespace, "nanomon").await?))
        })
        .await?;
        let mut config = OperatorConfig::new(&installation, &namespace, "operator-0");
        config.lease = LeaseTiming {
            duration: Duration::from_secs(2),
            renew_within: Duration::from_millis(1500),
            retry: Duration::from_millis(200),
        };
        Ok(Self { cluster, settings, config })
    }

    /// A handle to the database, for looking and for playing the runner.
    pub fn store(&self) -> Result<Store> {
        Ok(Store::new(&self.settings)?)
    }

    /// Starts an operator.
    pub fn start(&self) -> Result<TestOperator> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("nanomon-operator")
            .enable_all()
            .build()?;
        let stop = CancellationToken::new();
        let readiness = Readiness::default();
        let metrics = Metrics::default();
        let Self { cluster, settings, config } = self.clone();
        let (token, ready, measured) = (stop.clone(), readiness.clone(), metrics.clone());
        let task = runtime.spawn(async move {
            let client = Client::try_from(cluster)?;
            let store = Store::new(&settings)?;
            let wakeups = nanomon_sql::notify::listen(&settings, token.clone()).subscribe();
            nanomon_operator::run(client, store, wakeups, config, measured, ready, token).await?;
            anyhow::Ok(())
        });
        Ok(TestOperator { runtime: Some(runtime), stop, task: Some(task), readiness, metrics })
    }
}

/// A running operator. Dropping it kills it.
pub struct TestOperator {
    runtime: Option<Runtime>,
    stop: CancellationToken,
    task: Option<tokio::task::JoinHandle<Result<()>>>,
    /// What it waits for.
    pub readiness: Readiness,
    metrics: Metrics,
}

impl TestOperator {
    /// Its own metrics, as text.
    pub fn metrics(&self) -> Result<String> {
        let mut registry = prometheus_client::registry::Registry::default();
        self.metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }

    /// Ends it in the middle of whatever it does: nothing is flushed, the lease is not given back.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Stops it in order.
    pub async fn stop(mut self) -> Result<()> {
        self.stop.cancel();
        let task = self.task.take().context("the operator was stopped already")?;
        let result = tokio::time::timeout(Duration::from_secs(30), task).await.context("the operator does not stop")?;
        self.end();
        result?
    }
}

impl Drop for TestOperator {
    fn drop(&mut self) {
        self.end();
    }
}

/// The objects of an `rbac.yaml` for a release in this namespace. Cluster-wide names carry the namespace, because several
/// releases share a test's control plane.
pub(crate) fn rights(yaml: &str, namespace: &str) -> Result<Vec<Value>> {
    let mut objects: Vec<Value> = serde_saphyr::from_multiple(&yaml.replace("nanomon-system", namespace))?;
    for object in &mut objects {
        if object["kind"].as_str().is_some_and(|kind| kind.starts_with("Cluster")) {
            let name = format!("{}-{namespace}", object["metadata"]["name"].as_str().unwrap_or_default());
            object["metadata"]["name"] = name.clone().into();
            if object["roleRef"].is_object() {
                object["roleRef"]["name"] = name.into();
            }
        }
    }
    Ok(objects)
}
