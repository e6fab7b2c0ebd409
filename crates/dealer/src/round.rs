//! One look at the lease, the members and the map, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use nanomon_core::shard::{self, Runner};
use nanomon_sql::runners::RunnerRow;
use nanomon_sql::shards::{ShardMove, ShardRow};
use nanomon_sql::{PoolId, RunnerId, Store, StoreError};
use tokio_util::task::AbortOnDropHandle;

use crate::judge::{DEAD_AFTER, Judge, Member};
use crate::{DealerConfig, LEASE, LEASE_TTL, ROUND};

/// Time between two rounds while no pool has more than one runner and nothing moves: there is nobody to take anything over.
const CALM_ROUND: Duration = Duration::from_secs(2);
/// Time between two rounds just after the lease was taken, as long as there is no runner at all: one is about to join.
const EAGER_ROUND: Duration = Duration::from_millis(200);
/// For how long.
const EAGER: Duration = Duration::from_secs(10);
/// The lease is renewed this often.
const RENEW: Duration = Duration::from_secs(2);
/// Rates are looked at this often where several runners could share them.
const REBALANCE: Duration = Duration::from_secs(30);
/// Partitions and retention are seen to this often.
const MAINTAIN: Duration = Duration::from_hours(1);
/// And this soon after that failed.
const MAINTAIN_AGAIN: Duration = Duration::from_mins(1);
/// Monitors whose results stopped or came back are looked for this often.
const SWEEP: Duration = Duration::from_secs(5);

/// A competitor for the lease.
pub(crate) struct Dealer {
    store: Store,
    config: DealerConfig,
    held: Option<Held>,
    judge: Judge,
}

/// What is known while the lease is held.
struct Held {
    epoch: i64,
    taken_at: Instant,
    renewed_at: Instant,
    pools: BTreeMap<PoolId, Pool>,
    maintenance: Errand,
    sweep: Errand,
}

/// What is done again and again beside the rounds, for it may take longer than one. Ends when dropped.
struct Errand {
    due: Instant,
    running: Option<AbortOnDropHandle<bool>>,
}

impl Errand {
    fn new(due: Instant) -> Self {
        Self { due, running: None }
    }

    /// Whether to set out now: the last time it ended at least `again` ago, or `after_failure` if it failed.
    async fn is_due(&mut self, again: Duration, after_failure: Duration) -> bool {
        if let Some(task) = &mut self.running {
            if !task.is_finished() {
                return false;
            }
            let done = task.await.unwrap_or(false);
            self.running = None;
            self.due = Instant::now() + if done { again } else { after_failure };
        }
        Instant::now() >= self.due
    }

    /// Sets out; the work answers whether it is done.
    fn set_out(&mut self, work: impl Future<Output = bool> + Send + 'static) {
        self.running = Some(AbortOnDropHandle::new(tokio::spawn(work)));
    }
}

impl Held {
    /// When to look again.
    fn pause(&self) -> Duration {
        if self.pools.is_empty() && self.taken_at.elapsed() < EAGER {
            EAGER_ROUND
        } else if self.pools.values().all(|pool| pool.members.len() <= 1 && !pool.moving) {
            CALM_ROUND
        } else {
            ROUND
        }
    }
}

/// What is known of a pool.
#[derive(Default)]
struct Pool {
    /// Members as they were when the pool was dealt last: (id, leaving, silent).
    members: BTreeSet<(RunnerId, bool, bool)>,
    dealt_at: Option<Instant>,
    /// Shards are on their way from one runner to another.
    moving: bool,
    /// Dealing it failed the last time.
    failed: bool,
}

impl Dealer {
    pub(crate) fn new(store: Store, config: DealerConfig) -> Self {
        Self { store, config, held: None, judge: Judge::default() }
    }

    /// PostgreSQL could not be asked.
    pub(crate) fn interrupted(&mut self) {
        self.judge.interrupted();
        // Shorter than the lease lives, so that there are never two who believe to hold it: writes are fenced besides.
        if self.held.as_ref().is_some_and(|held| held.renewed_at.elapsed() >= LEASE_TTL) {
            self.lose();
        }
    }

    fn lose(&mut self) {
        self.judge.interrupted();
        self.held = None;
    }

    /// Gives the lease back.
    pub(crate) async fn release(&mut self) -> Result<(), StoreError> {
        if self.held.is_some() {
            self.lose();
            self.store.lease_release(LEASE, &self.config.holder).await?;
        }
        Ok(())
    }

