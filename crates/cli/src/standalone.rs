//! `nanomon standalone`: the dealer, runner, API and dashboard of the cluster in one process, with its own PostgreSQL and a
//! folder of manifests.
//!
//! Order of start: PostgreSQL, schema, manifests, API, dealer and runner, metrics. Stopped in reverse; PostgreSQL goes last.

use std::io::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nanomon_dashboard_api::ApiConfig;
use nanomon_dealer::DealerConfig;
use nanomon_runner::probe::ProbeConfig;
use nanomon_runner::{MetricsHandle, RunnerConfig};
use nanomon_service::admin::Admin;
use nanomon_service::shutdown::{self, Parts};
use nanomon_sql::retention::Retention;
use nanomon_sql::{Settings, Store, notify};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::api::WebArgs;
use crate::args::DatabaseArgs;
use crate::cluster::bind;
use crate::manifest_folder;
use crate::postgres;

/// As the reference: six tries, ten seconds apart.
const DATABASE_TRIES: u32 = 6;
const DATABASE_PAUSE: Duration = Duration::from_secs(10);
/// Connections of the whole process: API 8, runner 3, dealer and folder.
const CONNECTIONS: usize = 14;

#[derive(clap::Args)]
pub struct Args {
    /// Folder of Monitor manifests (YAML or JSON), followed live
    #[arg(long, env = "NANOMON_MONITORS", value_name = "DIR")]
    monitors: Option<PathBuf>,
    /// Where PostgreSQL's data and the rest are kept
    #[arg(long, env = "NANOMON_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    database: DatabaseArgs,
    /// Folder with PostgreSQL's server programs; found by itself if they are installed
    #[arg(long, env = "NANOMON_POSTGRES_BIN", value_name = "DIR")]
    postgres_bin: Option<String>,
    /// Address to listen on; with sign-in off, other machines are let in only by naming their address here
    #[arg(long, env = "NANOMON_LISTEN", default_value = "127.0.0.1")]
    listen: IpAddr,
    /// Port of the API
    #[arg(long, env = "PORT", default_value_t = 8000)]
    port: u16,
    /// Port of the dashboard
    #[arg(long, env = "FRONTEND_PORT", default_value_t = 8001)]
    frontend_port: u16,
    /// Serve Prometheus metrics
    #[arg(long, env = "PROMETHEUS_ENABLED", default_value_t = false, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    prometheus: bool,
    /// The reference's name of the same
    #[arg(long, env = "PROMETHEUS_ENABLE", default_value_t = false, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", hide = true)]
    prometheus_enable: bool,
    /// Port of the metrics
    #[arg(long, env = "PROMETHEUS_PORT", default_value_t = 8080)]
    prometheus_port: u16,
    #[command(flatten)]
    web: WebArgs,
}

/// Runs until a signal or a fault of one of the parts.
pub async fn run(args: Args) -> Result<()> {
    if let Some(folder) = &args.monitors
        && !folder.is_dir()
    {
        bail!("monitors {}: there is no such folder", folder.display());
    }
    // Ports are bound first: a taken one is said before anything is started.
    let api = bind(args.listen, args.port, "PORT").await?;
    let dashboard = bind(args.listen, args.frontend_port, "FRONTEND_PORT").await?;
    let prometheus = args.prometheus || args.prometheus_enable;
    let metrics =
        if prometheus { Some(bind(args.listen, args.prometheus_port, "PROMETHEUS_PORT").await?) } else { None };
    let signal = shutdown::on_signal()?;

    let (server, settings) = database(&args).await?;
    let settings = settings.with_pool(CONNECTIONS, "nanomon-standalone");
    let outcome = tokio::select! {
        outcome = serve(args, settings, [api, dashboard], metrics, signal.clone()) => outcome,
        // Until the parts run, a signal ends the start.
        () = async { signal.cancelled().await; tokio::time::sleep(Duration::from_secs(90)).await } => Ok(()),
    };
    if let Some(server) = server {
        server.stop().await;
    }
    outcome
}

async fn database(args: &Args) -> Result<(Option<postgres::Server>, Settings)> {
    if let Some(settings) = args.database.settings()? {
        return Ok((None, settings));
    }
    let data_dir = match &args.data_dir {
        Some(dir) => dir.clone(),
        None => default_data_dir()?,
    };
    // An empty setting is none: shells and compose files make them.
    let programs = args.postgres_bin.as_deref().filter(|dir| !dir.is_empty());
    let programs = postgres::locate(programs.map(std::path::Path::new))?;
    let server = postgres::Server::start(&programs, &data_dir).await?;
    tracing::info!("PostgreSQL {} runs in {}", programs.major, data_dir.display());
    let settings = Settings::parse(&server.dsn(), None)?;
    Ok((Some(server), settings))
}

