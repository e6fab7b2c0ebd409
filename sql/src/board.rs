//! The board: the small present state of everything, as lists, overview and the operator's health feed need it.

use nanomon_core::reason::Reason;
use nanomon_core::verdict::Status;

use jiff::Timestamp;
use tokio_postgres::Row;

use crate::error::{Result, StoreError};
use crate::results::{reason_of, status_of};
use crate::{MonitorId, PoolId, RunnerId, SeriesId, Slot, Store};

/// The present state of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesBoard {
    /// Monitor.
    pub monitor_id: MonitorId,
    /// Series.
    pub series_id: SeriesId,
    /// Pool.
    pub pool_id: PoolId,
    /// Newest folded slot.
    pub last_slot: Option<Slot>,
    /// Status of the newest result.
    pub status: Option<Status>,
    /// When `status` began.
    pub since: Slot,
    /// Status confirmed by the thresholds.
    pub confirmed: Option<Status>,
    /// Why it is not OK.
    pub reason: Reason,
    /// Milliseconds.
    pub value: Option<f32>,
    /// Start offset within the slot's second.
    pub start_ms: i16,
    /// Who ran it.
    pub runner_id: RunnerId,
    /// Key of the newest initial run that was stored; 0: none. Runners compare it with `monitors.activated_at`.
    pub activation: Slot,
}

/// The health of a monitor over its pools: a row of `monitor_health`, written at transitions only.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthRow {
    /// Monitor.
    pub monitor_id: MonitorId,
    /// The worst confirmed status among its pools with a fresh result; `None`: unknown.
    pub state: Option<Status>,
    /// Slot at which it began.
    pub since: Slot,
    /// PostgreSQL's time of the last change.
    pub changed_at: Timestamp,
}

const COLUMNS: &str = "t.monitor_id, t.series_id, t.pool_id, t.last_slot, t.status, t.since, t.confirmed, t.reason, t.value, \
    t.start_ms, t.runner_id, t.activation";

const HEALTH: &str = "select n.now, h.monitor_id, h.state, h.since, h.changed_at \
    from (select clock_timestamp() as now) n \
    left join monitor_health h on ($1::timestamptz is null or h.changed_at >= $1) \
      and exists (select from monitors m where m.id = h.monitor_id and m.tombstoned_at is null) \
    order by h.changed_at, h.monitor_id";

impl Store {
    /// The state of every living series (one statement, ~3 ms per 10,000), by monitor and pool.
    pub async fn board_read(&self) -> Result<Vec<SeriesBoard>> {
        let session = self.session("board_read").await?;
        let sql = format!("select {COLUMNS} from monitor_states t where t.live order by t.monitor_id, t.pool_id");
        session.query(&sql, &[]).await?.iter().map(series_board).collect()
    }

    /// The state of these monitors' series.
    pub async fn board_read_of(&self, monitors: &[MonitorId]) -> Result<Vec<SeriesBoard>> {
        let session = self.session("board_read_of").await?;
        let sql = format!(
            "select {COLUMNS} from series s join monitor_states t on t.series_id = s.id and t.live \
             where s.monitor_id = any($1) order by t.monitor_id, t.pool_id"
        );
        session.query(&sql, &[&monitors]).await?.iter().map(series_board).collect()
    }

    /// Health rows changed at or after `since`, oldest first, with PostgreSQL's time of the read. Overlap by 15 s to lose nothing.
    pub async fn health_changes(&self, since: Option<Timestamp>) -> Result<(Timestamp, Vec<HealthRow>)> {
        let session = self.session("health_changes").await?;
        let rows = session.query(HEALTH, &[&since]).await?;
        let now = rows.first().map(|row| row.get(0)).ok_or_else(|| StoreError::Statement("no row".into()))?;
        let changed = rows.iter().filter(|row| row.get::<_, Option<MonitorId>>(1).is_some());
        let health = changed.map(|row| {
            Ok(HealthRow {
                monitor_id: row.get(1),
                state: row.get::<_, Option<i16>>(2).map(status_of).transpose()?,
                since: row.get(3),
                changed_at: row.get(4),
            })
        });
        Ok((now, health.collect::<Result<_>>()?))
    }
}

fn series_board(row: &Row) -> Result<SeriesBoard> {
    Ok(SeriesBoard {
        monitor_id: row.get(0),
        series_id: row.get(1),
        pool_id: row.get(2),
        last_slot: row.get(3),
        status: row.get::<_, Option<i16>>(4).map(status_of).transpose()?,
        since: row.get(5),
        confirmed: row.get::<_, Option<i16>>(6).map(status_of).transpose()?,
        reason: reason_of(row.get(7)),
        value: row.get(8),
        start_ms: row.get(9),
        runner_id: row.get(10),
        activation: row.get(11),
    })
}
