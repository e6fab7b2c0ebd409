//! What the lifecycle tests share: a namespace, an operator's stage, and short ways to look at both sides.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use nanomon_crds::{Monitor, conditions};
use nanomon_sql::Store;
use nanomon_sql::monitors::MonitorRow;
use nanomon_testkit::postgres::Postgres;
use serde_json::{Value, json};

use crate::{ControlPlane, OperatorStage, eventually};

/// Long, because other work may hold both cores; passed at once when the condition holds.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A namespace with an operator's stage that watches only it.
pub struct Stage {
    /// The control plane.
    pub plane: &'static ControlPlane,
    /// The namespace that the operator watches.
    pub namespace: String,
    /// The operator's rights, database and settings.
    pub operator: OperatorStage,
    /// For looking, and for playing the runner.
    pub store: Store,
    /// The namespace's Monitors, as the administrator.
    pub monitors: Api<Monitor>,
}

impl Stage {
    /// On the control plane and the PostgreSQL that all tests of this process share.
    pub async fn new() -> Result<Self> {
        let dsn = Postgres::shared().await.create_dsn().await?;
        Self::with_dsn(&dsn).await
    }

    /// With a database of the test's own.
    pub async fn with_dsn(dsn: &str) -> Result<Self> {
        let plane = ControlPlane::shared().await;
        let namespace = plane.namespace("shop").await?;
        let mut operator = OperatorStage::prepare(plane, dsn).await?;
        operator.config.watch_namespaces = vec![namespace.clone()];
        let store = operator.store()?;
        let monitors = Api::namespaced(plane.client()?, &namespace);
        Ok(Self { plane, namespace, operator, store, monitors })
    }

    /// Applies a Monitor.
    pub async fn apply(&self, name: &str, spec: Value) -> Result<Monitor> {
        let object = json!({
            "apiVersion": "nanomon.io/v1alpha1", "kind": "Monitor", "metadata": {"name": name}, "spec": spec,
        });
        let params = PatchParams::apply("e2e").force();
        Ok(self.monitors.patch(name, &params, &Patch::Apply(&object)).await?)
    }

    /// Creates a Monitor of a ping.
    pub async fn create(&self, name: &str) -> Result<Monitor> {
        let object: Monitor = serde_json::from_value(json!({
            "metadata": {"name": name}, "spec": {"ping": {"host": "127.0.0.1"}},
        }))?;
        Ok(self.monitors.create(&PostParams::default(), &object).await?)
    }

    /// Deletes a Monitor.
    pub async fn delete(&self, name: &str) -> Result<()> {
        self.monitors.delete(name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// The living row of a Monitor.
    pub async fn row(&self, name: &str) -> Result<Option<MonitorRow>> {
        Ok(self.store.monitor_get_by_name(&self.operator.config.installation, &self.namespace, name).await?)
    }

    /// Waits for the row to be like this.
    pub async fn row_when(&self, name: &str, what: &str, holds: impl Fn(&MonitorRow) -> bool) -> Result<MonitorRow> {
        eventually(&format!("row {name}: {what}"), PATIENCE, || async {
            Ok(self.row(name).await?.filter(|row| holds(row)))
        })
        .await
    }

    /// Waits until the row is gone.
    pub async fn row_gone(&self, name: &str) -> Result<()> {
        eventually(&format!("row {name} is gone"), PATIENCE, || async {
            Ok(self.row(name).await?.is_none().then_some(()))
        })
        .await
    }

    /// Waits for a condition of this status and reason and answers the object.
    pub async fn says(&self, name: &str, type_: &str, status: &str, reason: &str) -> Result<Monitor> {
        let what = format!("{name} says {type_}={status}/{reason}");
        let last = Mutex::new(String::new());
        let found = eventually(&what, PATIENCE, || async {
            let monitor = self.monitors.get(name).await?;
            *last.lock().unwrap_or_else(PoisonError::into_inner) = serde_json::to_string(&monitor.status)?;
            let generation = monitor.metadata.generation;
            let found = monitor.status.as_ref().and_then(|s| conditions::find(&s.conditions, type_)).cloned();
            let holds =
                found.is_some_and(|c| c.status == status && c.reason == reason && c.observed_generation == generation);
            Ok(holds.then_some(monitor))
        })
        .await;
        found.with_context(|| format!("last status: {}", last.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// `kubectl` as the administrator; answers its output, fails if it does.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let mut command = tokio::process::Command::new("kubectl");
        if let Some(kubeconfig) = self.plane.kubeconfig() {
            command.env("KUBECONFIG", kubeconfig);
        }
        // A cache of its own: the developer's may belong to another cluster on the same port.
        let cache = std::env::temp_dir().join(format!("nanomon-kubectl-{}", std::process::id()));
        let output = command
            .arg(format!("--cache-dir={}", cache.display()))
            .args(["-n", &self.namespace])
            .args(arguments)
            .kill_on_drop(true)
            .output()
            .await
            .context("running kubectl")?;
        let _ = std::fs::remove_dir_all(cache);
        anyhow::ensure!(output.status.success(), "kubectl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }
}
