//! What the parts that speak to Kubernetes are told.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result};
use kube::Client;
use tokio::net::TcpListener;

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
    /// Whose rows are ours; asks the API server for the UID of `kube-system`.
    pub async fn installation(&self, client: Client) -> Result<String> {
        nanomon_operator::installation::read(client, &self.release_namespace, &self.release)
            .await
            .context("reading the UID of namespace kube-system")
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

/// A client with the pod's service account, or of the current kubeconfig outside a cluster.
pub async fn client() -> Result<Client> {
    Client::try_default().await.context("finding the Kubernetes API (service account or kubeconfig)")
}

/// The machine's name; in a pod, the pod's.
pub fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "nanomon".to_owned(), |name| name.trim().to_owned())
}
