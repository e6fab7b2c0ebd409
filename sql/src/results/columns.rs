//! Rows turned into columns: each statement takes one array per column.

use std::collections::{BTreeMap, HashMap};

use nanomon_core::Status;
use nanomon_core::rollup::Bucket;
use tokio_postgres::types::ToSql;

use super::{NewResult, StateRow};
use crate::{RunnerId, SeriesId, Slot};

/// The results to be inserted; of several with the same key only the first.
#[derive(Debug, Default)]
pub(crate) struct ResultColumns<'a> {
    /// Indexes into the batch of the rows below.
    pub indexes: Vec<usize>,
    /// Rows left out because their key stands before them.
    pub repeated: usize,
    by_key: HashMap<(SeriesId, Slot), usize>,
    series: Vec<SeriesId>,
    slots: Vec<Slot>,
    values: Vec<Option<f32>>,
    starts: Vec<i16>,
    runners: Vec<RunnerId>,
    verdicts: Vec<i16>,
    reasons: Vec<i16>,
    outputs: Vec<Option<&'a [u8]>>,
}

impl<'a> ResultColumns<'a> {
    pub(crate) fn new(batch: &'a [NewResult]) -> Self {
        let mut columns = Self::default();
        for (index, result) in batch.iter().enumerate() {
            let NewResult { series_id, slot, verdict, reason, value, start_ms, runner_id, phases: _, outputs } = result;
            if columns.by_key.contains_key(&(*series_id, *slot)) {
                columns.repeated += 1;
                continue;
            }
            columns.by_key.insert((*series_id, *slot), index);
            columns.indexes.push(index);
            columns.series.push(*series_id);
            columns.slots.push(*slot);
            columns.values.push(*value);
            columns.starts.push((*start_ms).max(0));
            columns.runners.push(*runner_id);
            columns.verdicts.push(verdict.bits());
            columns.reasons.push(reason.code());
            columns.outputs.push(Some(outputs.as_slice()).filter(|bytes| !bytes.is_empty()));
        }
        columns
    }

    pub(crate) fn index_of(&self, series_id: SeriesId, slot: Slot) -> Option<usize> {
        self.by_key.get(&(series_id, slot)).copied()
    }

    pub(crate) fn series_distinct(&self) -> Vec<SeriesId> {
        let mut series = self.series.clone();
        series.sort_unstable();
        series.dedup();
        series
    }

    pub(crate) fn params(&self) -> [&(dyn ToSql + Sync); 8] {
        [
            &self.series,
            &self.slots,
            &self.values,
            &self.starts,
            &self.runners,
            &self.verdicts,
            &self.reasons,
            &self.outputs,
        ]
    }
}

/// Sums of buckets.
#[derive(Debug, Default)]
struct Sums {
    n_ok: Vec<i32>,
    n_error: Vec<i32>,
    n_failed: Vec<i32>,
    n_value: Vec<i32>,
    long: [Vec<i64>; 11],
}

impl Sums {
    fn push(&mut self, bucket: &Bucket) {
        let Bucket {
            start: _,
            n_ok,
            n_error,
            n_failed,
            up_ms,
            down_ms,
            maint_ms,
            n_value,
            value_sum_us,
            value_min_us,
            value_max_us,
            dns_us,
            connect_us,
            tls_us,
            first_byte_us,
            transfer_us,
        } = *bucket;
        self.n_ok.push(n_ok);
        self.n_error.push(n_error);
        self.n_failed.push(n_failed);
        self.n_value.push(n_value);
        let long = [
            up_ms,
            down_ms,
            maint_ms,
            value_sum_us,
            value_min_us,
            value_max_us,
            dns_us,
            connect_us,
            tls_us,
            first_byte_us,
            transfer_us,
        ];
        for (column, value) in self.long.iter_mut().zip(long) {
            column.push(value);
        }
    }

    fn params(&self) -> impl Iterator<Item = &(dyn ToSql + Sync)> {
        let short: [&(dyn ToSql + Sync); 4] = [&self.n_ok, &self.n_error, &self.n_failed, &self.n_value];
        short.into_iter().chain(self.long.iter().map(|column| column as &(dyn ToSql + Sync)))
    }
}

/// Buckets of one level.
#[derive(Debug, Default)]
pub(crate) struct BucketColumns {
    series: Vec<SeriesId>,
    starts: Vec<Slot>,
    sums: Sums,
}

impl BucketColumns {
    pub(crate) fn new(buckets: BTreeMap<(SeriesId, Slot), Bucket>) -> Self {
        let mut columns = Self::default();
        for ((series_id, start), bucket) in buckets {
            columns.series.push(series_id);
            columns.starts.push(start);
            columns.sums.push(&bucket);
        }
        columns
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    pub(crate) fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        let key: [&(dyn ToSql + Sync); 2] = [&self.series, &self.starts];
        key.into_iter().chain(self.sums.params()).collect()
    }
}

/// States as they are written back.
#[derive(Debug, Default)]
pub(crate) struct StateColumns {
    series: Vec<SeriesId>,
    last_slots: Vec<Option<Slot>>,
    sinces: Vec<Slot>,
    statuses: Vec<Option<i16>>,
    confirmed: Vec<Option<i16>>,
    streaks: Vec<i16>,
    reasons: Vec<i16>,
    runners: Vec<RunnerId>,
    starts: Vec<i16>,
    values: Vec<Option<f32>>,
    activations: Vec<Slot>,
    buckets: Vec<Slot>,
    sums: Sums,
}

impl StateColumns {
    /// In the order given: by id.
    pub(crate) fn new<'a>(states: impl IntoIterator<Item = &'a StateRow>) -> Self {
        let mut columns = Self::default();
        for row in states {
            let state = &row.state;
            columns.series.push(row.series_id);
            columns.last_slots.push(state.last_slot);
            columns.sinces.push(state.since);
            columns.statuses.push(state.status.map(Status::code));
            columns.confirmed.push(state.confirmed.map(Status::code));
            columns.streaks.push(state.streak);
            columns.reasons.push(state.reason.code());
            columns.runners.push(state.runner_id);
            columns.starts.push(state.start_ms);
            columns.values.push(state.value);
            columns.activations.push(row.activation);
            columns.buckets.push(state.open.start);
            columns.sums.push(&state.open);
        }
        columns
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    pub(crate) fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        let fold: [&(dyn ToSql + Sync); 12] = [
            &self.series,
            &self.last_slots,
            &self.sinces,
            &self.statuses,
            &self.confirmed,
            &self.streaks,
            &self.reasons,
            &self.runners,
            &self.starts,
            &self.values,
            &self.activations,
            &self.buckets,
        ];
        fold.into_iter().chain(self.sums.params()).collect()
    }
}
