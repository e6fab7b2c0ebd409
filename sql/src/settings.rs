//! Connection settings: what a DSN, the environment and libpq's rules mean.
//!
//! libpq's own environment variables (`PGHOST`, …) and files (`~/.pgpass`, services) are not read: a pod's settings stand
//! in one place.

use std::path::Path;
use std::time::Duration;

use tokio_postgres::config::{ChannelBinding, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::dsn::dsn_pairs;
use crate::tls::{Check, Files, client_config};

/// Where and how to connect. Made by [`Settings::parse`]. `Debug` does not show the password.
#[derive(Clone)]
pub struct Settings {
    pub(crate) config: tokio_postgres::Config,
    pub(crate) tls: MakeRustlsConnect,
    pub(crate) max_connections: usize,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { config, tls: _, max_connections } = self;
        f.debug_struct("Settings").field("config", config).field("max_connections", max_connections).finish()
    }
}

/// Why a DSN is refused; names the parameter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(pub String);

/// A dead peer is noticed after this much silence (TCP only).
const KEEPALIVE: Duration = Duration::from_secs(5);
/// Data that nobody acknowledges for this long ends the connection (TCP only).
const USER_TIMEOUT: Duration = Duration::from_secs(10);
/// For each address that is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

const UNDERSTOOD: &str = "host, hostaddr, port, user, password, dbname, sslmode, sslrootcert, sslcert, sslkey, \
    channel_binding, target_session_attrs, connect_timeout, keepalives, keepalives_idle, keepalives_interval, \
    keepalives_count, tcp_user_timeout, application_name, options";

impl Settings {
    /// Reads a DSN as `key=value` pairs (libpq quoting) or as a `postgres://` URL; `password` (from `POSTGRES_PASSWORD`)
    /// wins over the one inside. Understands host (also a socket folder), port, user, dbname, password, sslmode, sslrootcert,
    /// sslcert, sslkey, `target_session_attrs`, `connect_timeout`, `application_name`, options, and libpq's keepalive
    /// parameters. Certificate files are read here, once.
    ///
    /// Errors: a sentence that names the parameter, never its value if that could be a secret.
    pub fn parse(dsn: &str, password: Option<&str>) -> Result<Self, SettingsError> {
        let mut draft = Draft::new();
        for (key, value) in dsn_pairs(dsn)? {
            draft.set(&key, &value)?;
        }
        if let Some(password) = password.filter(|password| !password.is_empty()) {
            draft.config.password(password);
        }
        draft.finish()
    }

    /// The same with this many connections at most in the pool, and this application name.
    #[must_use]
    pub fn with_pool(mut self, max_connections: usize, application_name: &str) -> Self {
        self.max_connections = max_connections.max(1);
        self.config.application_name(application_name);
        self
    }

    /// The database's name, if the DSN gives one.
    pub fn database(&self) -> Option<&str> {
        self.config.get_dbname()
    }
}

struct Draft {
    config: tokio_postgres::Config,
    ssl_mode: String,
    files: Files,
    hosts: Vec<String>,
    hostaddrs: bool,
}

