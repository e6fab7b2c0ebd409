//! The write path: one batch, one transaction, in data-path order: lock states, insert, fold, rollups, health, commit, notify.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures::future::try_join_all;
use futures::try_join;
use nanomon_core::Verdict;
use nanomon_core::reason::Reason;
use nanomon_core::rollup::{Bucket, Level};
use nanomon_core::status::{FoldInput, Phases, Transition};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use crate::error::{Result, StoreError};
use crate::health;
use crate::notify::Channel;
use crate::session::{BEGIN, Session};
use crate::{MonitorId, RunnerId, SeriesId, Slot, Store};

mod columns;
mod fold;
mod statements;

pub(crate) use columns::{BucketColumns, ResultColumns, StateColumns};
pub(crate) use fold::{ConfirmedChange, Folded, StateRow, bucket_sums, fold_rows, reason_of, schedule_row, status_of};
pub(crate) use statements::{BUCKET_COLUMNS, SCHEDULE, lock_columns, rollup_table, rollup_upsert};

/// A finished run to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewResult {
    /// Series.
    pub series_id: SeriesId,
    /// Key: the slot's whole Unix second, or `activated_at` of an initial run.
    pub slot: Slot,
    /// Status with the flags UNKNOWN and EXTRA if they apply; LATE and MAINTENANCE are the store's.
    pub verdict: Verdict,
    /// Why it is not OK.
    pub reason: Reason,
    /// Milliseconds.
    pub value: Option<f32>,
    /// True start relative to the slot's second, clamped to 0..=32767 ms.
    pub start_ms: i16,
    /// Who ran it.
    pub runner_id: RunnerId,
    /// For rollups.
    pub phases: Phases,
    /// Encoded by `nanomon_core::codec`.
    pub outputs: Vec<u8>,
}

impl NewResult {
    /// Bytes that it holds while it waits, for the buffer's bound.
    pub fn bytes(&self) -> usize {
        std::mem::size_of::<Self>() + self.outputs.capacity()
    }
}

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BatchReport {
    /// Rows really inserted, by index into the batch.
    pub stored: Vec<usize>,
    /// Rows that were already there (a retry, or another runner was first).
    pub duplicate: usize,
    /// Rows of monitors or series that no longer live.
    pub dropped_gone: usize,
    /// Rows older than the clear mark.
    pub dropped_cleared: usize,
    /// Rows outside [now − 48 h, now + 5 s].
    pub dropped_out_of_range: usize,
    /// Stored but not folded.
    pub late: usize,
    /// Confirmed changes, with the monitor.
    pub transitions: Vec<(MonitorId, SeriesId, Transition)>,
}

/// Most results in a batch.
pub const BATCH_MAX: usize = 5_000;

/// For the whole batch; then it is cancelled, its connection dropped, and it counts as unknown.
const DEADLINE: Duration = Duration::from_secs(10);

impl Store {
    /// Stores at most 5,000 results. Idempotent: an unknown outcome is repeated with the same rows. Makes a missing partition.
    /// Errors: `Unavailable`/`Retry`: send the same batch again; `Data`: halve it until the bad row is alone.
    pub async fn result_write_batch(&self, batch: &[NewResult]) -> Result<BatchReport> {
        if batch.is_empty() {
            return Ok(BatchReport::default());
        }
        if batch.len() > BATCH_MAX {
            return Err(StoreError::Statement(format!("at most {BATCH_MAX} results in a batch").into()));
        }
        let mut partitions_made = false;
        loop {
            let session = self.session("result_write_batch").await?;
            let written = tokio::time::timeout(DEADLINE, write_once(&session, batch)).await;
            if matches!(written, Ok(Err(StoreError::Data(_) | StoreError::Retry(_))))
                && session.rollback().await.is_err()
            {
                tracing::debug!("a refused batch could not be rolled back; its connection is closed");
            }
            drop(session);
            match written {
                Ok(Err(error)) if error.lacks_partition() && !partitions_made => {
                    partitions_made = true;
                    let slots: Vec<Slot> = batch.iter().map(|result| result.slot).collect();
                    self.partitions_ensure(&slots).await?;
                }
                Ok(Ok((report, changed))) => {
                    if changed {
                        self.notify(Channel::States).await;
                    }
                    return Ok(report);
                }
                Ok(Err(error)) => return Err(error),
                Err(elapsed) => return Err(StoreError::Unavailable(Box::new(elapsed))),
            }
        }
    }
}

