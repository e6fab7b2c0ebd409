//! Stores finished runs in batches, one at a time, first in, first out; keeps them while PostgreSQL is away.
//!
//! A result that says something new is stored within 200 ms, the others after 2 s (1 s above 500 a second) or with the
//! thousandth. An unknown outcome is answered by the same batch again: what is there already is passed over.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nanomon_sql::results::{BatchReport, NewResult};
use nanomon_sql::{Store, StoreError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::buffer::{Batch, Buffer, FULL_ROWS};
use crate::histogram::Histograms;
use crate::stats::Stats;

/// Rows of one transaction.
const BATCH_ROWS: usize = 5_000;
/// How long a result that says something new waits for others.
const URGENT_WAIT: Duration = Duration::from_millis(100);
/// How long the others wait.
const CALM_WAIT: Duration = Duration::from_secs(2);
/// The same while more than [`BUSY_RATE`] results a second come.
const BUSY_WAIT: Duration = Duration::from_secs(1);
const BUSY_RATE: f64 = 500.0;
/// A backlog is drained at this many times the live rate, so that the return of PostgreSQL is no new outage.
const DRAIN_FACTOR: f64 = 10.0;
/// But at least at this many rows a second.
const DRAIN_ROWS_MIN: f64 = 2_000.0;
/// Acknowledged results that are sent again after a reconnect, which heals an asynchronous failover.
const RESEND_FOR: Duration = Duration::from_mins(1);
/// Bytes that these may take.
const RESEND_BYTES: usize = 16 << 20;
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// A batch whose statement PostgreSQL refuses for no fault of the data is sent again this often before it is halved.
const REPEATS: u32 = 5;

/// The recorder of one runner.
pub struct Recorder {
    store: Store,
    buffer: Arc<Buffer>,
    stats: Arc<Stats>,
    histograms: Arc<Histograms>,
    /// Somebody saw a connection come back.
    reconnected: Arc<Notify>,
    acknowledged: Acknowledged,
    live: LiveRate,
    /// PostgreSQL was away since the last stored batch.
    was_away: bool,
}

impl Recorder {
    /// A recorder of what comes into this buffer.
    pub fn new(
        store: Store,
        buffer: Arc<Buffer>,
        stats: Arc<Stats>,
        histograms: Arc<Histograms>,
        reconnected: Arc<Notify>,
    ) -> Self {
        let live = LiveRate::new(Instant::now());
        Self {
            store,
            buffer,
            stats,
            histograms,
            reconnected,
            acknowledged: Acknowledged::default(),
            live,
            was_away: false,
        }
    }

    /// Stores until `stop`, then what is left, at most until `give_up`. Answers how many rows were left behind.
    pub async fn run(mut self, stop: CancellationToken, give_up: CancellationToken) -> usize {
        while !stop.is_cancelled() {
            let wait = if self.live.per_second > BUSY_RATE { BUSY_WAIT } else { CALM_WAIT };
            let resend = tokio::select! {
                () = stop.cancelled() => false,
                () = tokio::time::sleep(wait) => false,
                () = self.buffer.full() => false,
                () = self.buffer.urgent() => { tokio::time::sleep(URGENT_WAIT).await; false }
                () = self.reconnected.notified() => true,
            };
            self.live.observe(Instant::now(), self.buffer.level().pushed);
            self.was_away |= resend && !self.acknowledged.batches.is_empty();
            self.flush(&stop, &give_up).await;
        }
        // A flush leaves what is less than a batch to the next one; now there is no next one.
        while self.buffer.level().rows > 0 && !give_up.is_cancelled() {
            self.flush(&stop, &give_up).await;
        }
        self.note_level();
        self.buffer.level().rows
    }

    /// Stores what waits, down to less than a batch. A backlog is drained at its pace, from `stop` on as fast as it goes.
    async fn flush(&mut self, stop: &CancellationToken, give_up: &CancellationToken) {
        loop {
            self.note_level();
            let batch = self.buffer.take(BATCH_ROWS);
            if batch.rows.is_empty() || give_up.is_cancelled() {
                return;
            }
            let (count, began) = (batch.rows.len(), Instant::now());
            self.note_in_hand(&batch);
            self.write(batch, give_up).await;
            self.buffer.release();
            self.stats.store.backlog_from.set(0);
            if self.was_away {
                self.was_away = false;
                self.resend(give_up).await;
            }
            if self.buffer.level().rows < FULL_ROWS {
                self.note_level();
                return;
            }
            if count == BATCH_ROWS {
                let rate = (self.live.per_second * DRAIN_FACTOR).max(DRAIN_ROWS_MIN);
                let pause = Duration::from_secs_f64(count as f64 / rate).saturating_sub(began.elapsed());
                sleep_unless(pause, stop).await;
            }
        }
    }

    /// Stores a batch, whatever it takes; halves it around rows that PostgreSQL refuses.
    async fn write(&mut self, batch: Batch, give_up: &CancellationToken) {
        let mut parts = vec![(batch, 0)];
        let mut backoff = BACKOFF_MIN;
        while let Some((mut part, mut refusals)) = parts.pop() {
            let began = Instant::now();
            match self.store.result_write_batch(&part.rows).await {
                Ok(report) => {
                    backoff = BACKOFF_MIN;
                    self.count(&part, &report, began.elapsed());
                    self.acknowledged.push(began, part.rows);
                }
                Err(StoreError::Data(source)) => {
                    if part.rows.len() > 1 {
                        let half = part.halve();
                        parts.push((half, 0));
                        parts.push((part, 0));
                        continue;
                    }
                    self.stats.store.dropped_refused.inc();
                    if let Some(row) = part.rows.first() {
                        tracing::error!(series = row.series_id, slot = row.slot, error = %source, "PostgreSQL refused a result; it is dropped");
                    }
                }
                Err(error) => {
                    self.stats.store.retries.inc();
                    if !self.was_away && !matches!(error, StoreError::Retry(_)) {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "results wait: a batch could not be stored"
                        );
                    }
                    self.was_away |= !matches!(error, StoreError::Retry(_));
                    if give_up.is_cancelled() {
                        tracing::error!(
                            rows = part.rows.len(),
                            "results are lost: there was no time left to store them"
                        );
                        return;
                    }
                    refusals += u32::from(!error.is_transient());
                    // While the whole schema does not fit, no row is at fault.
                    if refusals > REPEATS && self.store.schema_check().await.is_ok() {
                        backoff = BACKOFF_MIN;
                        if part.rows.len() > 1 {
                            // Halves are halved at once; a single row has repeats of its own before it is dropped.
                            let half = part.halve();
                            for part in [half, part] {
                                let refusals = if part.rows.len() > 1 { REPEATS } else { 0 };
                                parts.push((part, refusals));
                            }
                            continue;
                        }
                        self.stats.store.dropped_statement.inc();
                        if let Some(row) = part.rows.first() {
                            tracing::error!(
                                series = row.series_id,
                                slot = row.slot,
                                error = &error as &dyn std::error::Error,
                                "PostgreSQL cannot store a result again and again; it is dropped"
                            );
                        }
                        continue;
                    }
                    parts.push((part, refusals));
                    self.note_level();
                    sleep_unless(backoff, give_up).await;
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                }
            }
        }
    }

    fn count(&mut self, part: &Batch, report: &BatchReport, took: Duration) {
        let stats = &self.stats.store;
        let BatchReport {
            stored,
            duplicate,
            dropped_gone,
            dropped_cleared,
            dropped_out_of_range,
            late,
            transitions: _,
        } = report;
        stats.batches.inc();
        stats.batch_us.add(took.as_micros() as u64);
        stats.stored.add(stored.len() as u64);
        stats.duplicate.add(*duplicate as u64);
        stats.dropped_gone.add(*dropped_gone as u64);
        stats.dropped_cleared.add(*dropped_cleared as u64);
        stats.dropped_out_of_range.add(*dropped_out_of_range as u64);
        stats.late.add(*late as u64);
        for &at in stored {
            if let (Some(row), Some(meter)) = (part.rows.get(at), part.meters.get(at)) {
                meter.stored(row);
                self.histograms.observe(meter.name().probe, row);
            }
        }
    }

    /// Sends once more what was acknowledged within the last minute.
    async fn resend(&mut self, give_up: &CancellationToken) {
        self.acknowledged.forget_old(Instant::now());
        let batches: Vec<Arc<Vec<NewResult>>> =
            self.acknowledged.batches.iter().map(|(_, rows)| rows.clone()).collect();
        let total: usize = batches.iter().map(|rows| rows.len()).sum();
        let mut healed = 0;
        for rows in batches {
            if give_up.is_cancelled() {
                return;
            }
            match self.store.result_write_batch(&rows).await {
                Ok(report) => {
                    self.stats.store.resent.add(rows.len() as u64);
                    healed += report.stored.len();
                }
                Err(error) => {
                    // The next batch that fails or succeeds starts this again.
                    self.was_away = true;
                    tracing::debug!(error = &error as &dyn std::error::Error, "sending again was interrupted");
                    return;
                }
            }
        }
        if total > 0 {
            tracing::info!(sent = total, restored = healed, "results of the last minute sent again after a reconnect");
        }
    }

    fn note_in_hand(&self, batch: &Batch) {
        let oldest = batch.rows.iter().map(|row| row.slot).min().unwrap_or(0);
        self.stats.store.backlog_from.set(u64::try_from(oldest).unwrap_or(0));
    }

    fn note_level(&self) {
        let level = self.buffer.level();
        self.stats.store.buffered.set(level.rows as u64);
        self.stats.store.buffered_bytes.set(level.bytes as u64);
        self.stats.store.dropped_overflow.set(level.dropped);
    }
}

