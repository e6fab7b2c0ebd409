//! Embedded migrations under a transaction-scoped advisory lock.
//!
//! Migrations expand first and contract a release later, so that two versions of the program run side by side: this
//! version works with its own schema and with the next one.

use std::time::Duration;

use crate::Store;
use crate::error::{Result, StoreError};

/// What [`Store::migrate`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// Schema version before (0: empty).
    pub from: i32,
    /// Schema version now.
    pub to: i32,
}

/// The migrations in order; version n is the n-th.
const MIGRATIONS: &[(&str, &str)] = &[("schema", include_str!("../migrations/0001_schema.sql"))];

/// The schema version that this program brings.
pub const VERSION: i32 = MIGRATIONS.len() as i32;

/// A migration that must wait for a lock gives way after 2 s and tries again this many times.
const TRIES: u32 = 60;

const LOCK: &str = "begin; set local lock_timeout = '2s'; set local statement_timeout = 0; \
    set local idle_in_transaction_session_timeout = '60s'; select pg_advisory_xact_lock(7307493, 0); \
    create table if not exists schema_versions (version int4 primary key, name text not null, \
    applied_at timestamptz not null default now())";

impl Store {
    /// Brings the schema to this version. Safe to call by several processes at once. Refuses a schema newer than the
    /// next version with [`crate::StoreError::Schema`].
    pub async fn migrate(&self) -> Result<Migrated> {
        let mut tries = 0;
        loop {
            match self.migrate_once().await {
                Err(StoreError::Retry(error)) if tries < TRIES => {
                    tries += 1;
                    tracing::info!(%error, tries, "a migration waits for a lock");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                result => return result,
            }
        }
    }

    async fn migrate_once(&self) -> Result<Migrated> {
        let session = self.session("migrate").await?;
        // Without a lock first: most starts find nothing to do.
        if let Some(from) = version(&session).await?.filter(|&from| from >= VERSION) {
            check(from)?;
            return Ok(Migrated { from, to: from });
        }
        session.mark_transaction(true);
        session.batch(LOCK).await?;
        let from = version(&session).await?.unwrap_or(0);
        check_not_newer(from)?;
        for (index, (name, sql)) in MIGRATIONS.iter().enumerate().skip(from as usize) {
            session.batch(sql).await?;
            let version = index as i32 + 1;
            session.execute("insert into schema_versions (version, name) values ($1, $2)", &[&version, name]).await?;
        }
        session.commit().await?;
        Ok(Migrated { from, to: from.max(VERSION) })
    }

    /// Fails with [`crate::StoreError::Schema`] (a sentence) unless the schema is one that this version works with.
    pub async fn schema_check(&self) -> Result<()> {
        let session = self.session("schema_check").await?;
        check(version(&session).await?.unwrap_or(0))
    }
}

/// The stored version; `None` without the table of versions.
async fn version(session: &crate::session::Session) -> Result<Option<i32>> {
    let exists = session.query_one("select to_regclass('schema_versions') is not null", &[]).await?;
    if !exists.get::<_, bool>(0) {
        return Ok(None);
    }
    let row = session.query_one("select coalesce(max(version), 0) from schema_versions", &[]).await?;
    Ok(Some(row.get(0)))
}

fn check_not_newer(version: i32) -> Result<()> {
    if version > VERSION + 1 {
        return Err(StoreError::Schema(format!(
            "the database has schema version {version}, this program works with {VERSION} and {}: use a newer program",
            VERSION + 1
        )));
    }
    Ok(())
}

fn check(version: i32) -> Result<()> {
    if version < VERSION {
        return Err(StoreError::Schema(format!(
            "the database has schema version {version}, this program needs {VERSION}: run `nanomon migrate`"
        )));
    }
    check_not_newer(version)
}
