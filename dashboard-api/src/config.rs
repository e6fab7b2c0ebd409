//! What the API is told at start; read once, passed down.

use nanomon_sql::notify::Wakeup;
use tokio::sync::broadcast;

use crate::metrics::ApiMetrics;

/// Everything the API must know. Made by the executable from flags and environment.
#[derive(Clone)]
pub struct ApiConfig {
    /// Where writes go, and what is allowed by default.
    pub mode: Mode,
    /// Which rows are ours: `standalone`, or in a cluster the UID of `kube-system` and the release.
    pub installation: String,
    /// Names that the `Host` header may carry besides IP literals and `localhost` (`ALLOWED_HOSTS`); a leading dot allows
    /// all names below.
    pub allowed_hosts: Vec<String>,
    /// Origins (`https://host[:port]`) of other sites whose pages may call the API (`CORS_ORIGINS`).
    pub cors_origins: Vec<String>,
    /// Sign-in settings.
    pub auth: AuthSettings,
    /// `API_ENDPOINT` for the dashboard.
    pub api_endpoint: String,
    /// The program's version.
    pub version: String,
    /// Commit and date of the build, or empty.
    pub build_info: String,
    /// The process's listener for PostgreSQL's notifications; without one the board is read more often.
    pub wakeups: Option<broadcast::Sender<Wakeup>>,
    /// Counters; keep a clone of them for the admin port.
    pub metrics: ApiMetrics,
}

/// See [`ApiConfig::mode`].
#[derive(Clone)]
pub enum Mode {
    /// One process on one machine: writes go to the database.
    Standalone,
    /// Writes go to the Kubernetes API.
    Cluster(ClusterConfig),
}

/// What the API needs in a cluster.
#[derive(Clone)]
pub struct ClusterConfig {
    /// Speaks to the API server with the pod's service account.
    pub client: kube::Client,
    /// Where monitors go when a request names no namespace (the release's).
    pub default_namespace: String,
    /// `api.allowAnonymousWrites`: writes without sign-in, as the reference has it.
    pub allow_anonymous_writes: bool,
}

/// Sign-in settings as the environment gives them.
#[derive(Clone, Debug, Default)]
pub struct AuthSettings {
    /// `AUTH_CLIENT_ID`; empty: off.
    pub client_id: String,
    /// `AUTH_TENANT`; the reference's default is `common`.
    pub tenant: String,
    /// `AUTH_ISSUER`; empty: off.
    pub issuer: String,
}

impl ApiConfig {
    /// The defaults of standalone.
    pub fn standalone() -> Self {
        Self {
            mode: Mode::Standalone,
            installation: "standalone".to_owned(),
            allowed_hosts: Vec::new(),
            cors_origins: Vec::new(),
            auth: AuthSettings { tenant: "common".to_owned(), ..AuthSettings::default() },
            api_endpoint: "/api".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            build_info: String::new(),
            wakeups: None,
            metrics: ApiMetrics::default(),
        }
    }

    /// `standalone` or `cluster`.
    pub fn mode_word(&self) -> &'static str {
        match self.mode {
            Mode::Standalone => "standalone",
            Mode::Cluster(_) => "cluster",
        }
    }

    /// The namespace of a request that names none.
    pub fn default_namespace(&self) -> &str {
        match &self.mode {
            Mode::Standalone => "default",
            Mode::Cluster(cluster) => &cluster.default_namespace,
        }
    }

    /// Why nobody may write, as a sentence that names the setting; `None`: writes are allowed.
    pub fn write_blocked_reason(&self) -> Option<&'static str> {
        match &self.mode {
            Mode::Cluster(cluster) if !cluster.allow_anonymous_writes => Some(
                "writing through the API is off, because no sign-in is configured; set api.allowAnonymousWrites to true \
                 to let everybody write who reaches this address",
            ),
            Mode::Cluster(_) | Mode::Standalone => None,
        }
    }
}

/// Why the API refuses to start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

impl ApiConfig {
    /// Refuses settings that would be ignored silently.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (name, value) in [("AUTH_CLIENT_ID", &self.auth.client_id), ("AUTH_ISSUER", &self.auth.issuer)] {
            if !value.is_empty() {
                return Err(ConfigError(format!(
                    "{name} is set, but this version cannot verify access tokens yet; unset it, or everybody could write \
                     although sign-in was asked for"
                )));
            }
        }
        let elsewhere = url::Url::parse(&self.api_endpoint);
        if !self.api_endpoint.starts_with('/') && !elsewhere.is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
            return Err(ConfigError(format!(
                "API_ENDPOINT is {:?}, which is neither a path such as /api nor an http or https URL",
                self.api_endpoint
            )));
        }
        for origin in &self.cors_origins {
            let valid = url::Url::parse(origin).is_ok_and(|url| {
                matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == *origin
            });
            if !valid {
                return Err(ConfigError(format!(
                    "CORS_ORIGINS holds {origin:?}, which is no origin of the form https://host[:port]"
                )));
            }
        }
        for host in &self.allowed_hosts {
            let name = host.strip_prefix('.').unwrap_or(host);
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')) {
                return Err(ConfigError(format!("ALLOWED_HOSTS holds {host:?}, which is no host name")));
            }
        }
        Ok(())
    }
}
