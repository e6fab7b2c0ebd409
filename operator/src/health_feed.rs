//! From folded results to the target's half of the status.
//!
//! Transitions come by NOTIFY and, in case one was lost, by a look every few seconds; last values and staleness by a look
//! at the whole board twice a minute.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use nanomon_core::verdict::Status;
use nanomon_crds::v1alpha1::status::{PoolState, TargetState};
use nanomon_sql::board::{HealthRow, SeriesBoard};
use nanomon_sql::notify::{Channel, Wakeup};
use nanomon_sql::{MonitorId, PoolId, Store, StoreError};
use tokio::sync::broadcast;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::objects::{Entry, Health, Key, Memory};
use crate::status_writer::Outbox;

/// Between two looks without a wake-up.
const POLL: Duration = Duration::from_secs(5);
/// Wake-ups within this time are one.
const GATHER: Duration = Duration::from_millis(500);
/// Between two looks at the whole board.
const SURVEY: Duration = Duration::from_secs(30);
/// Changes are read again for this long: more than any transaction lasts.
const OVERLAP: Duration = Duration::from_secs(15);

/// What the feed needs.
pub(crate) struct HealthFeed {
    pub store: Store,
    pub memory: Arc<Memory>,
    pub outbox: Outbox,
    pub metrics: Metrics,
    pub wakeups: broadcast::Receiver<Wakeup>,
}

/// What has been read so far.
#[derive(Default)]
struct Read {
    /// PostgreSQL's time of the last look at changes.
    at: Option<Timestamp>,
    rows: HashMap<MonitorId, HealthRow>,
    pools: HashMap<PoolId, String>,
}

impl HealthFeed {
    /// Feeds until `stop`. Works on every replica, so that a new leader knows at once; only the leader writes.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut read = Read::default();
        let mut survey = interval(SURVEY);
        survey.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look = Instant::now();
        loop {
            let whole = tokio::select! {
                () = stop.cancelled() => return,
                _ = survey.tick() => true,
                () = sleep_until(look) => false,
                wakeup = self.wakeups.recv() => match wakeup {
                    Ok(Wakeup::Notified(Channel::States)) => {
                        look = look.min(Instant::now() + GATHER);
                        continue;
                    }
                    Ok(Wakeup::Notified(_)) => continue,
                    Ok(Wakeup::Reconnected) | Err(broadcast::error::RecvError::Lagged(_)) => false,
                    Err(broadcast::error::RecvError::Closed) => return,
                },
            };
            look = Instant::now() + POLL;
            let result = if whole { self.survey(&mut read).await } else { self.changes(&mut read).await };
            if let Err(error) = result {
                self.metrics.sync_error(error.category());
                tracing::debug!(%error, "the board cannot be read");
            }
        }
    }

    /// Reads what changed lately and notes it.
    async fn changes(&self, read: &mut Read) -> Result<(), StoreError> {
        let since = read.at.and_then(|at| at.checked_sub(OVERLAP).ok());
        let (now, rows) = self.store.health_changes(since).await?;
        // Rows that the sync has come to know meanwhile: their changes were read before anybody could place them.
        let mut wanted = self.memory.lock().take_unread();
        for row in rows {
            let id = row.monitor_id;
            if read.rows.get(&id) != Some(&row) {
                read.rows.insert(id, row);
                wanted.push(id);
            }
        }
        read.at = Some(now);
        if !wanted.is_empty() {
            let board = self.store.board_read_of(&wanted).await?;
            self.pools(read, &board).await?;
            self.note(read, &board, now, false);
        }
        Ok(())
    }

    /// Reads the state of everything and notes it.
    async fn survey(&self, read: &mut Read) -> Result<(), StoreError> {
        self.changes(read).await?;
        let board = self.store.board_read().await?;
        self.pools(read, &board).await?;
        let Some(now) = read.at else { return Ok(()) };
        self.note(read, &board, now, true);
        let known: std::collections::HashSet<MonitorId> = board.iter().map(|series| series.monitor_id).collect();
        read.rows.retain(|id, _| known.contains(id));
        Ok(())
    }

    async fn pools(&self, read: &mut Read, board: &[SeriesBoard]) -> Result<(), StoreError> {
        if board.iter().any(|series| !read.pools.contains_key(&series.pool_id)) {
            read.pools = self.store.pool_list().await?.into_iter().map(|pool| (pool.id, pool.name)).collect();
        }
        Ok(())
    }

    fn note(&self, read: &Read, board: &[SeriesBoard], now: Timestamp, refresh: bool) {
        let mut by_monitor: HashMap<MonitorId, Vec<&SeriesBoard>> = HashMap::new();
        for series in board {
            by_monitor.entry(series.monitor_id).or_default().push(series);
        }
        let mut changed: Vec<(Key, Option<std::time::Instant>)> = Vec::new();
        let mut values: Vec<Key> = Vec::new();
        {
            let mut objects = self.memory.lock();
            for (id, series) in by_monitor {
                let Some(key) = objects.key_of(id).cloned() else { continue };
                let Some(entry) = objects.entries.get_mut(&key) else { continue };
                let health = health(entry, read.rows.get(&id), &series, &read.pools, now.as_second());
                let seen = entry.seen.state;
                let moved = entry.health.as_ref().is_none_or(|old| {
                    (old.state, old.since, &old.failure_reason, old.stale)
                        != (health.state, health.since, &health.failure_reason, health.stale)
                        || old.pools != health.pools
                }) || seen != Some(health.state);
                let value = health.last_value != entry.seen.last_value;
                entry.health = Some(health);
                if moved {
                    changed.push((key, entry.health_written));
                } else if refresh && value {
                    values.push(key);
                }
            }
        }
        for (key, written) in changed {
            self.outbox.health(key, written);
        }
        for key in values {
            self.outbox.refresh(key);
        }
    }
}