async fn sleep_unless(pause: Duration, ended: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = ended.cancelled() => {}
    }
}

/// Batches that PostgreSQL has acknowledged lately.
#[derive(Debug, Default)]
struct Acknowledged {
    batches: VecDeque<(Instant, Arc<Vec<NewResult>>)>,
    bytes: usize,
}

fn bytes_of(rows: &[NewResult]) -> usize {
    rows.iter().map(NewResult::bytes).sum()
}

impl Acknowledged {
    fn push(&mut self, at: Instant, rows: Vec<NewResult>) {
        self.bytes += bytes_of(&rows);
        self.batches.push_back((at, Arc::new(rows)));
        self.forget_old(at);
        while self.bytes > RESEND_BYTES && self.forget_first() {}
    }

    fn forget_old(&mut self, now: Instant) {
        while self.batches.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > RESEND_FOR) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) -> bool {
        let Some((_, rows)) = self.batches.pop_front() else { return false };
        self.bytes -= bytes_of(&rows);
        true
    }
}

/// How many results come, smoothed over some seconds.
#[derive(Debug)]
struct LiveRate {
    at: Instant,
    pushed: u64,
    per_second: f64,
}

impl LiveRate {
    fn new(now: Instant) -> Self {
        Self { at: now, pushed: 0, per_second: 0.0 }
    }

