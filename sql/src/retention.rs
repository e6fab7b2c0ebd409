//! Partitions ahead and on demand; retention by days and bytes. Driven by the holder of the lease `dealer`.

use crate::error::{Result, StoreError};
use crate::monitors::catalog_begin;
use crate::partitions::PARENTS;
use crate::session::Session;
use crate::{MonitorId, Slot, Store};

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Days of raw results (default 30).
    pub raw_days: u32,
    /// Days of 5-minute rollups (default 8).
    pub five_minute_days: u32,
    /// Days of hourly rollups (default 396).
    pub hour_days: u32,
    /// Days of daily rollups (default 1,827).
    pub day_days: u32,
    /// Days until a tombstone's history goes (default 7).
    pub tombstone_days: u32,
    /// Bytes of the database after which the oldest raw day goes first; `None`: no bound.
    pub max_bytes: Option<u64>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { raw_days: 30, five_minute_days: 8, hour_days: 396, day_days: 1827, tombstone_days: 7, max_bytes: None }
    }
}

/// What a round of maintenance did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Partitions made.
    pub created: Vec<String>,
    /// Partitions dropped.
    pub dropped: Vec<String>,
    /// Days for which a raw partition exists ahead of now.
    pub days_ahead: i32,
    /// Tombstones removed for good.
    pub tombstones_purged: u64,
}

/// Partitions exist this far ahead.
const AHEAD_DAYS: Slot = 7;
const DAY_S: Slot = 86_400;
/// Probe requests are kept for a week.
const REQUESTS_DAYS: i32 = 7;
/// Monitors purged in one transaction, which holds the lock of `heads`: a year of a monitor's rollups are some 12,000 rows
/// for each of its pools.
const PURGE_BATCH: i64 = 5;

const NOW: &str = "select floor(extract(epoch from clock_timestamp()))::int4";

const CREATE: &str = "select x.made from (select partition_ensure($1, d.slot) as made \
    from unnest($2::int4[]) d(slot)) x where x.made is not null order by 1";

// The partitions of a table, also those that a broken-off round has detached but not dropped.
const PARTITIONS: &str = "select c.relname::text, i.inhrelid is not null, coalesce(i.inhdetachpending, false), \
      pg_total_relation_size(c.oid) \
    from pg_class p join pg_class c on c.relnamespace = p.relnamespace and c.relkind = 'r' \
      and c.relname ~ ('^' || p.relname || '_[0-9]+$') \
    left join pg_inherits i on i.inhrelid = c.oid and i.inhparent = p.oid \
    where p.oid = $1::text::regclass order by c.relname";

const MARK: &str = "update kept set from_slot = greatest(from_slot, $2) where name = $1";

const OLD_TOMBSTONES: &str = "select id from monitors \
    where tombstoned_at < clock_timestamp() - $1::int4 * interval '1 day' order by id limit $2";

/// What hangs on monitors ($1), children first. Raw rows leave with their partition.
const PURGE: [&str; 12] = [
    "delete from rollup_5m where series_id in (select id from series where monitor_id = any($1))",
    "delete from rollup_hour where series_id in (select id from series where monitor_id = any($1))",
    "delete from rollup_day where series_id in (select id from series where monitor_id = any($1))",
    "delete from monitor_states where series_id in (select id from series where monitor_id = any($1))",
    "delete from series_schedule where series_id in (select id from series where monitor_id = any($1))",
    "delete from monitor_health where monitor_id = any($1)",
    "delete from incidents where monitor_id = any($1)",
    "delete from maintenance_spans where monitor_id = any($1)",
    "delete from sealed_secrets where monitor_id = any($1)",
    "delete from probe_requests where monitor_id = any($1)",
    "delete from series where monitor_id = any($1)",
    "delete from monitors where id = any($1)",
];

const OLD_REQUESTS: &str =
    "delete from probe_requests where created_at < clock_timestamp() - $1::int4 * interval '1 day'";

impl Store {
    /// Makes partitions 7 days ahead, drops what retention no longer keeps, purges old tombstones and probe requests. Safe to
    /// run twice and by two at once. A partition that cannot be detached now (somebody reads it) goes in the next round.
    pub async fn maintain(&self, retention: &Retention) -> Result<Maintained> {
        let session = self.session("maintain").await?;
        let now: Slot = session.query_one(NOW, &[]).await?.get(0);
        let mut done = Maintained::default();
        let ahead: Vec<Slot> = (0..=AHEAD_DAYS).map(|day| now + day * DAY_S).collect();
        for parent in PARENTS {
            let made = session.query(CREATE, &[&parent, &ahead]).await?;
            done.created.extend(made.iter().map(|row| row.get::<_, String>(0)));
        }
        for parent in PARENTS {
            let days = match parent {
                "results" => retention.raw_days,
                "rollup_5m" => retention.five_minute_days,
                "rollup_hour" => retention.hour_days,
                _ => retention.day_days,
            };
            let keep_from = i64::from(now) - i64::from(days) * i64::from(DAY_S);
            for partition in partitions(&session, parent).await? {
                if i64::from(partition.to) <= keep_from {
                    drop_partition(&session, parent, &partition, &mut done).await?;
                }
            }
        }
        if let Some(max_bytes) = retention.max_bytes {
            shrink(&session, max_bytes, now, &mut done).await?;
        }
        let raw = partitions(&session, "results").await?;
        let today = now - now.rem_euclid(DAY_S);
        let exists = |day: Slot| raw.iter().any(|partition| partition.attached && partition.from == day);
        done.days_ahead = (1..=AHEAD_DAYS).take_while(|day| exists(today + day * DAY_S)).count() as i32;
        session.execute(OLD_REQUESTS, &[&REQUESTS_DAYS]).await?;
        done.tombstones_purged = purge(&session, retention.tombstone_days).await?;
        Ok(done)
    }
}

