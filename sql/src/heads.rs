//! `heads`, the one row of revisions and epochs. Written by whoever changes definitions, in the same transaction.

use crate::error::Result;
use crate::{Revision, Store};

/// The one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// Newest revision of definitions.
    pub catalog_rev: Revision,
    /// Newest epoch of the shard map.
    pub map_epoch: i64,
    /// Epoch of the current leader among operators.
    pub operator_epoch: i64,
}

impl Store {
    /// Reads the row.
    pub async fn heads_read(&self) -> Result<Heads> {
        let session = self.session("heads_read").await?;
        let row = session.query_one("select catalog_rev, map_epoch, operator_epoch from heads", &[]).await?;
        Ok(Heads { catalog_rev: row.get(0), map_epoch: row.get(1), operator_epoch: row.get(2) })
    }

    /// Takes the next operator epoch: from now on writes with an older one are refused as `Fenced`.
    pub async fn operator_epoch_take(&self) -> Result<i64> {
        let session = self.session("operator_epoch_take").await?;
        let sql = "update heads set operator_epoch = operator_epoch + 1 returning operator_epoch";
        Ok(session.query_one(sql, &[]).await?.get(0))
    }
}
