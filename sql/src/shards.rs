//! The shard map: `shards`, a row per (pool, bucket). `owner` and `next` are written by the dealer under its epoch, `cut_at`
//! by the runner named in `next`.

use crate::error::Result;
use crate::{PoolId, RunnerId, Store};

/// A row of `shards`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardRow {
    /// Pool.
    pub pool_id: PoolId,
    /// Bucket, 0 to 1,023.
    pub bucket: i16,
    /// Who runs it (slots < `cut_at` if a cut is set).
    pub owner: Option<RunnerId>,
    /// Who takes it over: loads definitions, then sets the cut.
    pub next: Option<RunnerId>,
    /// Unix milliseconds: `next` runs slots at or after this, `owner` those before.
    pub cut_at_ms: Option<i64>,
}

/// A decision of the dealer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardMove {
    /// Bucket.
    pub bucket: i16,
    /// The new owner-to-be.
    pub to: RunnerId,
    /// The owner is dead or absent: the new one owns it at once (cut = now).
    pub at_once: bool,
}

impl Store {
    /// The whole map of a pool, made if absent (1,024 rows), with the map's epoch.
    pub async fn shard_list(&self, _pool_id: PoolId) -> Result<(i64, Vec<ShardRow>)> {
        todo!()
    }

    /// Rows in which this runner is owner or next, with the map's epoch.
    pub async fn shard_list_of(&self, _runner: RunnerId) -> Result<(i64, Vec<ShardRow>)> {
        todo!()
    }

    /// Probe rate (runs per second) per bucket of a pool, from living, unsuspended monitors.
    pub async fn shard_rates(&self, _pool_id: PoolId) -> Result<Vec<(i16, f64)>> {
        todo!()
    }

    /// Writes moves under the dealer's lease epoch; finishes hand-overs whose cut has passed; takes the next map epoch; notifies.
    /// `Fenced` if the lease `dealer` is no longer held under this epoch.
    pub async fn shard_move_batch(&self, _lease_epoch: i64, _pool_id: PoolId, _moves: &[ShardMove]) -> Result<i64> {
        todo!()
    }

    /// The new runner is ready (definitions loaded): sets `cut_at` = PostgreSQL's now + 3 s on rows where it is `next` and no cut
    /// is set; answers (bucket, cut in Unix ms). Takes the next map epoch and notifies.
    pub async fn shard_cut_batch(&self, _runner: RunnerId, _buckets: &[i16]) -> Result<Vec<(i16, i64)>> {
        todo!()
    }

    /// Rows whose cut has passed: `next` becomes `owner`. Called by the dealer's round; fenced like moves.
    pub async fn shard_settle(&self, _lease_epoch: i64) -> Result<u64> {
        todo!()
    }
}
