//! Embedded migrations under a transaction-scoped advisory lock.

use crate::Store;
use crate::error::Result;

/// What [`Store::migrate`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// Schema version before (0: empty).
    pub from: i32,
    /// Schema version now.
    pub to: i32,
}

impl Store {
    /// Brings the schema to this version. Safe to call by several processes at once. Refuses a schema newer than the
    /// next version with [`crate::StoreError::Schema`].
    pub async fn migrate(&self) -> Result<Migrated> {
        todo!()
    }

    /// Fails with [`crate::StoreError::Schema`] (a sentence) unless the schema is one that this version works with.
    pub async fn schema_check(&self) -> Result<()> {
        todo!()
    }
}