    /// Does what is to be done now; answers when to look again.
    pub(crate) async fn round(&mut self) -> Result<Duration, StoreError> {
        if !self.hold().await? {
            return Ok(ROUND);
        }
        match self.deal().await {
            Err(StoreError::Fenced) => {
                tracing::info!("somebody else deals the shards now");
                self.lose();
            }
            result => result?,
        }
        self.maintain().await;
        self.sweep().await;
        Ok(self.held.as_ref().map_or(ROUND, Held::pause))
    }

    /// Takes or renews the lease; answers whether it is held.
    async fn hold(&mut self) -> Result<bool, StoreError> {
        if let Some(held) = &self.held
            && held.renewed_at.elapsed() < RENEW
        {
            return Ok(true);
        }
        if self.held.is_none() && !self.config.takeover_after.is_zero() {
            let idle = self.store.lease_idle(LEASE).await?;
            if idle.is_none_or(|idle| idle < self.config.takeover_after) {
                // Whoever could be reached by us could have beaten meanwhile: a successor need not begin to count when it
                // takes the lease, or a runner that died with the dealer would be replaced 6 s later.
                self.judge.read(Instant::now());
                return Ok(false);
            }
        }
        let asked_at = Instant::now();
        let lease = self.store.lease_take(LEASE, &self.config.holder, LEASE_TTL).await?;
        match (lease, &mut self.held) {
            (Some(lease), Some(held)) if held.epoch == lease.epoch => held.renewed_at = asked_at,
            (Some(lease), held) => {
                if held.is_some() {
                    self.lose();
                }
                tracing::info!(epoch = lease.epoch, "dealing the shards from now on");
                self.held = Some(Held {
                    epoch: lease.epoch,
                    taken_at: asked_at,
                    renewed_at: asked_at,
                    pools: BTreeMap::new(),
                    maintenance: Errand::new(asked_at),
                    sweep: Errand::new(asked_at),
                });
            }
            (None, Some(_)) => {
                tracing::info!("somebody else deals the shards now");
                self.lose();
            }
            (None, None) => {}
        }
        Ok(self.held.is_some())
    }

    /// Looks at the members of all pools, and deals where something has changed.
    async fn deal(&mut self) -> Result<(), StoreError> {
        let Some(held) = &mut self.held else { return Ok(()) };
        let lease_epoch = held.epoch;
        let rows = self.store.runner_list().await?;
        let now = Instant::now();
        self.judge.read(now);
        let mut pools: BTreeMap<PoolId, Vec<RunnerRow>> = BTreeMap::new();
        for row in rows {
            pools.entry(row.pool_id).or_default().push(row);
        }
        held.pools.retain(|id, _| pools.contains_key(id));
        for (pool_id, mut rows) in pools {
            let members: Vec<Member> = rows
                .iter()
                .map(|row| Member { id: row.id, silent: Duration::from_secs_f64(row.silent_s.max(0.0)) })
                .collect();
            let dead = self.judge.dead(&members, now);
            let pool = held.pools.entry(pool_id).or_default();
            let dealt = async {
                bury(&self.store, &mut rows, &dead).await?;
                deal_pool(&self.store, lease_epoch, pool_id, pool, &rows, now).await
            };
            match dealt.await {
                Ok(()) => pool.failed = false,
                Err(error @ (StoreError::Unavailable(_) | StoreError::Fenced)) => return Err(error),
                // PostgreSQL answers: other pools are dealt, and silence is judged on. The next round tries again.
                Err(error) => {
                    if !std::mem::replace(&mut pool.failed, true) {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(pool = pool_id, error, "dealing the shards of a pool failed");
                    }
                }
            }
        }
        Ok(())
    }

