//! What the parts that speak to Kubernetes are told.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use kube::Client;
use nanomon_service::Readiness;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Between two attempts to reach the Kubernetes API at the start.
const RETRY: Duration = Duration::from_secs(2);
/// Longest of one attempt: an address that swallows packets is said to be away, too.
const ATTEMPT: Duration = Duration::from_secs(10);

/// Where this release lives.
#[derive(Clone, Debug, clap::Args)]
pub struct ReleaseArgs {
    /// Namespace of the release
    #[arg(long, env = "POD_NAMESPACE", default_value = "nanomon")]
    pub release_namespace: String,
    /// Name of the release
    #[arg(long, env = "NANOMON_RELEASE", default_value = "nanomon")]
    pub release: String,
}

impl ReleaseArgs {
    /// Whose rows are ours; asks the API server for the UID of `kube-system`. While it does not answer, or does not let us
    /// read that, the process is alive, not ready, and says why; `None` if a signal came first.
    pub async fn wait_for_installation(
        &self,
        client: &Client,
        readiness: &Readiness,
        signal: &CancellationToken,
    ) -> Option<String> {
        let mut said = String::new();
        loop {
            let read = nanomon_operator::installation::read(client.clone(), &self.release_namespace, &self.release);
            let read = tokio::select! {
                () = signal.cancelled() => return None,
                read = tokio::time::timeout(ATTEMPT, read) => read,
            };
            let fault = match read {
                Ok(Ok(installation)) => {
                    readiness.ready("kubernetes");
                    return Some(installation);
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("the Kubernetes API did not answer within {} s", ATTEMPT.as_secs()),
            };
            let sentence = format!("reading the UID of namespace kube-system: {fault}");
            if sentence != said {
                tracing::warn!("waiting for Kubernetes: {sentence}");
                said.clone_from(&sentence);
            }
            readiness.wait("kubernetes", sentence);
            tokio::select! {
                () = signal.cancelled() => return None,
                () = tokio::time::sleep(RETRY) => {}
            }
        }
    }
}

/// Address and port of `/livez`, `/readyz` and `/metrics`.
#[derive(Clone, Debug, clap::Args)]
pub struct AdminArgs {
    /// Address of the admin port
    #[arg(long, env = "NANOMON_ADMIN_LISTEN", default_value = "0.0.0.0")]
    admin_listen: IpAddr,
    /// Port of /metrics, /livez and /readyz
    #[arg(long, env = "PROMETHEUS_PORT", default_value_t = 8080)]
    prometheus_port: u16,
}

impl AdminArgs {
    /// Listens.
    pub async fn bind(&self) -> Result<TcpListener> {
        bind(self.admin_listen, self.prometheus_port, "PROMETHEUS_PORT").await
    }
}

/// Listens on a port; the error names the setting.
pub async fn bind(address: IpAddr, port: u16, setting: &str) -> Result<TcpListener> {
    TcpListener::bind(SocketAddr::new(address, port))
        .await
        .with_context(|| format!("{setting}: port {port} of {address} cannot be listened on"))
}

/// What a process that needs both says until it has asked them.
pub fn nothing_asked_yet() -> Readiness {
    let readiness = Readiness::default();
    readiness.wait("database", "it has not been asked yet");
    readiness.wait("kubernetes", "it has not been asked yet");
    readiness
}

/// A client with the pod's service account, or of the current kubeconfig outside a cluster.
pub async fn client() -> Result<Client> {
    Client::try_default().await.context("finding the Kubernetes API (service account or kubeconfig)")
}

/// The machine's name; in a pod, the pod's.
pub fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "nanomon".to_owned(), |name| name.trim().to_owned())
}