/// The transaction: two round trips, a third if a confirmed status changed or the schedule of old slots is needed. Answers
/// whether there is something that listeners should hear of.
async fn write_once(session: &Session, batch: &[NewResult]) -> Result<(BatchReport, bool)> {
    let columns = ResultColumns::new(batch);
    let client = session.client();
    // All of them at once: on a new connection one round trip, however late the answers are.
    let [five_minutes, hour, day] = Level::ALL.map(rollup_upsert);
    let [lock, insert, clock, update, five_minutes, hour, day] = session
        .prepare_all([
            statements::LOCK.as_str(),
            statements::INSERT,
            statements::CLOCK,
            statements::UPDATE.as_str(),
            five_minutes,
            hour,
            day,
        ])
        .await?;
    let folding = Folding { update, upserts: [five_minutes, hour, day] };
    session.mark_transaction(true);
    let (series, values) = (columns.series_distinct(), columns.params());
    let lock_params: [&(dyn ToSql + Sync); 1] = [&series];
    let ((), states, stored, clock) = session
        .run(async {
            try_join!(
                client.batch_execute(BEGIN),
                client.query(&lock, &lock_params),
                client.query(&insert, &values),
                client.query_one(&clock, &[]),
            )
        })
        .await?;
    let states: HashMap<SeriesId, StateRow> =
        states.iter().map(StateRow::read).collect::<Result<Vec<_>>>()?.into_iter().map(|s| (s.series_id, s)).collect();
    let mut report = BatchReport::default();
    let rows = stored_rows(batch, &columns, &stored, &mut report)?;
    count_dropped(batch, &columns, &states, (clock.get(0), clock.get(1)), &mut report);

    let mut folded = Folded::new(states);
    let old: Vec<SeriesId> = folded.needs_schedule(&rows);
    if !old.is_empty() {
        let found = session.query(SCHEDULE, &[&old]).await?;
        folded.set_schedules(found.iter().map(|row| (row.get(0), schedule_row(row, 1))));
    }
    fold_rows(&mut folded, &rows);
    report.transitions = folded.changes.iter().map(|c| (c.monitor_id, c.series_id, c.transition)).collect();
    let monitors = folded.monitors_to_evaluate();
    write_folded(session, &folding, &folded, &monitors).await?;
    if !monitors.is_empty() {
        health::decide_and_write(session, &monitors, &folded.changes, clock.get(0)).await?;
        session.commit().await?;
    }
    Ok((report, folded.is_news))
}

/// The statements of the second round trip.
struct Folding {
    update: Statement,
    /// In the order of [`Level::ALL`].
    upserts: [Statement; 3],
}

/// The second round trip. Commits unless the health of monitors must be looked at.
async fn write_folded(session: &Session, folding: &Folding, folded: &Folded, monitors: &[MonitorId]) -> Result<()> {
    let client = session.client();
    let states = StateColumns::new(folded.touched());
    let levels: Vec<(&Statement, BucketColumns)> = Level::ALL
        .into_iter()
        .zip(&folding.upserts)
        .map(|(level, upsert)| (upsert, BucketColumns::new(folded.additions(level))))
        .filter(|(_, columns)| !columns.is_empty())
        .collect();
    let upserts: Vec<_> = levels.iter().map(|(upsert, columns)| (*upsert, columns.params())).collect();
    let state_params = states.params();
    session
        .run(async {
            let update =
                async { if states.is_empty() { Ok(0) } else { client.execute(&folding.update, &state_params).await } };
            let upserts = try_join_all(upserts.iter().map(|(upsert, params)| client.execute(*upsert, params)));
            let commit = async { if monitors.is_empty() { client.batch_execute("commit").await } else { Ok(()) } };
            try_join!(update, upserts, commit)
        })
        .await?;
    if monitors.is_empty() {
        session.mark_transaction(false);
    }
    Ok(())
}

/// A row that was inserted, as it is folded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredRow {
    pub series_id: SeriesId,
    pub input: FoldInput,
}

/// The rows RETURNED by the insert, with their batch's values; in (series, slot) order.
fn stored_rows(
    batch: &[NewResult],
    columns: &ResultColumns<'_>,
    returned: &[Row],
    report: &mut BatchReport,
) -> Result<Vec<StoredRow>> {
    let mut by_key = BTreeMap::new();
    for row in returned {
        let (series_id, slot, bits): (SeriesId, Slot, i16) = (row.get(0), row.get(1), row.get(2));
        let index = columns
            .index_of(series_id, slot)
            .ok_or_else(|| StoreError::Statement("the insert returned a row that was not sent".into()))?;
        let verdict = Verdict::from_bits(bits)
            .ok_or_else(|| StoreError::Statement("the insert returned an unknown verdict".into()))?;
        report.stored.push(index);
        report.late += usize::from(verdict.is_late());
        let result = &batch[index];
        let input = FoldInput {
            slot,
            verdict,
            reason: result.reason,
            value: result.value,
            runner_id: result.runner_id,
            start_ms: result.start_ms,
            phases: result.phases,
        };
        by_key.insert((series_id, slot), StoredRow { series_id, input });
    }
    report.stored.sort_unstable();
    Ok(by_key.into_values().collect())
}

/// Says of each row that was not stored why. For metrics: read beside the insert, not with it.
fn count_dropped(
    batch: &[NewResult],
    columns: &ResultColumns<'_>,
    states: &HashMap<SeriesId, StateRow>,
    (now, kept_from): (Slot, Slot),
    report: &mut BatchReport,
) {
    report.duplicate += columns.repeated;
    let mut stored = report.stored.iter().copied().peekable();
    for &index in &columns.indexes {
        if stored.next_if_eq(&index).is_some() {
            continue;
        }
        let NewResult { series_id, slot, .. } = batch[index];
        let state = states.get(&series_id).filter(|state| state.live);
        match state {
            None => report.dropped_gone += 1,
            Some(_) if slot < kept_from || slot < now - statements::OLDEST_S || slot > now + statements::AHEAD_S => {
                report.dropped_out_of_range += 1;
            }
            Some(state) if slot < state.cleared_before => report.dropped_cleared += 1,
            Some(_) => report.duplicate += 1,
        }
    }
}

impl Folded {
    /// The sums to be added to a level, one per (series, bucket), in that order.
    fn additions(&self, level: Level) -> BTreeMap<(SeriesId, Slot), Bucket> {
        let mut sums: BTreeMap<(SeriesId, Slot), Bucket> = BTreeMap::new();
        for (series_id, bucket) in &self.closed {
            let start = level.start(bucket.start);
            sums.entry((*series_id, start)).or_insert(Bucket { start, ..Bucket::default() }).merge(bucket);
        }
        sums
    }
}
