//! Stored results, read: one bounded statement per view.

use std::sync::LazyLock;

use nanomon_core::codec::decode;
use nanomon_core::{Outputs, Reason, Verdict};
use tokio_postgres::Row;

use crate::error::{Result, StoreError};
use crate::results::reason_of;
use crate::{MonitorId, PoolId, RunnerId, SeriesId, Slot, Store};

/// A stored result.
#[derive(Debug, Clone, PartialEq)]
pub struct ResultRow {
    /// Monitor.
    pub monitor_id: MonitorId,
    /// Series.
    pub series_id: SeriesId,
    /// Pool.
    pub pool_id: PoolId,
    /// Key.
    pub slot: Slot,
    /// True start after the slot's second.
    pub start_ms: i16,
    /// Status and flags.
    pub verdict: Verdict,
    /// Why it is not OK.
    pub reason: Reason,
    /// Milliseconds.
    pub value: Option<f32>,
    /// Who ran it.
    pub runner_id: RunnerId,
    /// Decoded; empty if unreadable (`outputs_unreadable`).
    pub outputs: Outputs,
    /// Written by a newer version or damaged.
    pub outputs_unreadable: bool,
}

/// Most results of one answer.
pub const LIST_MAX: u16 = 1000;

/// Results are looked for in the last two days first: PostgreSQL then plans and opens a few partitions, not all.
const RECENT_S: Slot = 2 * 86_400;
/// Results may lie ahead of our clock by what the store accepts, and by our clock's error.
const AHEAD_S: Slot = 3600;

/// The newest rows of some series, each by its key, in `[$3, $4]`. With `at_rate` only as far back as twice the time that
/// these series need at their rate to make that many rows, so that of many series only a few rows each are read.
fn by_series(which: &str, at_rate: bool) -> String {
    let bound = if at_rate { "and r.slot >= w.bound" } else { "" };
    format!(
        "with wanted as materialized ( \
           select m.id as monitor_id, s.id as series_id, s.pool_id, m.cleared_before, \
             extract(epoch from m.created_at)::int4 as made, \
             (extract(epoch from now()) - least(1e9, 60 + 2 * $2::int8 \
               / sum(case when m.suspended or s.retired_at is not null then 1e-9 else 1000.0 / m.interval_ms end) over ()) \
             )::int4 as bound \
           from monitors m join series s on s.monitor_id = m.id where {which} and m.tombstoned_at is null) \
         select w.monitor_id, w.series_id, w.pool_id, r.*, w.made from wanted w cross join lateral ( \
           select r.slot, r.start_ms, r.verdict, r.reason, r.value, r.runner_id, r.outputs from results r \
           where r.series_id = w.series_id and r.slot >= w.cleared_before and r.slot >= $3 and r.slot <= $4 {bound} \
           order by r.slot desc limit $2) r \
         order by r.slot desc, r.start_ms desc, w.series_id limit $2"
    )
}

static OF_MONITOR: LazyLock<String> = LazyLock::new(|| by_series("m.id = $1", false));
static OF_NAMESPACES_AT_RATE: LazyLock<String> = LazyLock::new(|| by_series("m.namespace = any($1)", true));
static OF_NAMESPACES: LazyLock<String> = LazyLock::new(|| by_series("m.namespace = any($1)", false));

// Walks back the index on slot; ties by the true start.
const LATEST: &str = "select m.id, r.series_id, s.pool_id, r.slot, r.start_ms, r.verdict, r.reason, r.value, r.runner_id, \
      r.outputs \
    from results r join series s on s.id = r.series_id join monitors m on m.id = s.monitor_id \
    where m.tombstoned_at is null and r.slot >= m.cleared_before and r.slot >= $2 and r.slot <= $3 \
    order by r.slot desc, r.start_ms desc limit $1";

impl Store {
    /// The newest `max` (1 to 1,000) results of a monitor, newest first; an unknown monitor has none. Series of pools that
    /// the monitor has left are among them. One statement, a second one if the last two days do not suffice.
    pub async fn result_list(&self, monitor: MonitorId, max: u16) -> Result<Vec<ResultRow>> {
        let max = i64::from(max.clamp(1, LIST_MAX));
        let (recent, ahead) = bounds();
        let session = self.session("result_list").await?;
        let mut rows = session.query(&OF_MONITOR, &[&monitor, &max, &recent, &ahead]).await?;
        // A monitor younger than the bound has nothing older.
        let is_young = rows.first().is_some_and(|row| row.get::<_, Slot>(10) - AHEAD_S > recent);
        if (rows.len() as i64) < max && !is_young {
            rows = session.query(&OF_MONITOR, &[&monitor, &max, &Slot::MIN, &Slot::MAX]).await?;
        }
        rows.iter().map(result_row).collect()
    }

    /// The newest `max` results over all living monitors, or over those of these namespaces. Older ones than two days are
    /// looked for only if there are not enough.
    pub async fn result_list_latest(&self, max: u16, namespaces: Option<&[String]>) -> Result<Vec<ResultRow>> {
        let max = i64::from(max.clamp(1, LIST_MAX));
        let (recent, ahead) = bounds();
        let session = self.session("result_list_latest").await?;
        let mut rows = Vec::new();
        let everything = (Slot::MIN, Slot::MAX);
        match namespaces {
            None => {
                for (from, to) in [(recent, ahead), everything] {
                    rows = session.query(LATEST, &[&max, &from, &to]).await?;
                    if rows.len() as i64 >= max {
                        break;
                    }
                }
            }
            Some(namespaces) => {
                let rates = &OF_NAMESPACES_AT_RATE;
                for (sql, (from, to)) in
                    [(rates, (recent, ahead)), (&OF_NAMESPACES, (recent, ahead)), (&OF_NAMESPACES, everything)]
                {
                    rows = session.query(sql, &[&namespaces, &max, &from, &to]).await?;
                    if rows.len() as i64 >= max {
                        break;
                    }
                }
            }
        }
        rows.iter().map(result_row).collect()
    }
}

/// The span that is looked at first, by our own clock: a wrong one only costs a second statement.
fn bounds() -> (Slot, Slot) {
    let now = Slot::try_from(jiff::Timestamp::now().as_second()).unwrap_or(Slot::MAX - AHEAD_S);
    (now - RECENT_S, now + AHEAD_S)
}

fn result_row(row: &Row) -> Result<ResultRow> {
    let bits: i16 = row.get(5);
    let verdict = Verdict::from_bits(bits)
        .ok_or_else(|| StoreError::Schema(format!("a result has the verdict {bits}, unknown to this version")))?;
    let value: Option<f32> = row.get(7);
    let outputs = row.get::<_, Option<&[u8]>>(9).map(|bytes| decode(bytes, value));
    Ok(ResultRow {
        monitor_id: row.get(0),
        series_id: row.get(1),
        pool_id: row.get(2),
        slot: row.get(3),
        start_ms: row.get(4),
        verdict,
        reason: reason_of(row.get(6)),
        value,
        runner_id: row.get(8),
        outputs_unreadable: matches!(outputs, Some(Err(_))),
        outputs: outputs.and_then(Result::ok).unwrap_or_default(),
    })
}