fn state_of(status: Option<Status>) -> TargetState {
    match status {
        Some(Status::Ok) => TargetState::Ok,
        Some(Status::Error) => TargetState::Error,
        Some(Status::Failed) => TargetState::Failed,
        None => TargetState::Unknown,
    }
}

/// A monitor's health from its row and its series: pure.
fn health(
    entry: &Entry,
    row: Option<&HealthRow>,
    series: &[&SeriesBoard],
    pools: &HashMap<PoolId, String>,
    now: i64,
) -> Health {
    let newest = series.iter().max_by_key(|one| one.last_slot);
    let last_check = newest.and_then(|one| one.last_slot).map(i64::from);
    let state = state_of(row.and_then(|row| row.state));
    let worst = series.iter().find(|one| one.status.is_some() && state_of(one.status) == state).or(newest);
    let failure_reason = worst
        .filter(|one| state != TargetState::Ok && one.status.is_some_and(|status| status != Status::Ok))
        .map(|one| one.reason.as_str().to_owned());
    let interval = entry.judged.as_ref().map_or(60, |valid| valid.def.interval.as_secs().max(1) as i64);
    let suspended = entry.judged.as_ref().is_ok_and(|valid| valid.def.suspended);
    Health {
        state,
        since: row.filter(|row| row.state.is_some()).map(|row| i64::from(row.since)),
        failure_reason,
        last_check,
        last_value: newest.and_then(|one| one.value).map(|value| format!("{value:.1}")),
        pools: pool_states(series, pools),
        stale: !suspended && last_check.is_some_and(|at| now - at > (3 * interval).max(30)),
    }
}

fn pool_states(series: &[&SeriesBoard], pools: &HashMap<PoolId, String>) -> Vec<PoolState> {
    let mut states: Vec<PoolState> = series
        .iter()
        .filter_map(|one| {
            let since = one.status.and_then(|_| Timestamp::from_second(i64::from(one.since)).ok());
            Some(PoolState {
                name: pools.get(&one.pool_id)?.clone(),
                state: state_of(one.status),
                since: since.map(Time),
                failure_reason: one
                    .status
                    .filter(|status| *status != Status::Ok)
                    .map(|_| one.reason.as_str().to_owned()),
            })
        })
        .collect();
    states.sort_by(|a, b| a.name.cmp(&b.name));
    states
}
