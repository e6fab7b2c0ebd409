//! The shard map: `shards`, a row per (pool, bucket). `owner` and `next` are written by the dealer under its epoch, `cut_at`
//! by the runner named in `next`.

use tokio_postgres::Row;

use crate::error::{Result, StoreError};
use crate::notify::Channel;
use crate::session::Session;
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

/// How far ahead a cut is set: longer than an owner may take to notice it.
const CUT_AHEAD: &str = "interval '3 seconds'";

const MAKE: &str = "insert into shards (pool_id, bucket) select $1, generate_series(0, 1023)::int2 \
    where (select count(*) from shards where pool_id = $1) < 1024 on conflict do nothing";

const COLUMNS: &str = "(extract(epoch from s.cut_at) * 1000)::int8";

const RATES: &str = "select m.bucket, sum(1000.0 / m.interval_ms)::float8 from monitors m \
    join series s on s.monitor_id = m.id and s.pool_id = $1 and s.retired_at is null \
    where m.tombstoned_at is null and not m.suspended group by m.bucket order by m.bucket";

// A taker of the lease waits for this lock, so that nobody else deals until the commit.
const FENCE: &str = "select 1 from leases where name = 'dealer' and epoch = $1 and holder is not null \
    and until > clock_timestamp() for share";

const EPOCH: &str = "update heads set map_epoch = map_epoch + 1 returning map_epoch";

// A cut that is set stands: the owner may have seen it. Only the death of a party undoes it (at_once).
const MOVE: &str = "update shards s set \
      owner = case when w.at_once or s.owner is null then w.runner else s.owner end, \
      next = case when w.at_once or s.owner is null or s.owner = w.runner then null else w.runner end, \
      cut_at = null, epoch = $2 \
    from (select unnest($3::int2[]) as bucket, unnest($4::int2[]) as runner, unnest($5::bool[]) as at_once) w \
    where s.pool_id = $1 and s.bucket = w.bucket and (w.at_once or s.cut_at is null) \
      and (s.owner, s.next) is distinct from ( \
        case when w.at_once or s.owner is null then w.runner else s.owner end, \
        case when w.at_once or s.owner is null or s.owner = w.runner then null else w.runner end)";

const SETTLE: &str = "update shards set owner = next, next = null, cut_at = null, epoch = $1 \
    where next is not null and cut_at <= clock_timestamp()";

impl Store {
    /// The whole map of a pool, made if absent (1,024 rows), with the map's epoch.
    pub async fn shard_list(&self, pool_id: PoolId) -> Result<(i64, Vec<ShardRow>)> {
        let session = self.session("shard_list").await?;
        let read = format!(
            "select h.map_epoch, s.pool_id, s.bucket, s.owner, s.next, {COLUMNS} \
             from heads h left join shards s on s.pool_id = $1 order by s.bucket"
        );
        let (epoch, rows) = shard_rows(&session.query(&read, &[&pool_id]).await?);
        if rows.len() == usize::from(nanomon_core::slot::BUCKETS) {
            return Ok((epoch, rows));
        }
        session.execute(MAKE, &[&pool_id]).await?;
        Ok(shard_rows(&session.query(&read, &[&pool_id]).await?))
    }

    /// Rows in which this runner is owner or next, with the map's epoch.
    pub async fn shard_list_of(&self, runner: RunnerId) -> Result<(i64, Vec<ShardRow>)> {
        let session = self.session("shard_list_of").await?;
        let sql = format!(
            "select h.map_epoch, s.pool_id, s.bucket, s.owner, s.next, {COLUMNS} \
             from heads h left join shards s on s.owner = $1 or s.next = $1 order by s.pool_id, s.bucket"
        );
        Ok(shard_rows(&session.query(&sql, &[&runner]).await?))
    }

