//! Membership and ownership: heartbeat, clock, shards, definitions, requests. One task, so that nothing here races.
//!
//! One statement every two seconds is heartbeat, clock measurement and poll at once. It is sent only if the probe loop has
//! ticked since the last one: who does not probe shall not look alive.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nanomon_core::slot;
use nanomon_sql::notify::{Channel, Wakeup};
use nanomon_sql::runners::{Heartbeat, HeartbeatAnswer};
use nanomon_sql::{PoolId, RunnerId, Slot, Store, StoreError};
use tokio::sync::{Notify, broadcast, mpsc};
use tokio_util::sync::CancellationToken;

use crate::buffer::Buffer;
use crate::catalog::Catalog;
use crate::clock::{ServerClock, Step};
use crate::requests::Requests;
use crate::scheduler::Command;
use crate::stats::Stats;
use crate::window::{Window, is_wanted, needs_cut, window_of};

/// Time between two heartbeats.
pub const BEAT: Duration = Duration::from_secs(2);
/// Wake-ups cause an earlier heartbeat, but not more often than this.
const BEAT_MIN: Duration = Duration::from_millis(200);
/// While shards are on their way, PostgreSQL is asked this often.
const MOVING_BEAT: Duration = Duration::from_millis(500);
/// And a heartbeat that takes longer has failed.
const MOVING_PATIENCE: Duration = Duration::from_secs(1);
/// Definitions are loaded for about this long between two heartbeats: who loads many shall not look dead meanwhile.
const LOAD_FOR: Duration = Duration::from_secs(1);
/// Slots before a cut may start this much after it (milliseconds): a tick, and what a busy machine adds.
const LINGER_MS: i64 = 1_000;
/// Time between two comparisons of all revisions.
const COMPARE: Duration = Duration::from_mins(10);
/// A heartbeat that takes longer has failed.
const BEAT_PATIENCE: Duration = Duration::from_secs(5);
/// Results that wait longer than this are a backlog (seconds).
const BACKLOG_S: Slot = 10;
/// Silent for longer: nobody who could take a shard over (seconds).
const DEAD_S: f64 = 6.0;
/// Without PostgreSQL nobody can take shards over: a leaving runner does not wait longer than this for it.
const DRAIN_BLIND: Duration = Duration::from_secs(5);

/// What the steward works with.
pub struct StewardParts {
    /// The database.
    pub store: Store,
    /// This runner.
    pub runner_id: RunnerId,
    /// Its pool.
    pub pool_id: PoolId,
    /// The clock that it keeps.
    pub clock: Arc<ServerClock>,
    /// Counters.
    pub stats: Arc<Stats>,
    /// Asked for the oldest result that waits.
    pub buffer: Arc<Buffer>,
    /// Definitions.
    pub catalog: Catalog,
    /// Run now and drafts.
    pub requests: Requests,
    /// The probe thread.
    pub commands: mpsc::UnboundedSender<Command>,
    /// Tells the recorder that a connection has come back.
    pub reconnected: Arc<Notify>,
}

/// The next wake-up; never, if there is no listener.
async fn next_wakeup(wakeups: &mut Option<broadcast::Receiver<Wakeup>>) -> Result<Wakeup, broadcast::error::RecvError> {
    match wakeups {
        Some(receiver) => receiver.recv().await,
        None => std::future::pending().await,
    }
}

/// The steward of one runner.
pub struct Steward {
    parts: StewardParts,
    windows: BTreeMap<i16, Window>,
    /// Epoch of the map that was applied in full.
    epoch: Option<i64>,
    /// Shards of ours whose definitions are still to be loaded.
    is_loading: bool,
    ticks: u64,
    started: u64,
    beat_at: Instant,
    compared_at: Instant,
    /// PostgreSQL's time of the newest answered heartbeat, in milliseconds.
    heard_ms: i64,
    was_away: bool,
    draining: bool,
    /// Joining again gave this runner another id.
    became: Option<RunnerId>,
}

/// This runner's id was given to another one while it was away; only a process that begins anew can go on.
#[derive(Debug, thiserror::Error)]
#[error("runner {was} was away for so long that its id is another's; it is runner {is} now and must begin anew")]
pub struct Displaced {
    was: RunnerId,
    is: RunnerId,
}

