//! Connection settings: what a DSN, the environment and libpq's rules mean.

/// Where and how to connect. Made by [`Settings::parse`].
#[derive(Clone, Debug)]
pub struct Settings {
    _private: (),
}

/// Why a DSN is refused; names the parameter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(pub String);

impl Settings {
    /// Reads a DSN as `key=value` pairs (libpq quoting) or as a `postgres://` URL; `password` (from `POSTGRES_PASSWORD`)
    /// wins over the one inside. Understands host (also a socket folder), port, user, dbname, password, sslmode, sslrootcert,
    /// sslcert, sslkey, target_session_attrs, connect_timeout, application_name, options.
    pub fn parse(_dsn: &str, _password: Option<&str>) -> Result<Self, SettingsError> {
        todo!()
    }

    /// The same with this many connections at most in the pool, and this application name.
    #[must_use]
    pub fn with_pool(self, _max_connections: usize, _application_name: &str) -> Self {
        todo!()
    }
}
