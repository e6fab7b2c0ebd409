//! Lease rows on PostgreSQL's clock, each with a fencing epoch. Written by whoever competes for them.

use std::time::Duration;

use crate::Store;
use crate::error::Result;

/// A lease that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Fences every write made under it.
    pub epoch: i64,
}

impl Store {
    /// Takes the lease if it is free, run out, or already ours (then it is renewed under the same epoch). `None`: somebody
    /// else holds it.
    pub async fn lease_take(&self, _name: &str, _holder: &str, _ttl: Duration) -> Result<Option<Lease>> {
        todo!()
    }

    /// How long ago the lease ran out; `None` while it is held; a lease never taken counts from the migration.
    pub async fn lease_idle(&self, _name: &str) -> Result<Option<Duration>> {
        todo!()
    }

    /// Gives it back if it is ours.
    pub async fn lease_release(&self, _name: &str, _holder: &str) -> Result<()> {
        todo!()
    }
}
