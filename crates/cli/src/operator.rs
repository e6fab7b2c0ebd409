//! `nanomon operator`: watches Monitors, writes them to PostgreSQL, reports status; deals shards beside it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use nanomon_dealer::DealerConfig;
use nanomon_operator::OperatorConfig;
use nanomon_operator::metrics::Metrics;
use nanomon_service::Readiness;
use nanomon_service::admin::Admin;
use nanomon_service::exposition::registry_source;
use nanomon_service::shutdown::{self, Parts};
use nanomon_sql::retention::Retention;
use nanomon_sql::{Store, StoreError, notify};
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use crate::args::DatabaseArgs;
use crate::cluster::{self, AdminArgs, ReleaseArgs};

/// Connections of an operator.
const CONNECTIONS: usize = 4;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    release: ReleaseArgs,
    #[command(flatten)]
    admin: AdminArgs,
    /// This replica's name, under which it holds leases: no two may have the same
    #[arg(long, env = "POD_NAME")]
    name: Option<String>,
    /// Namespaces whose Monitors are followed; empty: all
    #[arg(long, env = "WATCH_NAMESPACES", value_delimiter = ',')]
    watch_namespaces: Vec<String>,
    /// Writes to the Kubernetes API per second, all kinds together
    #[arg(long, env = "NANOMON_WRITES_PER_SECOND", default_value_t = 20.0, value_parser = positive)]
    writes_per_second: f64,
}

/// Migrates the schema, then watches until a signal.
pub async fn run(args: Args) -> Result<()> {
    let settings = args.database.required()?.with_pool(CONNECTIONS - 1, "nanomon-operator");
    let listener = args.admin.bind().await?;
    let signal = shutdown::on_signal()?;
    let store = Store::new(&settings)?;
    let client = cluster::client().await?;
    let (readiness, metrics) = (cluster::nothing_asked_yet(), Metrics::default());
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    let name = args.name.unwrap_or_else(|| format!("{}-{}", cluster::host_name(), std::process::id()));
    let mut parts = Parts::default();
    let token = CancellationToken::new;

    let stop = token();
    let source = registry_source(Arc::new(registry));
    let admin = Admin { readiness: readiness.clone(), sources: vec![Arc::new(source)] };
    parts.start("admin", stop.clone(), admin.serve(listener, stop));
    if !migrate(&store, &readiness, &signal).await? {
        return Ok(());
    }
    let dealing = token();
    let dealer = DealerConfig { holder: name.clone(), takeover_after: Duration::ZERO, retention: Retention::default() };
    let deal = nanomon_dealer::run(store.clone(), dealer, dealing.clone());
    parts.start("dealer", dealing, async {
        deal.await;
        Ok::<(), std::convert::Infallible>(())
    });
    // Shards are dealt also while Kubernetes is away: what is in the database already is probed.
    let Some(installation) = args.release.wait_for_installation(&client, &readiness, &signal).await else {
        parts.stop(Duration::from_secs(15)).await;
        return Ok(());
    };
    tracing::info!(installation, "operator of this installation");

    let listening = token();
    let wakeups = notify::listen(&settings, listening.clone());
    let running = token();
    let config = OperatorConfig {
        watch_namespaces: args.watch_namespaces.into_iter().filter(|name| !name.is_empty()).collect(),
        writes_per_second: args.writes_per_second,
        ..OperatorConfig::new(&installation, &args.release.release_namespace, &name)
    };
    let operator = nanomon_operator::run(
        client,
        store.clone(),
        wakeups.subscribe(),
        config,
        metrics,
        readiness.clone(),
        running.clone(),
    );
    parts.start("operator", running, operator);
    let outcome = tokio::select! {
        () = signal.cancelled() => Ok(()),
        // Kubernetes starts the pod anew.
        part = parts.any_ended() => Err(anyhow::anyhow!("{part} ended")),
    };
    readiness.wait("operator", "stopping");
    parts.stop(Duration::from_secs(15)).await;
    listening.cancel();
    store.close();
    outcome
}

/// Migrates, for ever waiting for PostgreSQL, alive but not ready; false if a signal came first.
async fn migrate(store: &Store, readiness: &Readiness, signal: &CancellationToken) -> Result<bool> {
    loop {
        match store.migrate().await {
            Ok(migrated) => {
                tracing::info!(from = migrated.from, to = migrated.to, "schema");
                readiness.ready("database");
                return Ok(true);
            }
            Err(error @ (StoreError::Unavailable(_) | StoreError::Retry(_))) => {
                readiness.wait("database", error.to_string());
                tracing::warn!("waiting for the database: {error}");
            }
            Err(error) => return Err(error).context("migrating the schema"),
        }
        tokio::select! {
            () = signal.cancelled() => return Ok(false),
            () = tokio::time::sleep(Duration::from_secs(2)) => {}
        }
    }
}

fn positive(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| "must be a number above 0".to_owned())
}