    fn observe(&mut self, now: Instant, pushed: u64) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        if passed < 0.5 {
            return;
        }
        let rate = (pushed - self.pushed) as f64 / passed;
        self.per_second += (rate - self.per_second) * (passed / 5.0).min(1.0);
        (self.at, self.pushed) = (now, pushed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::tests::pending;

    #[test]
    fn acknowledged_batches_are_bounded_in_time_and_bytes() {
        let mut kept = Acknowledged::default();
        let start = Instant::now();
        let rows = |slot| vec![pending(1, slot, 1_000).row; 1_000];
        kept.push(start, rows(0));
        kept.push(start + Duration::from_secs(30), rows(1));
        kept.push(start + Duration::from_secs(61), rows(2));
        assert_eq!(kept.batches.len(), 2, "what is older than a minute goes");
        for slot in 3..100 {
            kept.push(start + Duration::from_secs(61), rows(slot));
            assert!(kept.bytes <= RESEND_BYTES);
        }
        assert!(kept.batches.len() > 5);
    }

    #[test]
    fn the_live_rate_follows_what_comes() {
        let start = Instant::now();
        let mut rate = LiveRate::new(start);
        for second in 1..=30 {
            rate.observe(start + Duration::from_secs(second), second * 1_000);
        }
        assert!((990.0..=1_010.0).contains(&rate.per_second), "{}", rate.per_second);
    }
}
