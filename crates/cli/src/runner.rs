//! `nanomon runner`: one runner of a pool. Needs PostgreSQL and the network it probes; no Kubernetes credentials.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use nanomon_dealer::DealerConfig;
use nanomon_runner::probe::{ClusterNames, ProbeConfig, TargetPolicy};
use nanomon_runner::{MetricsHandle, RunnerConfig};
use nanomon_service::Readiness;
use nanomon_service::admin::Admin;
use nanomon_service::shutdown::{self, Parts};
use nanomon_sql::retention::Retention;
use nanomon_sql::{Store, notify};
use tokio_util::sync::CancellationToken;

use crate::args::DatabaseArgs;
use crate::cluster::{AdminArgs, host_name};
use crate::own_addresses::own_addresses;

/// Connections of a runner: writer, everything else, listener, and the maintenance of the dealer that it hosts, which may
/// hold one for minutes; opened only when they are used.
const CONNECTIONS: usize = 4;
/// A runner takes the dealer's part when nobody has held the lease for this long.
const TAKEOVER_AFTER: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Pool that this runner belongs to
    #[arg(long, env = "NANOMON_POOL", default_value = "default")]
    pool: String,
    /// What makes this runner one and the same: the pod's UID
    #[arg(long, env = "POD_UID")]
    identity: Option<String>,
    /// Name shown to people
    #[arg(long, env = "POD_NAME")]
    name: Option<String>,
    #[command(flatten)]
    admin: AdminArgs,
    /// Write the predecessor's metrics (a gauge named after each monitor) too
    #[arg(long, env = "NANOMON_NAMED_METRICS")]
    named_metrics: bool,
    /// Further addresses of this runner, which may not be probed; those of its interfaces are known
    #[arg(long, env = "POD_IPS", value_delimiter = ',')]
    own_addresses: Vec<IpAddr>,
    /// Domain of the cluster's services; names without a dot are then looked up in the monitor's namespace
    #[arg(long, env = "CLUSTER_DOMAIN")]
    cluster_domain: Option<String>,
    /// Runs in a pod: loopback may not be probed, no raw sockets
    #[arg(long, env = "NANOMON_IN_POD", default_value_t = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some())]
    in_pod: bool,
    /// Bytes of results that are kept while PostgreSQL is away
    #[arg(long, env = "NANOMON_BUFFER_BYTES", default_value_t = 96 << 20)]
    buffer_bytes: usize,
}

/// Runs until a signal; then hands over, flushes and leaves.
pub async fn run(args: Args) -> Result<()> {
    let settings = args.database.required()?.with_pool(CONNECTIONS - 1, "nanomon-runner");
    let listener = args.admin.bind().await?;
    let signal = shutdown::on_signal()?;
    let store = Store::new(&settings)?;
    let readiness = Readiness::default();
    let mut parts = Parts::default();
    let token = CancellationToken::new;

    let mut own_addresses = own_addresses();
    own_addresses.extend(args.own_addresses);
    let policy = TargetPolicy { in_pod: args.in_pod, own_addresses, ..TargetPolicy::default() };
    let cluster = args.cluster_domain.map(|domain| ClusterNames { domain });
    let probe = ProbeConfig { policy, cluster, raw_icmp: !args.in_pod, ..ProbeConfig::default() };
    let name = args.name.unwrap_or_else(host_name);
    let identity = args.identity.unwrap_or_else(|| format!("{name}/{}", std::process::id()));
    let listening = token();
    let wakeups = notify::listen(&settings, listening.clone());
    let mut config = RunnerConfig::new(identity, name, probe);
    config.pool = args.pool;
    config.bounds.buffer_bytes = args.buffer_bytes;
    config.named_metrics = args.named_metrics;
    config.wakeups = Some(wakeups);
    config.dealer = Some(DealerConfig {
        holder: config.identity.clone(),
        takeover_after: TAKEOVER_AFTER,
        retention: Retention::default(),
    });
    let drain = config.drain;
    let handle = MetricsHandle::new(&config.pool, config.named_metrics);

    let stop = token();
    let admin = Admin { readiness: readiness.clone(), sources: vec![Arc::new(handle.clone())] };
    parts.start("admin", stop.clone(), admin.serve(listener, stop));
    if !wait_for_schema(&store, &readiness, &signal).await {
        return Ok(());
    }
    let running = token();
    parts.start("runner", running.clone(), nanomon_runner::run(config, store.clone(), handle, running));
    let outcome = tokio::select! {
        () = signal.cancelled() => Ok(()),
        // Kubernetes starts the pod anew.
        part = parts.any_ended() => Err(anyhow::anyhow!("{part} ended")),
    };
    readiness.wait("runner", "stopping");
    parts.stop(drain + Duration::from_secs(15)).await;
    listening.cancel();
    store.close();
    outcome
}

/// Waits, alive but not ready, until the schema is one that this version works with; false if a signal came first.
pub async fn wait_for_schema(store: &Store, readiness: &Readiness, signal: &CancellationToken) -> bool {
    let mut said = String::new();
    loop {
        match store.schema_check().await {
            Ok(()) => {
                readiness.ready("database");
                return true;
            }
            Err(error) => {
                let sentence = error.to_string();
                if sentence != said {
                    tracing::warn!("waiting for the database: {sentence}");
                    said.clone_from(&sentence);
                }
                readiness.wait("database", sentence);
            }
        }
        tokio::select! {
            () = signal.cancelled() => return false,
            () = tokio::time::sleep(Duration::from_secs(2)) => {}
        }
    }
}