impl Steward {
    /// One that owns nothing yet.
    pub fn new(parts: StewardParts) -> Self {
        let now = Instant::now();
        Self {
            parts,
            windows: BTreeMap::new(),
            epoch: None,
            is_loading: false,
            ticks: 0,
            started: 0,
            beat_at: now,
            compared_at: now,
            heard_ms: 0,
            was_away: false,
            draining: false,
            became: None,
        }
    }

    /// Works until `stop`, then hands over while probing on; returns when others have the shards, when there is nobody to
    /// have them, or after `drain`. Fails if its id is another runner's by now.
    pub async fn run(
        mut self,
        mut wakeups: Option<broadcast::Receiver<Wakeup>>,
        stop: CancellationToken,
        drain: Duration,
    ) -> Result<(), Displaced> {
        while !stop.is_cancelled() {
            self.round().await;
            if let Some(is) = self.became {
                return Err(Displaced { was: self.parts.runner_id, is });
            }
            let pause = self.wait(&mut wakeups);
            tokio::select! {
                () = pause => {}
                () = stop.cancelled() => {}
            }
        }
        if !drain.is_zero() {
            self.drain(Instant::now() + drain).await;
        }
        Ok(())
    }

    /// Waits for the next heartbeat or an earlier reason for one.
    async fn wait(&self, wakeups: &mut Option<broadcast::Receiver<Wakeup>>) {
        let next = self.beat_at + if self.is_giving() || self.is_loading { MOVING_BEAT } else { BEAT };
        loop {
            let wakeup = tokio::select! {
                () = tokio::time::sleep_until(next.into()) => return,
                wakeup = next_wakeup(wakeups) => wakeup,
            };
            match wakeup {
                Ok(Wakeup::Notified(Channel::States)) => {}
                Ok(Wakeup::Notified(Channel::Monitors | Channel::Shards | Channel::ProbeRequests)) => break,
                Ok(Wakeup::Reconnected) | Err(broadcast::error::RecvError::Lagged(_)) => {
                    self.parts.reconnected.notify_one();
                    break;
                }
                Err(broadcast::error::RecvError::Closed) => *wakeups = None,
            }
        }
        tokio::time::sleep_until((self.beat_at + BEAT_MIN).into()).await;
        // What came meanwhile is answered by the same heartbeat.
        while wakeups.as_mut().is_some_and(|receiver| receiver.try_recv().is_ok()) {}
    }

