//! Membership: `runners`, each row written by its own runner (heartbeat) and read by the dealer.

use std::time::Duration;

use jiff::Timestamp;
use tokio_postgres::types::ToSql;

use crate::error::Result;
use crate::{PoolId, Revision, RunnerId, Slot, Store};

/// What a runner reports every 2 s, in the one statement that is heartbeat, clock measurement and poll at once.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    /// The runner.
    pub runner_id: RunnerId,
    /// As it registered: an id may have been given to another runner since.
    pub identity: String,
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
    /// False: the row is gone (declared dead and removed) or another runner's by now; register again.
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

const REGISTER: &str = "update runners set name = $2, pool_id = $3, version = $4, last_seen = clock_timestamp(), \
    draining = false, backlog_from = null, left_at = null where identity = $1 returning id";

// The row of a runner that left before the oldest kept result: no result names it any more.
const REUSE: &str = "update runners set identity = $1, name = $2, pool_id = $3, version = $4, \
      last_seen = clock_timestamp(), draining = false, backlog_from = null, left_at = null, rate = 0, lag_ms = 0, \
      offset_ms = 0 \
    where id = (select id from runners where left_at < to_timestamp((select from_slot from kept where name = 'results')) \
      - interval '1 hour' order by left_at limit 1 for update skip locked) returning id";

const INSERT: &str = "insert into runners (id, identity, name, pool_id, version) \
    values (nextval('runner_ids')::int2, $1, $2, $3, $4) on conflict (identity) do update set name = excluded.name, \
    pool_id = excluded.pool_id, version = excluded.version, last_seen = clock_timestamp(), draining = false, \
    backlog_from = null, left_at = null returning id";

// synchronous_commit for this one statement: losing a heartbeat to a crash costs nothing, its fsync would.
const HEARTBEAT: &str = "with beat as ( \
      update runners set last_seen = clock_timestamp(), backlog_from = $2, rate = $3, lag_ms = $4, offset_ms = $5, \
        draining = $6 \
      where id = $1 and identity = $7 and left_at is null and set_config('synchronous_commit', 'off', true) is not null \
      returning pool_id) \
    select (extract(epoch from clock_timestamp()) * 1000000)::int8, h.map_epoch, h.catalog_rev, \
      exists (select from probe_requests q where q.state = 0 and q.pool_id = (select pool_id from beat) \
        and q.expires_at > clock_timestamp()), \
      exists (select from beat) \
    from heads h";

const LIST: &str = "select id, identity, name, pool_id, last_seen, \
      extract(epoch from clock_timestamp() - last_seen)::float8, backlog_from, rate, lag_ms, offset_ms, draining, version \
    from runners where left_at is null order by id";

impl Store {
    /// Makes or finds the row of this identity and answers its id. An id is taken over from a runner that left only when
    /// raw retention has removed all its results.
    pub async fn runner_register(
        &self,
        identity: &str,
        name: &str,
        pool_id: PoolId,
        version: &str,
    ) -> Result<RunnerId> {
        let session = self.session("runner_register").await?;
        for sql in [REGISTER, REUSE] {
            if let Some(row) = session.query_opt(sql, &[&identity, &name, &pool_id, &version]).await? {
                return Ok(row.get(0));
            }
        }
        Ok(session.query_one(INSERT, &[&identity, &name, &pool_id, &version]).await?.get(0))
    }

    /// One statement (`synchronous_commit` off).
    pub async fn runner_heartbeat(&self, beat: &Heartbeat) -> Result<HeartbeatAnswer> {
        let Heartbeat { runner_id, identity, backlog_from, rate, lag_ms, offset_ms, draining } = beat;
        let session = self.session("runner_heartbeat").await?;
        let params: [&(dyn ToSql + Sync); 7] = [runner_id, backlog_from, rate, lag_ms, offset_ms, draining, identity];
        let row = session.query_one(HEARTBEAT, &params).await?;
        Ok(HeartbeatAnswer {
            now_us: row.get(0),
            map_epoch: row.get(1),
            catalog_rev: row.get(2),
            requests_waiting: row.get(3),
            known: row.get(4),
        })
    }

    /// The runner has left: its row no longer counts as a member (it stays for names in results).
    pub async fn runner_leave(&self, id: RunnerId) -> Result<()> {
        let session = self.session("runner_leave").await?;
        let sql = "update runners set left_at = clock_timestamp() where id = $1 and left_at is null";
        session.execute(sql, &[&id]).await?;
        Ok(())
    }

    /// The runner is dead: as [`Self::runner_leave`], unless it was heard within this time after all. Answers whether it has
    /// been removed.
    pub async fn runner_bury(&self, id: RunnerId, silent_for: Duration) -> Result<bool> {
        let session = self.session("runner_bury").await?;
        let sql = "update runners set left_at = clock_timestamp() where id = $1 and left_at is null \
            and last_seen <= clock_timestamp() - $2::float8 * interval '1 second'";
        Ok(session.execute(sql, &[&id, &silent_for.as_secs_f64()]).await? > 0)
    }

    /// Members (rows that have not left), all pools.
    pub async fn runner_list(&self) -> Result<Vec<RunnerRow>> {
        let session = self.session("runner_list").await?;
        let rows = session.query(LIST, &[]).await?;
        Ok(rows
            .iter()
            .map(|row| RunnerRow {
                id: row.get(0),
                identity: row.get(1),
                name: row.get(2),
                pool_id: row.get(3),
                last_seen: row.get(4),
                silent_s: row.get(5),
                backlog_from: row.get(6),
                rate: row.get(7),
                lag_ms: row.get(8),
                offset_ms: row.get(9),
                draining: row.get(10),
                version: row.get(11),
            })
            .collect())
    }
}
