//! Arguments that several subcommands share.

use anyhow::{Context, Result};
use nanomon_sql::Settings;

/// How to reach PostgreSQL.
#[derive(Clone, Debug, clap::Args)]
pub struct DatabaseArgs {
    /// PostgreSQL connection string, `key=value` pairs or a postgres:// URL
    #[arg(long = "database-url", env = "POSTGRES_DSN", hide_env_values = true)]
    pub dsn: Option<String>,
    /// Password; wins over one in the connection string
    #[arg(long = "database-password", env = "POSTGRES_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,
}

impl DatabaseArgs {
    /// The settings, if a connection string was given.
    pub fn settings(&self) -> Result<Option<Settings>> {
        let Some(dsn) = self.dsn.as_deref().filter(|dsn| !dsn.trim().is_empty()) else { return Ok(None) };
        Settings::parse(dsn, self.password.as_deref().filter(|p| !p.is_empty()))
            .context("POSTGRES_DSN (--database-url)")
            .map(Some)
    }

    /// The settings, or a sentence that they are needed.
    pub fn required(&self) -> Result<Settings> {
        self.settings()?.context("POSTGRES_DSN (--database-url) is not set")
    }
}