    /// Sees to partitions and retention, beside the rounds: it may take longer than one.
    async fn maintain(&mut self) {
        let Some(held) = &mut self.held else { return };
        if !held.maintenance.is_due(MAINTAIN, MAINTAIN_AGAIN).await {
            return;
        }
        let (store, retention) = (self.store.clone(), self.config.retention);
        held.maintenance.set_out(async move {
            match store.maintain(&retention).await {
                Ok(done) => {
                    if !done.created.is_empty() || !done.dropped.is_empty() {
                        tracing::info!(
                            created = done.created.len(),
                            dropped = done.dropped.len(),
                            "partitions seen to"
                        );
                    }
                    true
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "seeing to partitions and retention failed"
                    );
                    false
                }
            }
        });
    }

    /// Looks at monitors whose results stopped or came back. Silence is judged by who has read for a full timeout itself:
    /// after an outage everything looks silent.
    async fn sweep(&mut self) {
        let Some(held) = &mut self.held else { return };
        if !self.judge.is_ready(Instant::now()) || !held.sweep.is_due(SWEEP, SWEEP).await {
            return;
        }
        let store = self.store.clone();
        held.sweep.set_out(async move {
            match store.health_sweep().await {
                Ok(0) => true,
                Ok(monitors) => {
                    tracing::info!(monitors, "results have stopped or come back");
                    true
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "looking for silent monitors was interrupted"
                    );
                    false
                }
            }
        });
    }
}

fn is_silent(row: &RunnerRow) -> bool {
    row.silent_s >= DEAD_AFTER.as_secs_f64()
}

/// Removes the dead from the members.
async fn bury(store: &Store, rows: &mut Vec<RunnerRow>, dead: &[RunnerId]) -> Result<(), StoreError> {
    let mut gone = BTreeSet::new();
    for row in rows.iter().filter(|row| dead.contains(&row.id)) {
        // Not if it was heard since, or if this judgement is old because we were frozen.
        if store.runner_bury(row.id, DEAD_AFTER).await? {
            tracing::warn!(runner = row.id, name = row.name, silent_s = row.silent_s, "a runner is dead");
            gone.insert(row.id);
        }
    }
    rows.retain(|row| !gone.contains(&row.id));
    Ok(())
}

async fn deal_pool(
    store: &Store,
    lease_epoch: i64,
    pool_id: PoolId,
    pool: &mut Pool,
    rows: &[RunnerRow],
    now: Instant,
) -> Result<(), StoreError> {
    if pool.moving {
        // Only as long as something moves; then it is one cheap look a second.
        store.shard_settle(lease_epoch).await?;
    }
    let members: BTreeSet<_> = rows.iter().map(|row| (row.id, row.draining, is_silent(row))).collect();
    let overdue = pool.dealt_at.is_none_or(|at| now.saturating_duration_since(at) > REBALANCE);
    let changed = members != pool.members;
    if !changed && !pool.moving && !(overdue && (rows.len() > 1 || pool.dealt_at.is_none())) {
        return Ok(());
    }
    let (_, map) = store.shard_list(pool_id).await?;
    pool.moving = map.iter().any(|shard| shard.next.is_some());
    if !changed && !overdue {
        return Ok(());
    }
    let rates = if rows.len() > 1 { store.shard_rates(pool_id).await? } else { Vec::new() };
    let moves = plan(&map, rows, &rates);
    if !moves.is_empty() {
        store.shard_move_batch(lease_epoch, pool_id, &moves).await?;
        pool.moving |= moves.iter().any(|change| !change.at_once);
        tracing::info!(pool = pool_id, moved = moves.len(), runners = rows.len(), "shards dealt");
    }
    pool.members = members;
    pool.dealt_at = Some(now);
    Ok(())
}

