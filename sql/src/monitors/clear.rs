//! The clear mark: results older than it are neither shown nor accepted. Raw rows leave with their partition; what was made
//! of them (rollups, states, incidents) goes here, by key.

use std::collections::{BTreeMap, BTreeSet};

use nanomon_core::rollup::{Bucket, Level};

use super::{catalog_begin, catalog_end, series_sync};
use crate::error::Result;
use crate::health::ClosedBy;
use crate::notify::Channel;
use crate::replay::{RESULTS_OF, replayed_row, schedules_of};
use crate::results::{BucketColumns, rollup_table, rollup_upsert};
use crate::session::Session;
use crate::{MonitorId, SeriesId, Slot, Store};

const MARK: &str = "update monitors set cleared_before = $2, rev = $3 \
    where id = any($1) and tombstoned_at is null and cleared_before < $2 returning id";

// The states are locked: series_sync has written the mark into each.
const SERIES: &str = "select series_id, last_slot, acc_bucket from monitor_states \
    where series_id in (select id from series where monitor_id = any($1)) order by series_id";

const STATES_RESET: &str = "update monitor_states set last_slot = null, since = 0, status = null, confirmed = null, \
      streak = 0, reason = 0, runner_id = 0, start_ms = 0, value = null, acc_bucket = 0, n_ok = 0, n_error = 0, \
      n_failed = 0, n_value = 0, up_ms = 0, down_ms = 0, maint_ms = 0, value_sum_us = 0, value_min_us = 0, \
      value_max_us = 0, dns_us = 0, connect_us = 0, tls_us = 0, first_byte_us = 0, transfer_us = 0 \
    where series_id = any($1)";

const OPEN_SET: &str = "update monitor_states t set n_ok = w.n_ok, n_error = w.n_error, n_failed = w.n_failed, \
      n_value = w.n_value, up_ms = w.up_ms, down_ms = w.down_ms, maint_ms = w.maint_ms, value_sum_us = w.value_sum_us, \
      value_min_us = w.value_min_us, value_max_us = w.value_max_us, dns_us = w.dns_us, connect_us = w.connect_us, \
      tls_us = w.tls_us, first_byte_us = w.first_byte_us, transfer_us = w.transfer_us \
    from unnest($1::int4[], $2::int4[], $3::int4[], $4::int4[], $5::int4[], $6::int4[], $7::int8[], $8::int8[], \
      $9::int8[], $10::int8[], $11::int8[], $12::int8[], $13::int8[], $14::int8[], $15::int8[], $16::int8[], \
      $17::int8[]) as w(series_id, acc_bucket, n_ok, n_error, n_failed, n_value, up_ms, down_ms, maint_ms, value_sum_us, \
      value_min_us, value_max_us, dns_us, connect_us, tls_us, first_byte_us, transfer_us) \
    where t.series_id = w.series_id and t.acc_bucket = w.acc_bucket";

// Of a monitor without any state left, nothing is known; of others the open incident stays.
const INCIDENTS_DROP: &str = "delete from incidents i where i.monitor_id = any($1) and i.opened < $2 \
    and (i.resolved is not null or not exists (select from series s join monitor_states t on t.series_id = s.id \
      where s.monitor_id = i.monitor_id and t.last_slot is not null))";
const HEALTH_LOCK: &str =
    "select monitor_id from monitor_health where monitor_id = any($1) order by monitor_id for update";
const HEALTH_RESET: &str = "update monitor_health h set state = null, since = $2, changed_at = clock_timestamp() \
    where h.monitor_id = any($1) and h.state is not null and not exists ( \
      select from series s join monitor_states t on t.series_id = s.id \
      where s.monitor_id = h.monitor_id and t.last_slot is not null)";

/// Monitors cleared in one transaction, which holds the lock of `heads`: a year of a monitor's rollups are some 12,000 rows
/// for each of its pools, and they are deleted here.
const CLEARED_AT_ONCE: usize = 20;
/// Results may lie this far ahead of the clock; a mark may too.
const AHEAD_S: Slot = 5;

impl Store {
    /// Sets the clear mark of these monitors (all of a namespace or everything are the caller's lists) to `before`: older
    /// results are no longer shown or accepted; states, rollups and incidents go by key. A mark never goes back, and never
    /// further ahead than results may lie.
    pub async fn monitor_clear_results(&self, ids: &[MonitorId], before: Slot) -> Result<()> {
        let mut changed = false;
        for chunk in ids.chunks(CLEARED_AT_ONCE) {
            changed |= self.clear_chunk(chunk, before).await?;
        }
        if changed {
            self.notify(Channel::Monitors).await;
            self.notify(Channel::States).await;
        }
        Ok(())
    }