    /// One heartbeat, and what follows from its answer.
    async fn round(&mut self) {
        match self.beat().await {
            Ok(Some(answer)) => {
                if std::mem::take(&mut self.was_away) {
                    tracing::info!("PostgreSQL is back");
                    self.parts.reconnected.notify_one();
                }
                if let Err(error) = self.react(answer).await {
                    // The next heartbeat tries again; what is known stays.
                    tracing::debug!(
                        error = &error as &dyn std::error::Error,
                        "reading the map or the definitions was interrupted"
                    );
                }
            }
            Ok(None) => self.parts.stats.member.heartbeats_withheld.inc(),
            Err(error) => {
                self.parts.stats.member.heartbeat_failures.inc();
                self.is_loading = false;
                self.hold_on();
                if !std::mem::replace(&mut self.was_away, true) {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "PostgreSQL is away: probing goes on, results wait"
                    );
                }
            }
        }
    }

    /// `None`: withheld, for the probe loop has not ticked.
    async fn beat(&mut self) -> Result<Option<HeartbeatAnswer>, StoreError> {
        let stats = &self.parts.stats;
        let elapsed = self.beat_at.elapsed().as_secs_f64().max(0.001);
        let last_beat = std::mem::replace(&mut self.beat_at, Instant::now());
        let ticks = stats.probe.ticks.get();
        if ticks == self.ticks && last_beat.elapsed() >= BEAT / 2 {
            return Ok(None);
        }
        self.ticks = ticks;
        let started = stats.probe.started.get();
        let offset_ms = self.parts.clock.offset_to_system_ms();
        let beat = Heartbeat {
            runner_id: self.parts.runner_id,
            identity: self.parts.requests.identity().to_owned(),
            backlog_from: self.backlog_from(),
            rate: ((started - self.started) as f64 / elapsed) as f32,
            lag_ms: i32::try_from(stats.probe.lag_ms.take()).unwrap_or(i32::MAX),
            offset_ms: i32::try_from(offset_ms).unwrap_or(i32::MAX),
            draining: self.draining,
        };
        self.started = started;
        let sent = Instant::now();
        let patience = if self.is_giving() { MOVING_PATIENCE } else { BEAT_PATIENCE };
        let answer = match tokio::time::timeout(patience, self.parts.store.runner_heartbeat(&beat)).await {
            Ok(answer) => answer?,
            Err(elapsed) => return Err(StoreError::Unavailable(Box::new(elapsed))),
        };
        let received = Instant::now();
        let step = self.parts.clock.observe(sent, received, answer.now_us);
        let member = &self.parts.stats.member;
        if step == Step::Jumped && member.heartbeats.get() > 0 {
            member.clock_jumps.inc();
            tracing::warn!(
                offset_ms = self.parts.clock.offset_to_system_ms(),
                "PostgreSQL's clock has jumped; slots are planned anew"
            );
        }
        self.heard_ms = answer.now_us / 1000;
        member.heartbeats.inc();
        member.round_trip_us.set((received - sent).as_micros() as u64);
        member.clock_offset_ms.store(self.parts.clock.offset_to_system_ms(), Ordering::Relaxed);
        member.heartbeat_at.set(u64::try_from(answer.now_us / 1_000_000).unwrap_or(0));
        Ok(Some(answer))
    }

    /// The oldest slot that is not stored, if it has waited for long.
    fn backlog_from(&self) -> Option<Slot> {
        let in_hand = Slot::try_from(self.parts.stats.store.backlog_from.get()).ok().filter(|slot| *slot > 0);
        let oldest = in_hand.into_iter().chain(self.parts.buffer.oldest()).min()?;
        (slot::key(self.parts.clock.now_ms()) - oldest > BACKLOG_S).then_some(oldest)
    }

    async fn react(&mut self, answer: HeartbeatAnswer) -> Result<(), StoreError> {
        let HeartbeatAnswer { now_us: _, map_epoch, catalog_rev, requests_waiting, known } = answer;
        if !known {
            // Declared dead and removed, perhaps while this process was stopped: its shards are others' by now.
            tracing::warn!("this runner's row is gone; it joins again");
            let id = self.parts.requests.register().await?;
            self.epoch = None;
            if id != self.parts.runner_id {
                // So long ago that its id is another's by now: nothing that this process knows holds any more.
                self.became = Some(id);
                return Ok(());
            }
        }
        if self.epoch != Some(map_epoch) {
            self.read_map().await?;
        }
        if self.parts.catalog.rev() < catalog_rev {
            self.parts.catalog.follow().await?;
        }
        if self.compared_at.elapsed() > COMPARE {
            self.parts.catalog.compare().await?;
            self.compared_at = Instant::now();
        }
        if requests_waiting {
            self.parts.requests.claim().await?;
        }
        Ok(())
    }

    /// Reads which shards are ours. Slots that are no longer ours are given up before definitions are loaded, and a cut is
    /// set only when they are. What takes longer goes on after the next heartbeat.
    async fn read_map(&mut self) -> Result<(), StoreError> {
        let me = self.parts.runner_id;
        let (epoch, mut rows) = self.parts.store.shard_list_of(me).await?;
        rows.retain(|row| row.pool_id == self.parts.pool_id && is_wanted(row, me));
        let wanted: BTreeSet<i16> = rows.iter().map(|row| row.bucket).collect();
        let now = self.parts.clock.now_ms();
        // Slots just before a cut may still start: a shard that was given away is forgotten a little after it.
        let lingers = |window: &Window| window.until != i64::MAX && now < window.until.saturating_add(LINGER_MS);
        let missing = self.windows.iter().filter(|(bucket, _)| !wanted.contains(bucket));
        let (lingering, gone): (Vec<_>, Vec<_>) = missing.partition(|(_, window)| lingers(window));
        let is_lingering = !lingering.is_empty();
        let gone: BTreeSet<i16> = gone.into_iter().map(|(bucket, _)| *bucket).collect();
        let mut changes: Vec<(i16, Window)> = gone.iter().map(|bucket| (*bucket, Window::CLOSED)).collect();
        for row in rows.iter().filter(|row| self.windows.contains_key(&row.bucket)) {
            changes.push((row.bucket, window_of(row, me, self.windows[&row.bucket])));
        }
        self.apply(&changes);
        self.windows.retain(|bucket, _| !gone.contains(bucket));
        self.parts.catalog.forget(&gone);
        let fresh: Vec<i16> = wanted.iter().filter(|b| !self.parts.catalog.buckets().contains(b)).copied().collect();
        self.parts.catalog.load_for(&fresh, LOAD_FOR).await?;
        rows.retain(|row| self.parts.catalog.buckets().contains(&row.bucket));
        self.is_loading = rows.len() < wanted.len();
        let opened: Vec<(i16, Window)> = rows
            .iter()
            .filter(|row| !self.windows.contains_key(&row.bucket))
            .map(|row| (row.bucket, window_of(row, me, Window::CLOSED)))
            .collect();
        self.apply(&opened);
        let uncut: Vec<i16> = rows.iter().filter(|row| needs_cut(row, me)).map(|row| row.bucket).collect();
        if !uncut.is_empty() {
            let cuts = self.parts.store.shard_cut_batch(me, &uncut).await?;
            let cuts: Vec<(i16, Window)> =
                cuts.into_iter().map(|(bucket, cut)| (bucket, Window { from: cut, until: i64::MAX })).collect();
            self.apply(&cuts);
        }
        self.epoch = (!is_lingering && !self.is_loading).then_some(epoch);
        if !opened.is_empty() || !gone.is_empty() {
            tracing::info!(shards = wanted.len(), came = opened.len(), left = gone.len(), "the shards have changed");
        }
        Ok(())
    }

    /// Whether a cut lies ahead at which shards of ours go to another runner.
    fn is_giving(&self) -> bool {
        let now = self.parts.clock.now_ms();
        self.windows.values().any(|window| window.is_open() && window.until != i64::MAX && window.until > now)
    }

    /// PostgreSQL cannot be asked: cuts that lay ahead when it could be are not honoured, for the new owner may not know
    /// of them. It runs both then, which the results' key absorbs. What stands is read when PostgreSQL is back.
    fn hold_on(&mut self) {
        let uncertain = |window: &Window| window.is_open() && window.until != i64::MAX && window.until > self.heard_ms;
        let kept: Vec<(i16, Window)> = self
            .windows
            .iter()
            .filter(|(_, window)| uncertain(window))
            .map(|(bucket, window)| (*bucket, Window { until: i64::MAX, ..*window }))
            .collect();
        if !kept.is_empty() {
            self.epoch = None;
            self.apply(&kept);
        }
    }

    /// Remembers windows and tells the probe thread those that differ.
    fn apply(&mut self, windows: &[(i16, Window)]) {
        let mut changed = Vec::new();
        for (bucket, window) in windows {
            if self.windows.get(bucket) != Some(window) {
                changed.push((*bucket as u16, *window));
            }
            self.windows.insert(*bucket, *window);
        }
        let open = self.windows.values().filter(|window| window.is_open()).count();
        self.parts.stats.member.shards.set(open as u64);
        if !changed.is_empty() {
            // The probe thread is gone only when the runner stops.
            let _ = self.parts.commands.send(Command::Windows(changed));
        }
    }

    /// Hands over while probing on.
    async fn drain(mut self, deadline: Instant) {
        self.draining = true;
        let mut heard = Instant::now();
        while Instant::now() < deadline {
            self.round().await;
            if !self.was_away {
                heard = Instant::now();
            }
            if self.became.is_some() || self.is_rid() || heard.elapsed() > DRAIN_BLIND {
                return;
            }
            if !self.was_away && !self.has_heir().await {
                return;
            }
            tokio::time::sleep(MOVING_BEAT).await;
        }
        tracing::warn!("leaving though not all shards have been taken over");
    }

    /// Whether no slot is ours any more, those that start a little late included.
    fn is_rid(&self) -> bool {
        let now = self.parts.clock.now_ms();
        self.windows.values().all(|window| !window.is_open() || window.until.saturating_add(LINGER_MS) <= now)
    }

    /// Whether anybody could take our shards over.
    async fn has_heir(&self) -> bool {
        match self.parts.store.runner_list().await {
            Ok(runners) => runners.iter().any(|runner| {
                runner.id != self.parts.runner_id
                    && runner.pool_id == self.parts.pool_id
                    && !runner.draining
                    && runner.silent_s < DEAD_S
            }),
            // Not known: the deadline decides.
            Err(_) => true,
        }
    }
}