impl Draft {
    fn new() -> Self {
        let mut config = tokio_postgres::Config::new();
        config
            .application_name("nanomon")
            .connect_timeout(CONNECT_TIMEOUT)
            .keepalives(true)
            .keepalives_idle(KEEPALIVE)
            .keepalives_interval(KEEPALIVE)
            .keepalives_retries(3)
            .tcp_user_timeout(USER_TIMEOUT)
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
        Self { config, ssl_mode: "prefer".to_owned(), files: Files::default(), hosts: Vec::new(), hostaddrs: false }
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), SettingsError> {
        let file = || Some(value.to_owned()).filter(|value| !value.is_empty());
        match key {
            "host" => self.hosts = list(value),
            "hostaddr" => {
                for address in list(value) {
                    let address = address
                        .parse()
                        .map_err(|_| SettingsError(format!("hostaddr must be IP addresses, not \"{address}\"")))?;
                    self.config.hostaddr(address);
                    self.hostaddrs = true;
                }
            }
            "port" => {
                for port in value.split(',') {
                    let port = match port.trim() {
                        "" => 5432,
                        port => port.parse().ok().filter(|&port| port > 0).ok_or_else(|| {
                            SettingsError(format!("port must be a number from 1 to 65535, not \"{port}\""))
                        })?,
                    };
                    self.config.port(port);
                }
            }
            "user" => {
                self.config.user(value);
            }
            "password" => {
                self.config.password(value);
            }
            "dbname" => {
                self.config.dbname(value);
            }
            "application_name" => {
                self.config.application_name(value);
            }
            "options" => {
                self.config.options(value);
            }
            "sslmode" => value.clone_into(&mut self.ssl_mode),
            "sslrootcert" => self.files.root = file(),
            "sslcert" => self.files.cert = file(),
            "sslkey" => self.files.key = file(),
            "channel_binding" => {
                let wanted = match value {
                    "disable" => ChannelBinding::Disable,
                    "prefer" => ChannelBinding::Prefer,
                    "require" => ChannelBinding::Require,
                    _ => return Err(one_of(key, value, "disable, prefer or require")),
                };
                self.config.channel_binding(wanted);
            }
            "target_session_attrs" => {
                let wanted = match value {
                    "read-write" | "primary" => TargetSessionAttrs::ReadWrite,
                    "any" => TargetSessionAttrs::Any,
                    _ => return Err(one_of(key, value, "read-write, primary or any (NanoMon writes)")),
                };
                self.config.target_session_attrs(wanted);
            }
            "connect_timeout" => {
                let wanted = seconds(key, value)?;
                self.config.connect_timeout(if wanted.is_zero() { CONNECT_TIMEOUT } else { wanted });
            }
            "keepalives" => match value {
                "0" => {
                    self.config.keepalives(false);
                }
                "1" => {
                    self.config.keepalives(true);
                }
                _ => return Err(one_of(key, value, "0 or 1")),
            },
            "keepalives_idle" => {
                self.config.keepalives_idle(seconds(key, value)?);
            }
            "keepalives_interval" => {
                self.config.keepalives_interval(seconds(key, value)?);
            }
            "keepalives_count" => {
                self.config.keepalives_retries(number(key, value)?);
            }
            // libpq: milliseconds, unlike the others.
            "tcp_user_timeout" => {
                self.config.tcp_user_timeout(Duration::from_millis(number(key, value)?.into()));
            }
            _ => {
                return Err(SettingsError(format!(
                    "the DSN has the unknown parameter \"{key}\"; understood are {UNDERSTOOD}"
                )));
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Settings, SettingsError> {
        let has_root = self.files.root.is_some();
        let (mode, check) = match self.ssl_mode.as_str() {
            "disable" => (SslMode::Disable, Check::Nothing),
            "prefer" => (SslMode::Prefer, Check::Nothing),
            // libpq: with a root certificate, require is verify-ca.
            "require" => (SslMode::Require, if has_root { Check::Chain } else { Check::Nothing }),
            "verify-ca" => (SslMode::Require, Check::Chain),
            "verify-full" => (SslMode::Require, Check::ChainAndName),
            other => {
                return Err(one_of("sslmode", other, "disable, prefer, require, verify-ca or verify-full"));
            }
        };
        if self.hosts.is_empty() && !self.hostaddrs {
            let sockets = Path::new("/var/run/postgresql");
            self.hosts.push(if sockets.is_dir() { sockets.display().to_string() } else { "localhost".to_owned() });
        }
        // libpq: sslmode is ignored for Unix sockets.
        let only_sockets = !self.hosts.is_empty() && self.hosts.iter().all(|host| host.starts_with(['/', '@']));
        self.config.ssl_mode(if only_sockets { SslMode::Disable } else { mode });
        for host in &self.hosts {
            self.config.host(host);
        }
        let tls = MakeRustlsConnect::new(client_config(check, &self.files)?);
        Ok(Settings { config: self.config, tls, max_connections: 4 })
    }
}

fn list(value: &str) -> Vec<String> {
    value.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn one_of(key: &str, value: &str, words: &str) -> SettingsError {
    SettingsError(format!("{key} must be {words}, not \"{value}\""))
}

fn number(key: &str, value: &str) -> Result<u32, SettingsError> {
    value.parse().map_err(|_| SettingsError(format!("{key} must be a whole number, not \"{value}\"")))
}

fn seconds(key: &str, value: &str) -> Result<Duration, SettingsError> {
    Ok(Duration::from_secs(number(key, value)?.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_postgres::config::Host;

    fn refused(dsn: &str) -> String {
        Settings::parse(dsn, None).unwrap_err().0
    }

    #[test]
    fn a_full_dsn_is_understood_and_the_environment_s_password_wins() {
        let settings = Settings::parse(
            "host=db1,db2 port=5433 user=u password=inside dbname=d sslmode=require connect_timeout=3 \
             target_session_attrs=read-write application_name=x options='-c geqo=off'",
            Some("outside"),
        )
        .unwrap()
        .with_pool(0, "nanomon-test");
        assert_eq!(settings.config.get_password(), Some(&b"outside"[..]));
        assert_eq!(settings.config.get_hosts(), [Host::Tcp("db1".into()), Host::Tcp("db2".into())]);
        assert_eq!(settings.config.get_ports(), [5433]);
        assert_eq!(settings.config.get_ssl_mode(), SslMode::Require);
        assert_eq!(settings.config.get_application_name(), Some("nanomon-test"));
        assert_eq!(settings.max_connections, 1);
        assert!(!format!("{settings:?}").contains("outside"));
        assert_eq!(
            Settings::parse("password=inside host=a", Some("")).unwrap().config.get_password(),
            Some(&b"inside"[..])
        );
    }

    #[test]
    fn sockets_need_no_tls() {
        for dsn in ["host=/run/pg sslmode=verify-full sslrootcert=system", "postgres://%2Frun%2Fpg/d"] {
            assert_eq!(Settings::parse(dsn, None).unwrap().config.get_ssl_mode(), SslMode::Disable);
        }
    }

    #[test]
    fn refusals_name_the_parameter() {
        for (dsn, named) in [
            ("host=a sslmode=allow", "sslmode must be"),
            ("host=a service=b", "unknown parameter \"service\""),
            ("host=a port=0", "port must be"),
            ("host=a port=x", "port must be"),
            ("host=a target_session_attrs=standby", "target_session_attrs must be"),
            ("host=a sslcert=/nowhere/c", "sslcert needs sslkey"),
            ("host=a sslmode=verify-full sslrootcert=/nowhere/r", "sslrootcert \"/nowhere/r\""),
            ("host=a sslcert=/nowhere/c sslkey=/nowhere/k", "sslcert \"/nowhere/c\""),
            ("hostaddr=db", "hostaddr must be"),
            ("connect_timeout=soon", "connect_timeout must be"),
        ] {
            assert!(refused(dsn).contains(named), "{dsn}: {}", refused(dsn));
        }
        assert!(!refused("postgres://u:s3cret@h/%zz").contains("s3cret"));
        assert!(!refused("s3cret").contains("s3cret"));
    }
}