    async fn clear_chunk(&self, ids: &[MonitorId], before: Slot) -> Result<bool> {
        let session = self.session("monitor_clear_results").await?;
        let catalog = catalog_begin(&session, None).await?;
        let before = before.min(catalog.now + AHEAD_S);
        let rows = session.query(MARK, &[&ids, &before, &catalog.rev]).await?;
        let marked: Vec<MonitorId> = rows.iter().map(|row| row.get(0)).collect();
        if marked.is_empty() {
            session.rollback().await?;
            return Ok(false);
        }
        series_sync(&session, &marked, catalog.now, ClosedBy::Suspended).await?;
        clear_series(&session, &marked, before).await?;
        session.query(HEALTH_LOCK, &[&marked]).await?;
        session.execute(INCIDENTS_DROP, &[&marked, &before]).await?;
        session.execute(HEALTH_RESET, &[&marked, &before]).await?;
        catalog_end(&session, catalog).await?;
        Ok(true)
    }
}

/// Removes all sums of before the mark; buckets that the mark cuts are made anew from the rows that remain.
async fn clear_series(session: &Session, monitors: &[MonitorId], before: Slot) -> Result<()> {
    let rows = session.query(SERIES, &[&monitors]).await?;
    let mut open: BTreeMap<SeriesId, Slot> = BTreeMap::new();
    let mut reset: Vec<SeriesId> = Vec::new();
    for row in &rows {
        let (series_id, last_slot): (SeriesId, Option<Slot>) = (row.get(0), row.get(1));
        if last_slot.is_some_and(|last| last < before) {
            reset.push(series_id);
        }
        open.insert(series_id, row.get(2));
    }
    let series: Vec<SeriesId> = open.keys().copied().collect();
    session.execute(STATES_RESET, &[&reset]).await?;
    let mut cut: BTreeSet<Slot> = BTreeSet::new();
    for level in Level::ALL {
        let sql = format!("delete from {} where series_id = any($1) and bucket < $2", rollup_table(level));
        session.execute(&sql, &[&series, &before]).await?;
        if level.start(before) < before {
            cut.insert(level.start(before) + level.seconds());
        }
    }
    let Some(&to) = cut.last() else { return Ok(()) };
    let schedules = schedules_of(session, &series).await?;
    let mut levels: [BTreeMap<(SeriesId, Slot), Bucket>; 3] = Default::default();
    let mut opens: BTreeMap<(SeriesId, Slot), Bucket> = BTreeMap::new();
    for row in session.query(RESULTS_OF, &[&series, &before, &to]).await? {
        let (series_id, input) = replayed_row(&row)?;
        let schedule = schedules.get(&series_id).map_or(&[][..], Vec::as_slice);
        let bucket = Bucket::of(&input, nanomon_core::rollup::weight_at(schedule, input.slot));
        let open_start = open[&series_id];
        if !input.verdict.is_late() && bucket.start == open_start {
            if open_start < before {
                opens
                    .entry((series_id, open_start))
                    .or_insert(Bucket { start: open_start, ..Bucket::default() })
                    .merge(&bucket);
            }
            continue;
        }
        for (level, sums) in Level::ALL.into_iter().zip(&mut levels) {
            let start = level.start(bucket.start);
            if start < before && !bucket.is_empty() {
                sums.entry((series_id, start)).or_insert(Bucket { start, ..Bucket::default() }).merge(&bucket);
            }
        }
    }
    for (level, sums) in Level::ALL.into_iter().zip(levels) {
        let columns = BucketColumns::new(sums);
        if !columns.is_empty() {
            session.execute(rollup_upsert(level), &columns.params()).await?;
        }
    }
    // An open bucket that the mark cuts and that has no row left is emptied too.
    for (&series_id, &start) in &open {
        if start < before && start + Level::FiveMinutes.seconds() > before && !reset.contains(&series_id) {
            opens.entry((series_id, start)).or_insert(Bucket { start, ..Bucket::default() });
        }
    }
    let columns = BucketColumns::new(opens);
    if !columns.is_empty() {
        session.execute(OPEN_SET, &columns.params()).await?;
    }
    Ok(())
}
