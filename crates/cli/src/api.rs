//! `nanomon api`: the REST API and the dashboard in a cluster; writes go to the Kubernetes API.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::Result;
use nanomon_dashboard_api::{ApiConfig, AuthSettings, ClusterConfig, Mode};
use nanomon_service::admin::Admin;
use nanomon_service::shutdown::{self, Parts};
use nanomon_sql::{Store, notify};
use tokio_util::sync::CancellationToken;

use crate::args::DatabaseArgs;
use crate::cluster::{self, AdminArgs, ReleaseArgs};
use crate::runner::wait_for_schema;

/// Connections of an API pod.
const CONNECTIONS: usize = 8;

/// What a browser and a proxy need to know; the same in a cluster and in standalone.
#[derive(Clone, Debug, clap::Args)]
pub struct WebArgs {
    /// Names under which the dashboard is reached, besides IP addresses and localhost
    #[arg(long, env = "ALLOWED_HOSTS", value_delimiter = ',')]
    allowed_hosts: Vec<String>,
    /// Origins whose pages may call the API
    #[arg(long, env = "CORS_ORIGINS", value_delimiter = ',')]
    cors_origins: Vec<String>,
    /// Where the dashboard finds the API
    #[arg(long, env = "API_ENDPOINT", default_value = "/api")]
    api_endpoint: String,
    #[arg(long, env = "AUTH_CLIENT_ID", default_value = "", hide = true)]
    auth_client_id: String,
    #[arg(long, env = "AUTH_TENANT", default_value = "common", hide = true)]
    auth_tenant: String,
    #[arg(long, env = "AUTH_ISSUER", default_value = "", hide = true)]
    auth_issuer: String,
}

impl WebArgs {
    /// Lays these settings over a configuration.
    pub fn apply(self, config: &mut ApiConfig) {
        let Self { allowed_hosts, cors_origins, api_endpoint, auth_client_id, auth_tenant, auth_issuer } = self;
        config.allowed_hosts = allowed_hosts.into_iter().filter(|host| !host.is_empty()).collect();
        config.cors_origins = cors_origins.into_iter().filter(|origin| !origin.is_empty()).collect();
        if !api_endpoint.is_empty() {
            config.api_endpoint = api_endpoint;
        }
        config.auth = AuthSettings { client_id: auth_client_id, tenant: auth_tenant, issuer: auth_issuer };
    }
}

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    release: ReleaseArgs,
    #[command(flatten)]
    admin: AdminArgs,
    #[command(flatten)]
    web: WebArgs,
    /// Address to listen on
    #[arg(long, env = "NANOMON_LISTEN", default_value = "0.0.0.0")]
    listen: IpAddr,
    /// Port of API and dashboard
    #[arg(long, env = "PORT", default_value_t = 8000)]
    port: u16,
    /// Let everybody write who reaches the port, as the predecessor did
    #[arg(long, env = "ALLOW_ANONYMOUS_WRITES")]
    allow_anonymous_writes: bool,
}

/// Serves until a signal.
pub async fn run(args: Args) -> Result<()> {
    let settings = args.database.required()?.with_pool(CONNECTIONS - 1, "nanomon-api");
    let admin_listener = args.admin.bind().await?;
    let listener = cluster::bind(args.listen, args.port, "PORT").await?;
    let signal = shutdown::on_signal()?;
    let store = Store::new(&settings)?;
    let client = cluster::client().await?;
    let mut config = ApiConfig::standalone();
    args.web.apply(&mut config);
    config.check()?;

    let readiness = cluster::nothing_asked_yet();
    let mut parts = Parts::default();
    let stop = CancellationToken::new();
    let admin = Admin { readiness: readiness.clone(), sources: vec![config.metrics.source()] };
    parts.start("admin", stop.clone(), admin.serve(admin_listener, stop));
    let Some(installation) = args.release.wait_for_installation(&client, &readiness, &signal).await else {
        parts.stop(Duration::from_secs(15)).await;
        return Ok(());
    };
    config.installation = installation;
    config.mode = Mode::Cluster(ClusterConfig {
        client,
        default_namespace: args.release.release_namespace,
        allow_anonymous_writes: args.allow_anonymous_writes,
    });
    let listening = CancellationToken::new();
    config.wakeups = Some(notify::listen(&settings, listening.clone()));
    let stop = CancellationToken::new();
    let api = nanomon_dashboard_api::serve(config, store.clone(), vec![listener], stop.clone());
    parts.start("api", stop, api);
    // It answers 503 with a sentence until the schema is there; readiness keeps traffic away meanwhile.
    let outcome = if wait_for_schema(&store, &readiness, &signal).await {
        tokio::select! {
            () = signal.cancelled() => Ok(()),
            // Kubernetes starts the pod anew.
            part = parts.any_ended() => Err(anyhow::anyhow!("{part} ended")),
        }
    } else {
        Ok(())
    };
    readiness.wait("api", "stopping");
    parts.stop(Duration::from_secs(15)).await;
    listening.cancel();
    store.close();
    outcome
}
