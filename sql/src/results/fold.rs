//! What stored rows do to the states that are locked: pure, between the two round trips.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use nanomon_core::rollup::{Bucket, ScheduleRow, rollup_step, thresholds_at, weight_at};
use nanomon_core::status::{SeriesState, Thresholds, Transition, fold};
use nanomon_core::{Reason, Status};
use tokio_postgres::Row;

use super::StoredRow;
use crate::error::{Result, StoreError};
use crate::{MonitorId, SeriesId, Slot};

/// A row of `monitor_states`, locked.
#[derive(Debug, Clone)]
pub(crate) struct StateRow {
    pub series_id: SeriesId,
    pub monitor_id: MonitorId,
    pub live: bool,
    pub active: bool,
    pub sched_from: Slot,
    pub interval_ms: i32,
    pub thresholds: Thresholds,
    pub cleared_before: Slot,
    pub activation: Slot,
    pub state: SeriesState,
}

impl StateRow {
    /// Reads the columns of the locking SELECT.
    pub(crate) fn read(row: &Row) -> Result<Self> {
        let status = |at: usize| -> Result<Option<Status>> { row.get::<_, Option<i16>>(at).map(status_of).transpose() };
        Ok(Self {
            series_id: row.get(0),
            monitor_id: row.get(1),
            live: row.get(2),
            active: row.get(3),
            sched_from: row.get(4),
            interval_ms: row.get(5),
            thresholds: Thresholds { failures: row.get(6), successes: row.get(7) },
            cleared_before: row.get(8),
            activation: row.get(18),
            state: SeriesState {
                last_slot: row.get(9),
                since: row.get(10),
                status: status(11)?,
                confirmed: status(12)?,
                streak: row.get(13),
                reason: reason_of(row.get(14)),
                runner_id: row.get(15),
                start_ms: row.get(16),
                value: row.get(17),
                open: Bucket { start: row.get(19), ..bucket_sums(row, 20) },
            },
        })
    }

    /// The newest row of the series' timetable, which is all that most batches need.
    fn newest_schedule(&self) -> ScheduleRow {
        ScheduleRow {
            from_slot: self.sched_from,
            interval_ms: self.interval_ms as u32,
            // Weights and thresholds do not depend on it.
            phase_ms: 0,
            thresholds: self.thresholds,
            active: self.active,
        }
    }
}

/// Reads a status column.
pub(crate) fn status_of(code: i16) -> Result<Status> {
    Status::from_code(code).ok_or_else(|| StoreError::Schema(format!("the database holds the unknown status {code}")))
}

/// Reads a reason column; one of a newer version is shown as internal.
pub(crate) fn reason_of(code: i16) -> Reason {
    Reason::from_code(code).unwrap_or(Reason::Internal)
}

/// Reads the columns of a bucket from `at` on; its start is 0.
pub(crate) fn bucket_sums(row: &Row, at: usize) -> Bucket {
    Bucket {
        start: 0,
        n_ok: row.get(at),
        n_error: row.get(at + 1),
        n_failed: row.get(at + 2),
        n_value: row.get(at + 3),
        up_ms: row.get(at + 4),
        down_ms: row.get(at + 5),
        maint_ms: row.get(at + 6),
        value_sum_us: row.get(at + 7),
        value_min_us: row.get(at + 8),
        value_max_us: row.get(at + 9),
        dns_us: row.get(at + 10),
        connect_us: row.get(at + 11),
        tls_us: row.get(at + 12),
        first_byte_us: row.get(at + 13),
        transfer_us: row.get(at + 14),
    }
}

/// Reads a row of `series_schedule` from the column `from_slot` at `at` on.
pub(crate) fn schedule_row(row: &Row, at: usize) -> ScheduleRow {
    ScheduleRow {
        from_slot: row.get(at),
        interval_ms: row.get::<_, i32>(at + 1) as u32,
        phase_ms: row.get::<_, i32>(at + 2) as u32,
        thresholds: Thresholds { failures: row.get(at + 3), successes: row.get(at + 4) },
        active: row.get(at + 5),
    }
}

