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

/// The newest rows of some series. Newest first within each series by its key; the lower bound keeps planning and
/// execution to a few partitions, and older rows are looked for only if the bounded part has too few.
fn by_series(which: &str) -> String {
    let newest = |bounds: &str| {
        format!(
            "select w.monitor_id, w.series_id, w.pool_id, r.* from wanted w cross join lateral ( \
               select r.slot, r.start_ms, r.verdict, r.reason, r.value, r.runner_id, r.outputs from results r \
               where r.series_id = w.series_id and r.slot >= w.cleared_before and {bounds} \
               order by r.slot desc limit $2) r"
        )
    };
    let (recent, older) = (newest("r.slot >= w.bound"), newest("r.slot < w.bound"));
    format!(
        "with wanted as materialized ( \
           select m.id as monitor_id, s.id as series_id, s.pool_id, m.cleared_before, \
             (extract(epoch from now())::int8 - least(2 * $2::int8 * (m.interval_ms::int8 / 1000 + 1), 1000000000))::int4 as bound \
           from monitors m join series s on s.monitor_id = m.id where {which} and m.tombstoned_at is null), \
         recent as materialized ({recent}) \
         select * from (select * from recent union all \
           select * from ({older}) o where (select count(*) from recent) < $2) x \
         order by x.slot desc, x.start_ms desc, x.series_id limit $2"
    )
}

static OF_MONITOR: LazyLock<String> = LazyLock::new(|| by_series("m.id = $1"));
static OF_NAMESPACES: LazyLock<String> = LazyLock::new(|| by_series("m.namespace = any($1)"));

// Walks back the index on slot; ties by the true start.
const LATEST: &str = "select m.id, r.series_id, s.pool_id, r.slot, r.start_ms, r.verdict, r.reason, r.value, r.runner_id, \
      r.outputs \
    from results r join series s on s.id = r.series_id join monitors m on m.id = s.monitor_id \
    where m.tombstoned_at is null and r.slot >= m.cleared_before \
    order by r.slot desc, r.start_ms desc limit $1";

impl Store {
    /// The newest `max` (1 to 1,000) results of a monitor, newest first; an unknown monitor has none. Series of pools that
    /// the monitor has left are among them.
    pub async fn result_list(&self, monitor: MonitorId, max: u16) -> Result<Vec<ResultRow>> {
        let session = self.session("result_list").await?;
        let max = i64::from(max.clamp(1, LIST_MAX));
        session.query(&OF_MONITOR, &[&monitor, &max]).await?.iter().map(result_row).collect()
    }

    /// The newest `max` results over all living monitors, or over those of these namespaces.
    pub async fn result_list_latest(&self, max: u16, namespaces: Option<&[String]>) -> Result<Vec<ResultRow>> {
        let session = self.session("result_list_latest").await?;
        let max = i64::from(max.clamp(1, LIST_MAX));
        let rows = match namespaces {
            None => session.query(LATEST, &[&max]).await?,
            Some(namespaces) => session.query(&OF_NAMESPACES, &[&namespaces, &max]).await?,
        };
        rows.iter().map(result_row).collect()
    }
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