fn default_data_dir() -> Result<PathBuf> {
    if postgres::is_root() {
        return Ok(PathBuf::from("/var/lib/nanomon"));
    }
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_DATA_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".local/share")))
        .map(|base| base.join("nanomon"))
        .context("data-dir: neither HOME nor XDG_DATA_HOME is set; name a folder with --data-dir")
}

async fn serve(
    args: Args,
    settings: Settings,
    listeners: [TcpListener; 2],
    metrics: Option<TcpListener>,
    signal: CancellationToken,
) -> Result<()> {
    let store = Store::new(&settings)?;
    if !migrate(&store, &signal).await? {
        return Ok(());
    }
    let urls = [listeners[0].local_addr()?, listeners[1].local_addr()?];
    let mut parts = Parts::default();
    let token = CancellationToken::new;

    let listening = token();
    let wakeups = notify::listen(&settings, listening.clone());
    let api_stop = token();
    let mut api = ApiConfig { wakeups: Some(wakeups.clone()), ..ApiConfig::standalone() };
    args.web.apply(&mut api);
    let api_metrics = api.metrics.source();
    api.check()?;
    let api_part = nanomon_dashboard_api::serve(api, store.clone(), listeners.into(), api_stop.clone());
    parts.start("api", api_stop, api_part);

    if let Some(folder) = args.monitors.clone() {
        let stop = token();
        let (first, read) = tokio::sync::oneshot::channel();
        parts.start("monitors folder", stop.clone(), manifest_folder::follow(store.clone(), folder, first, stop));
        let _ = read.await;
    }

    // The runner brings the dealer with it: the same code in a cluster's runner, without the wait for operators.
    let running = token();
    let mut config = RunnerConfig::new("standalone", "standalone", ProbeConfig::default());
    config.wakeups = Some(wakeups);
    config.dealer = Some(DealerConfig {
        holder: "standalone".to_owned(),
        takeover_after: Duration::ZERO,
        retention: Retention::default(),
    });
    // Nobody is there to take over: what is in flight ends, what waits is flushed.
    config.drain = Duration::ZERO;
    let handle = MetricsHandle::new(&config.pool, true);
    parts.start("runner", running.clone(), nanomon_runner::run(config, store.clone(), handle.clone(), running));

    if let Some(listener) = metrics {
        let stop = token();
        let admin = Admin { sources: vec![Arc::new(handle), api_metrics], ..Admin::default() };
        parts.start("metrics", stop.clone(), admin.serve(listener, stop));
    }
    // The one line that a person waits for goes to stdout, logs to stderr.
    // Nobody may be reading it (a closed pipe); that is no fault.
    let [api, dashboard] = urls;
    let _ = writeln!(std::io::stdout(), "NanoMon is running: dashboard http://{dashboard}/  API http://{api}/api");
    let outcome = tokio::select! {
        () = signal.cancelled() => Ok(()),
        part = parts.any_ended() => Err(anyhow::anyhow!("{part} ended")),
    };
    parts.stop(Duration::from_secs(20)).await;
    listening.cancel();
    store.close();
    outcome
}

/// Brings the schema to this version; false if a signal came first.
async fn migrate(store: &Store, signal: &CancellationToken) -> Result<bool> {
    for attempt in 1..=DATABASE_TRIES {
        let migrated = tokio::select! {
            () = signal.cancelled() => return Ok(false),
            migrated = store.migrate() => migrated,
        };
        match migrated {
            Ok(migrated) => {
                if migrated.from != migrated.to {
                    tracing::info!("schema version {} -> {}", migrated.from, migrated.to);
                }
                return Ok(true);
            }
            Err(error @ nanomon_sql::StoreError::Unavailable(_)) if attempt < DATABASE_TRIES => {
                tracing::warn!("try {attempt} of {DATABASE_TRIES}: {:#}", anyhow::Error::new(error));
            }
            Err(error) => return Err(error).context("preparing the database"),
        }
        tokio::select! {
            () = signal.cancelled() => return Ok(false),
            () = tokio::time::sleep(DATABASE_PAUSE) => {}
        }
    }
    Ok(false)
}