/// A partition with its range.
#[derive(Debug)]
struct Partition {
    name: String,
    from: Slot,
    to: Slot,
    attached: bool,
    detach_pending: bool,
    bytes: i64,
}

/// In time order.
async fn partitions(session: &Session, parent: &str) -> Result<Vec<Partition>> {
    let rows = session.query(PARTITIONS, &[&parent]).await?;
    Ok(rows
        .iter()
        .filter_map(|row| {
            let name: String = row.get(0);
            let (from, to) = range(name.strip_prefix(parent)?.strip_prefix('_')?)?;
            Some(Partition { name, from, to, attached: row.get(1), detach_pending: row.get(2), bytes: row.get(3) })
        })
        .collect())
}

/// The range that a partition's name says: `YYYYMMDD`, `YYYYMM` or `YYYY`.
fn range(digits: &str) -> Option<(Slot, Slot)> {
    let part = |at: std::ops::Range<usize>| digits.get(at)?.parse::<i16>().ok();
    let date = |year, month, day| jiff::civil::Date::new(year, month, day).ok();
    let (from, span) = match digits.len() {
        8 => (date(part(0..4)?, part(4..6)? as i8, part(6..8)? as i8)?, jiff::Span::new().days(1)),
        6 => (date(part(0..4)?, part(4..6)? as i8, 1)?, jiff::Span::new().months(1)),
        4 => (date(part(0..4)?, 1, 1)?, jiff::Span::new().years(1)),
        _ => return None,
    };
    let slot = |date: jiff::civil::Date| {
        Slot::try_from(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second()).ok()
    };
    Some((slot(from)?, slot(from.checked_add(span).ok()?)?))
}

/// Raises the mark first: from then on nobody writes to the partition or counts on it.
async fn drop_partition(session: &Session, parent: &str, partition: &Partition, done: &mut Maintained) -> Result<()> {
    session.execute(MARK, &[&parent, &partition.to]).await?;
    let name = &partition.name;
    let detach = if partition.detach_pending { "finalize" } else { "concurrently" };
    let detached = if partition.attached {
        session.batch(&format!("alter table {parent} detach partition {name} {detach}")).await
    } else {
        Ok(())
    };
    let dropped = match detached {
        Ok(()) => session.batch(&format!("drop table {name}")).await,
        Err(error) => Err(error),
    };
    match dropped {
        Ok(()) => {
            tracing::info!(partition = name, "a partition that retention no longer keeps was dropped");
            done.dropped.push(name.clone());
            Ok(())
        }
        Err(StoreError::Unavailable(error)) => Err(StoreError::Unavailable(error)),
        // Somebody reads it, or another round is at it: the next round finishes what is begun.
        Err(error) => {
            tracing::warn!(partition = name, %error, "a partition could not be dropped now");
            Ok(())
        }
    }
}

/// Drops the oldest raw days until the database fits; the present day always stays.
async fn shrink(session: &Session, max_bytes: u64, now: Slot, done: &mut Maintained) -> Result<()> {
    let size: i64 = session.query_one("select pg_database_size(current_database())", &[]).await?.get(0);
    let mut over = i128::from(size) - i128::from(max_bytes);
    for partition in partitions(session, "results").await? {
        if over <= 0 || partition.to > now {
            break;
        }
        over -= i128::from(partition.bytes);
        drop_partition(session, "results", &partition, done).await?;
    }
    Ok(())
}

/// Removes monitors whose tombstone is old enough, under the lock of `heads`: none of them is revived meanwhile.
async fn purge(session: &Session, days: u32) -> Result<u64> {
    let days = days.min(36_500) as i32;
    let mut purged = 0;
    loop {
        if session.query(OLD_TOMBSTONES, &[&days, &1_i64]).await?.is_empty() {
            return Ok(purged);
        }
        catalog_begin(session, None).await?;
        let rows = session.query(OLD_TOMBSTONES, &[&days, &PURGE_BATCH]).await?;
        let old: Vec<MonitorId> = rows.iter().map(|row| row.get(0)).collect();
        let lock = "select series_id from monitor_states \
            where series_id in (select id from series where monitor_id = any($1)) order by series_id for update";
        session.query(lock, &[&old]).await?;
        for sql in PURGE {
            session.execute(sql, &[&old]).await?;
        }
        session.commit().await?;
        purged += old.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_ranges() {
        assert_eq!(range("19700102"), Some((86_400, 172_800)));
        assert_eq!(range("197001"), Some((0, 31 * 86_400)));
        assert_eq!(range("1970"), Some((0, 365 * 86_400)));
        for bad in ["", "197", "19701301", "2040", "1970010"] {
            assert_eq!(range(bad), None, "{bad}");
        }
    }
}