/// A confirmed change with the reason of the result that confirmed it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConfirmedChange {
    pub monitor_id: MonitorId,
    pub series_id: SeriesId,
    pub transition: Transition,
    pub reason: Reason,
}

/// The states while and after they are folded, and what follows.
#[derive(Debug)]
pub(crate) struct Folded {
    states: HashMap<SeriesId, StateRow>,
    schedules: HashMap<SeriesId, Vec<ScheduleRow>>,
    touched: BTreeSet<SeriesId>,
    initial_runs: BTreeSet<MonitorId>,
    /// Five-minute buckets to be added to all levels: closed ones, and one for each late row.
    pub closed: Vec<(SeriesId, Bucket)>,
    /// In (series, slot) order.
    pub changes: Vec<ConfirmedChange>,
    /// A status changed, or its confirmation did: viewers want to know.
    pub is_news: bool,
}

impl Folded {
    pub(crate) fn new(states: HashMap<SeriesId, StateRow>) -> Self {
        Self {
            states,
            schedules: HashMap::new(),
            touched: BTreeSet::new(),
            initial_runs: BTreeSet::new(),
            closed: Vec::new(),
            changes: Vec::new(),
            is_news: false,
        }
    }

    /// Series with rows from before their newest schedule: their whole timetable is needed.
    pub(crate) fn needs_schedule(&self, rows: &[StoredRow]) -> Vec<SeriesId> {
        let old = rows
            .iter()
            .filter(|row| self.states.get(&row.series_id).is_some_and(|state| row.input.slot < state.sched_from));
        let series: BTreeSet<SeriesId> = old.map(|row| row.series_id).collect();
        series.into_iter().collect()
    }

    pub(crate) fn set_schedules(&mut self, rows: impl IntoIterator<Item = (SeriesId, ScheduleRow)>) {
        for (series_id, row) in rows {
            self.schedules.entry(series_id).or_default().push(row);
        }
    }

    /// The states that changed, by id.
    pub(crate) fn touched(&self) -> impl Iterator<Item = &StateRow> {
        self.touched.iter().filter_map(|id| self.states.get(id))
    }

    /// Monitors whose health may have changed: a confirmed status did, or an initial run has shown that it is fresh.
    pub(crate) fn monitors_to_evaluate(&self) -> Vec<MonitorId> {
        let changed = self.changes.iter().map(|change| change.monitor_id);
        let monitors: BTreeSet<MonitorId> = changed.chain(self.initial_runs.iter().copied()).collect();
        monitors.into_iter().collect()
    }
}

/// Folds stored rows, which are in (series, slot) order.
pub(crate) fn fold_rows(folded: &mut Folded, rows: &[StoredRow]) {
    // Consecutive rows of a series share its timetable.
    let newest: BTreeMap<SeriesId, [ScheduleRow; 1]> =
        folded.states.iter().map(|(&id, state)| (id, [state.newest_schedule()])).collect();
    for StoredRow { series_id, input } in rows {
        let Some(row) = folded.states.get_mut(series_id) else { continue };
        let schedule = folded.schedules.get(series_id).map_or(&newest[series_id][..], Vec::as_slice);
        let weight_ms = weight_at(schedule, input.slot);
        if input.verdict.is_extra() {
            row.activation = row.activation.max(input.slot);
            folded.touched.insert(*series_id);
            folded.initial_runs.insert(row.monitor_id);
        }
        if input.verdict.is_late() {
            let bucket = Bucket::of(input, weight_ms);
            if !bucket.is_empty() {
                folded.closed.push((*series_id, bucket));
            }
            continue;
        }
        folded.touched.insert(*series_id);
        if let Some(bucket) = rollup_step(&mut row.state.open, input, weight_ms) {
            folded.closed.push((*series_id, bucket));
        }
        let status = row.state.status;
        let transition = fold(&mut row.state, input, thresholds_at(schedule, input.slot));
        folded.is_news |= row.state.status != status || transition.is_some();
        if let Some(transition) = transition {
            folded.changes.push(ConfirmedChange {
                monitor_id: row.monitor_id,
                series_id: *series_id,
                transition,
                reason: input.reason,
            });
        }
    }
}