/// Which shards go where. Shards of runners that are silent but not judged dead stay, and such runners get nothing. Pure.
pub(crate) fn plan(map: &[ShardRow], rows: &[RunnerRow], rates: &[(i16, f64)]) -> Vec<ShardMove> {
    let is_member = |id: RunnerId| rows.iter().any(|row| row.id == id);
    let silent: BTreeSet<RunnerId> = rows.iter().filter(|row| is_silent(row)).map(|row| row.id).collect();
    let live: Vec<Runner> = rows
        .iter()
        .filter(|row| !silent.contains(&row.id))
        .map(|row| Runner { id: row.id, draining: row.draining })
        .collect();
    let rates: BTreeMap<i16, f64> = rates.iter().copied().collect();
    let dealt: Vec<&ShardRow> =
        map.iter().filter(|shard| !shard.next.or(shard.owner).is_some_and(|id| silent.contains(&id))).collect();
    let owners: Vec<Option<RunnerId>> = dealt.iter().map(|shard| shard.next.or(shard.owner)).collect();
    let weights: Vec<f64> = dealt.iter().map(|shard| rates.get(&shard.bucket).copied().unwrap_or(0.0)).collect();
    let mut moves: BTreeMap<i16, ShardMove> = BTreeMap::new();
    for change in shard::deal(&live, &owners, &weights) {
        let row = dealt[usize::from(change.bucket)];
        let orphan = !row.owner.is_some_and(is_member);
        // Past the cut a handover cannot be undone: if the new one is gone, slots from the cut on are nobody's.
        let stranded = row.cut_at_ms.is_some() && !row.next.is_some_and(is_member);
        let going = row.cut_at_ms.is_some() && !orphan && !stranded;
        if !going {
            moves.insert(row.bucket, ShardMove { bucket: row.bucket, to: change.to, at_once: orphan || stranded });
        }
    }
    // The old owner died before it could hand over: who was to have the shard has it at once.
    for row in dealt {
        if let Some(next) = row.next
            && !moves.contains_key(&row.bucket)
            && !row.owner.is_some_and(is_member)
        {
            moves.insert(row.bucket, ShardMove { bucket: row.bucket, to: next, at_once: true });
        }
    }
    moves.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runner(id: RunnerId, silent_s: f64, draining: bool) -> RunnerRow {
        RunnerRow {
            id,
            identity: id.to_string(),
            name: id.to_string(),
            pool_id: 1,
            last_seen: "2026-01-01T00:00:00Z".parse().unwrap(),
            silent_s,
            backlog_from: None,
            rate: 0.0,
            lag_ms: 0,
            offset_ms: 0,
            draining,
            version: String::new(),
        }
    }

    fn shard(bucket: i16, owner: Option<RunnerId>, next: Option<RunnerId>, cut_at_ms: Option<i64>) -> ShardRow {
        ShardRow { pool_id: 1, bucket, owner, next, cut_at_ms }
    }

    fn to_all(moves: &[ShardMove]) -> BTreeSet<(i16, RunnerId, bool)> {
        moves.iter().map(|m| (m.bucket, m.to, m.at_once)).collect()
    }

    #[test]
    fn orphans_go_at_once_and_the_living_hand_over() {
        let map: Vec<ShardRow> = (0..8).map(|bucket| shard(bucket, None, None, None)).collect();
        let first = plan(&map, &[runner(1, 0.0, false)], &[]);
        assert!(first.len() == 8 && first.iter().all(|m| m.to == 1 && m.at_once));
        let map: Vec<ShardRow> = (0..8).map(|bucket| shard(bucket, Some(1), None, None)).collect();
        let second = plan(&map, &[runner(1, 0.0, false), runner(2, 0.0, false)], &[]);
        assert!(second.len() == 4 && second.iter().all(|m| m.to == 2 && !m.at_once));
        let leaving = plan(&map, &[runner(1, 0.0, true), runner(2, 0.0, false)], &[]);
        assert!(leaving.len() == 8 && leaving.iter().all(|m| m.to == 2 && !m.at_once));
        let gone = plan(&map, &[runner(2, 0.0, false)], &[]);
        assert!(gone.len() == 8 && gone.iter().all(|m| m.to == 2 && m.at_once));
    }

    #[test]
    fn who_is_silent_but_not_judged_keeps_what_it_has_and_gets_nothing() {
        let map = [shard(0, Some(1), None, None), shard(1, None, None, None), shard(2, Some(2), None, None)];
        let moves = plan(&map, &[runner(1, 8.0, false), runner(2, 0.0, false)], &[]);
        assert_eq!(to_all(&moves), [(1, 2, true)].into());
    }

    #[test]
    fn a_handover_whose_cut_is_set_goes_on_unless_somebody_died() {
        let both = [runner(1, 0.0, false), runner(2, 0.0, false), runner(3, 0.0, false)];
        let map = [shard(0, Some(1), Some(2), Some(5)), shard(1, Some(1), Some(2), Some(5))];
        assert_eq!(plan(&map, &both, &[]), [], "what is cut is not moved on");
        // The new one died: slots after the cut would be nobody's.
        let moves = plan(&map, &[runner(1, 0.0, false)], &[]);
        assert_eq!(to_all(&moves), [(0, 1, true), (1, 1, true)].into());
        // The old one died.
        let moves = plan(&map, &[runner(2, 0.0, false)], &[]);
        assert_eq!(to_all(&moves), [(0, 2, true), (1, 2, true)].into());
    }
}
