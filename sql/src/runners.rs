//! Membership: `runners`, each row written by its own runner (heartbeat) and read by the dealer.

use jiff::Timestamp;

use crate::error::Result;
use crate::{PoolId, Revision, RunnerId, Slot, Store};

/// What a runner reports every 2 s, in the one statement that is heartbeat, clock measurement and poll at once.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    /// The runner.
    pub runner_id: RunnerId,
    /// Oldest slot not stored yet, if there is a backlog.
    pub backlog_from: Option<Slot>,
    /// Runs per second over the last interval.
    pub rate: f32,
    /// Worst start lag in milliseconds over the last interval.
    pub lag_ms: i32,
    /// Measured offset to PostgreSQL's clock in milliseconds.
    pub offset_ms: i32,
    /// Leaving: deal its shards to others.
    pub draining: bool,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartbeatAnswer {
    /// PostgreSQL's clock, Unix microseconds.
    pub now_us: i64,
    /// Epoch of the shard map; changed: read the map.
    pub map_epoch: i64,
    /// Revision of definitions; changed: read the changes.
    pub catalog_rev: Revision,
    /// Probe requests that wait in this runner's pool.
    pub requests_waiting: bool,
    /// False: the row is gone (declared dead and removed); register again.
    pub known: bool,
}

/// A row of `runners`.
#[derive(Debug, Clone)]
pub struct RunnerRow {
    /// Its id.
    pub id: RunnerId,
    /// Pod UID or process identity.
    pub identity: String,
    /// Name shown to people (pod or host name).
    pub name: String,
    /// Its pool.
    pub pool_id: PoolId,
    /// Last heartbeat.
    pub last_seen: Timestamp,
    /// Seconds since the last heartbeat, by PostgreSQL's clock.
    pub silent_s: f64,
    /// See [`Heartbeat`].
    pub backlog_from: Option<Slot>,
    /// See [`Heartbeat`].
    pub rate: f32,
    /// See [`Heartbeat`].
    pub lag_ms: i32,
    /// See [`Heartbeat`].
    pub offset_ms: i32,
    /// See [`Heartbeat`].
    pub draining: bool,
    /// Its version.
    pub version: String,
}

impl Store {
    /// Makes or finds the row of this identity and answers its id.
    pub async fn runner_register(
        &self,
        _identity: &str,
        _name: &str,
        _pool_id: PoolId,
        _version: &str,
    ) -> Result<RunnerId> {
        todo!()
    }

    /// One statement (`synchronous_commit` off).
    pub async fn runner_heartbeat(&self, _beat: &Heartbeat) -> Result<HeartbeatAnswer> {
        todo!()
    }

    /// The runner has left: its row no longer counts as a member (it stays for names in results).
    pub async fn runner_leave(&self, _id: RunnerId) -> Result<()> {
        todo!()
    }

    /// Members (rows that have not left), all pools.
    pub async fn runner_list(&self) -> Result<Vec<RunnerRow>> {
        todo!()
    }
}