    /// Probe rate (runs per second) per bucket of a pool, from living, unsuspended monitors.
    pub async fn shard_rates(&self, pool_id: PoolId) -> Result<Vec<(i16, f64)>> {
        let session = self.session("shard_rates").await?;
        let rows = session.query(RATES, &[&pool_id]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Writes moves under the dealer's lease epoch; finishes hand-overs whose cut has passed; takes the next map epoch; notifies.
    /// `Fenced` if the lease `dealer` is no longer held under this epoch. A hand-over whose cut is set is only changed by a
    /// move that is `at_once`. Answers the map's epoch, which stays if nothing changed.
    pub async fn shard_move_batch(&self, lease_epoch: i64, pool_id: PoolId, moves: &[ShardMove]) -> Result<i64> {
        let buckets: Vec<i16> = moves.iter().map(|m| m.bucket).collect();
        let runners: Vec<RunnerId> = moves.iter().map(|m| m.to).collect();
        let at_once: Vec<bool> = moves.iter().map(|m| m.at_once).collect();
        let session = self.session("shard_move_batch").await?;
        let epoch = fenced_epoch(&session, lease_epoch).await?;
        session.execute(MAKE, &[&pool_id]).await?;
        let mut changed = session.execute(SETTLE, &[&epoch]).await?;
        changed += session.execute(MOVE, &[&pool_id, &epoch, &buckets, &runners, &at_once]).await?;
        self.shards_end(session, changed, epoch).await
    }

    /// The new runner is ready (definitions loaded): sets `cut_at` = PostgreSQL's now + 3 s on rows where it is `next` and no cut
    /// is set; answers (bucket, cut in Unix ms). Takes the next map epoch and notifies.
    pub async fn shard_cut_batch(&self, runner: RunnerId, buckets: &[i16]) -> Result<Vec<(i16, i64)>> {
        let session = self.session("shard_cut_batch").await?;
        session.begin().await?;
        let epoch: i64 = session.query_one(EPOCH, &[]).await?.get(0);
        let sql = format!(
            "update shards s set cut_at = clock_timestamp() + {CUT_AHEAD}, epoch = $3 \
             where s.next = $1 and s.cut_at is null and s.bucket = any($2) returning s.bucket, {COLUMNS}"
        );
        let rows = session.query(&sql, &[&runner, &buckets, &epoch]).await?;
        self.shards_end(session, rows.len() as u64, epoch).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Rows whose cut has passed: `next` becomes `owner`. Called by the dealer's round; fenced like moves.
    pub async fn shard_settle(&self, lease_epoch: i64) -> Result<u64> {
        let session = self.session("shard_settle").await?;
        let due = "select exists (select from shards where next is not null and cut_at <= clock_timestamp())";
        if !session.query_one(due, &[]).await?.get::<_, bool>(0) {
            return Ok(0);
        }
        let epoch = fenced_epoch(&session, lease_epoch).await?;
        let changed = session.execute(SETTLE, &[&epoch]).await?;
        self.shards_end(session, changed, epoch).await?;
        Ok(changed)
    }

    /// Commits and wakes the runners, or takes the new epoch back if nothing changed. Answers the epoch that stands.
    async fn shards_end(&self, session: Session, changed: u64, epoch: i64) -> Result<i64> {
        if changed == 0 {
            session.rollback().await?;
            return Ok(epoch - 1);
        }
        session.commit().await?;
        drop(session);
        self.notify(Channel::Shards).await;
        Ok(epoch)
    }
}

/// Begins a transaction under the dealer's lease and takes the next map epoch, whose row lock serialises all changes.
async fn fenced_epoch(session: &Session, lease_epoch: i64) -> Result<i64> {
    session.begin().await?;
    if session.query_opt(FENCE, &[&lease_epoch]).await?.is_none() {
        session.rollback().await?;
        return Err(StoreError::Fenced);
    }
    Ok(session.query_one(EPOCH, &[]).await?.get(0))
}

/// The epoch stands in each row; without shards there is one row of nulls.
fn shard_rows(rows: &[Row]) -> (i64, Vec<ShardRow>) {
    let epoch = rows.first().map_or(0, |row| row.get(0));
    let shards = rows.iter().filter_map(|row| {
        Some(ShardRow {
            pool_id: row.get::<_, Option<PoolId>>(1)?,
            bucket: row.get(2),
            owner: row.get(3),
            next: row.get(4),
            cut_at_ms: row.get(5),
        })
    });
    (epoch, shards.collect())
}
