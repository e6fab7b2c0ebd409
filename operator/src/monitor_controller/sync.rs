//! Writing definitions: [`Memory`] → PostgreSQL. The only writer of this installation's rows, while its term lasts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nanomon_crds::conditions::reasons;
use nanomon_sql::monitors::{Change, MonitorWrite, Source};
use nanomon_sql::probe_requests::NewProbeRequest;
use nanomon_sql::{MonitorId, Store, StoreError};
use tokio_util::sync::CancellationToken;

use super::status::is_faulty;
use super::validate::RUN_NOW;
use crate::OperatorConfig;
use crate::leader::{Leadership, Term};
use crate::metrics::Metrics;
use crate::objects::{Key, Memory, Stored};
use crate::resync::Resync;
use crate::status_writer::Outbox;

/// Definitions in one transaction; the store's own bound.
const BATCH_MAX: usize = 500;
/// Least time between transactions, unless a batch is full: the first change never waits, and the longer a burst lasts the
/// more goes into one.
const BATCH_GAPS: [Duration; 4] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1), Duration::from_millis(1500)];
/// Pauses after failures.
const BACKOFF: [Duration; 4] =
    [Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(5)];

/// What the sync needs.
pub(crate) struct Sync {
    pub store: Store,
    pub config: Arc<OperatorConfig>,
    pub memory: Arc<Memory>,
    pub outbox: Outbox,
    pub leadership: Leadership,
    pub metrics: Metrics,
    pub resync: Resync,
}

impl Sync {
    /// Works through terms of leadership until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            let mut leadership = self.leadership.clone();
            let term = tokio::select! {
                term = leadership.wait() => term,
                () = stop.cancelled() => return,
            };
            let Some(term) = term else { return };
            tokio::select! {
                () = self.term(term) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// One term, until it ends or another instance has taken over.
    async fn term(&mut self, term: Term) {
        self.memory.lock().mark_all_dirty();
        let mut epoch = None;
        let mut failures = 0;
        let mut written = None;
        let mut burst = 0;
        while self.leadership.holds(term) {
            let gap = BATCH_GAPS[burst];
            self.wait_for_work(written, gap).await;
            if !self.leadership.holds(term) {
                return;
            }
            let had_work = self.memory.lock().has_work();
            let second_looks = self.memory.lock().take_second_looks(Instant::now());
            for key in second_looks {
                self.outbox.verdict(key);
            }
            let result = match epoch {
                Some(epoch) => self.round(epoch).await,
                // Taken when it is first needed: PostgreSQL may be away when the term begins.
                None => self.store.operator_epoch_take().await.map(|taken| epoch = Some(taken)),
            };
            let now = Instant::now();
            let on_its_heels = had_work && written.is_some_and(|before: Instant| now - before < gap * 2);
            burst = if on_its_heels { (burst + 1).min(BATCH_GAPS.len() - 1) } else { 0 };
            written = had_work.then_some(now).or(written);
            match result {
                Ok(()) => failures = 0,
                Err(StoreError::Fenced) => {
                    tracing::warn!("another operator has taken over the definitions; waiting for it to end");
                    epoch = None;
                    tokio::time::sleep(BACKOFF[BACKOFF.len() - 1]).await;
                    self.memory.lock().mark_all_dirty();
                }
                Err(error) => {
                    self.metrics.sync_error(error.category());
                    if failures == 0 {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "definitions cannot be stored; trying on"
                        );
                    }
                    self.say_not_stored(&error);
                    tokio::time::sleep(BACKOFF[failures.min(BACKOFF.len() - 1)]).await;
                    failures += 1;
                }
            }
        }
    }

    /// Waits until something is to be done, and a little longer during a burst; at most two seconds, so that the end of the
    /// term is noticed.
    async fn wait_for_work(&self, written: Option<Instant>, gap: Duration) {
        let deadline = Instant::now() + Duration::from_secs(2);
        loop {
            let changed = self.memory.changed.notified();
            let now = Instant::now();
            let gap = written.map_or(Duration::ZERO, |at| gap.saturating_sub(now - at));
            let due = self.resync.due(now);
            let (work, full, complete) = {
                let objects = self.memory.lock();
                (objects.has_work(), objects.dirty_count() >= BATCH_MAX, objects.is_complete())
            };
            if (work && (full || gap.is_zero())) || (due.is_zero() && complete) || now >= deadline {
                return;
            }
            let until = if work { now + gap } else { (now + due).max(now + Duration::from_millis(10)) };
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(until.min(deadline).into()) => {}
            }
        }
    }

    /// Does what is to be done: first what was deleted, then what changed, then a resync if one is wanted.
    async fn round(&mut self, epoch: i64) -> Result<(), StoreError> {
        self.tombstone_gone(epoch).await?;
        self.write_dirty(epoch).await?;
        let wanted = self.memory.lock().take_resync();
        let due = self.resync.due(Instant::now()).is_zero() && self.memory.lock().is_complete();
        if (wanted || due)
            && let Err(error) = self.resync.run(&self.store, &self.memory, &self.outbox, epoch).await
        {
            self.memory.lock().want_resync();
            return Err(error);
        }
        Ok(())
    }

    async fn tombstone_gone(&self, epoch: i64) -> Result<(), StoreError> {
        let mut gone = self.memory.lock().take_gone();
        while !gone.is_empty() {
            let batch: Vec<(Key, Option<MonitorId>)> = gone.split_off(gone.len().saturating_sub(BATCH_MAX));
            if let Err(error) = self.tombstone(epoch, &batch).await {
                let mut objects = self.memory.lock();
                for (key, id) in batch.into_iter().chain(gone) {
                    objects.mark_gone(key, id);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    async fn tombstone(&self, epoch: i64, batch: &[(Key, Option<MonitorId>)]) -> Result<(), StoreError> {
        let mut ids = Vec::with_capacity(batch.len());
        for (key, id) in batch {
            // Deleted before its row was seen (or made): look for it.
            let id = match id {
                Some(id) => Some(*id),
                None => self
                    .store
                    .monitor_get_by_name(&self.config.installation, &key.namespace, &key.name)
                    .await?
                    .map(|row| row.id),
            };
            ids.extend(id);
        }
        let count = self.store.monitor_tombstone_batch(&self.config.installation, Some(epoch), &ids).await?;
        self.metrics.tombstoned(count);
        Ok(())
    }

    async fn write_dirty(&self, epoch: i64) -> Result<(), StoreError> {
        let keys = self.memory.lock().take_dirty(BATCH_MAX);
        let mut writes = Vec::with_capacity(keys.len());
        {
            let mut objects = self.memory.lock();
            for key in &keys {
                let Some(entry) = objects.entries.get_mut(key) else { continue };
                let Ok(valid) = &entry.judged else {
                    // Nothing to store; the resync finds an older row of it.
                    entry.settled = true;
                    self.outbox.verdict(key.clone());
                    continue;
                };
                writes.push(MonitorWrite {
                    id: entry.id_hint,
                    uid: entry.uid,
                    namespace: key.namespace.clone(),
                    name: key.name.clone(),
                    source: Source::Kubernetes,
                    spec: valid.spec.clone(),
                    def: valid.def.clone(),
                    generation: entry.generation,
                    meta: entry.meta.clone(),
                });
            }
        }
        let result = match self.write(epoch, &writes).await {
            Ok(()) => self.ask_for_runs(&keys).await,
            Err(error) => Err(error),
        };
        if result.is_err() {
            let mut objects = self.memory.lock();
            for key in &keys {
                objects.mark_dirty(key);
            }
        }
        result
    }

    /// Writes a batch; one that PostgreSQL refuses for its data is halved until the bad definition is alone.
    async fn write(&self, epoch: i64, writes: &[MonitorWrite]) -> Result<(), StoreError> {
        if writes.is_empty() {
            return Ok(());
        }
        match self.store.monitor_write_batch(&self.config.installation, Some(epoch), writes).await {
            Ok(written) => {
                for (write, row) in writes.iter().zip(written) {
                    self.metrics.written(row.change != Change::Unchanged);
                    self.settle(write, Some(Stored { id: row.id, generation: write.generation }), None);
                }
                Ok(())
            }
            Err(StoreError::Data(error)) => {
                if let [write] = writes {
                    tracing::error!(namespace = %write.namespace, name = %write.name, %error, "PostgreSQL refuses a definition");
                    self.metrics.sync_error("data");
                    let sentence = "PostgreSQL refuses the definition; the operator's log says why.".to_owned();
                    self.settle(write, None, Some((reasons::INVALID_SPEC, sentence)));
                    return Ok(());
                }
                let (left, right) = writes.split_at(writes.len() / 2);
                Box::pin(self.write(epoch, left)).await?;
                Box::pin(self.write(epoch, right)).await
            }
            Err(error) => Err(error),
        }
    }

    /// Asks for the runs that annotations ask for. A token is echoed once it was asked for; an operator that dies in between
    /// asks twice, never not at all.
    async fn ask_for_runs(&self, keys: &[Key]) -> Result<(), StoreError> {
        let wanted: Vec<(Key, MonitorId, String, Vec<String>)> = {
            let objects = self.memory.lock();
            let ask = |key: &Key| {
                let entry = objects.entries.get(key)?;
                let valid = entry.judged.as_ref().ok()?;
                Some((key.clone(), entry.stored?.id, entry.run_wanted()?.clone(), valid.def.pools.clone()))
            };
            keys.iter().filter_map(ask).collect()
        };
        for (key, id, token, pools) in wanted {
            for pool in pools.iter().filter(|pool| self.config.pools.contains(pool)) {
                let request = NewProbeRequest {
                    monitor_id: Some(id),
                    def: None,
                    namespace: key.namespace.clone(),
                    pool_id: self.store.pool_ensure(pool).await?,
                    requester: format!("annotation {RUN_NOW}"),
                };
                if self.store.probe_request_create(&request).await?.is_none() {
                    tracing::info!(namespace = %key.namespace, name = %key.name, "too many runs are asked for; not this one");
                }
            }
            if let Some(entry) = self.memory.lock().entries.get_mut(&key) {
                entry.run_asked = Some(token);
            }
            self.outbox.verdict(key);
        }
        Ok(())
    }

    /// Remembers what became of a definition and has its status written.
    fn settle(&self, write: &MonitorWrite, stored: Option<Stored>, not_stored: Option<(&'static str, String)>) {
        let key = Key { namespace: write.namespace.clone(), name: write.name.clone() };
        let mut objects = self.memory.lock();
        if let Some(stored) = stored {
            objects.set_stored(&key, stored);
        }
        let Some(entry) = objects.entries.get_mut(&key).filter(|entry| entry.uid == write.uid) else { return };
        if entry.generation == write.generation {
            entry.not_stored = not_stored;
            entry.settled = true;
            let faulty = is_faulty(entry, &self.config.pools);
            if !faulty {
                entry.faulty_since = None;
            } else if entry.faulty_since.is_none() {
                let now = Instant::now();
                entry.faulty_since = Some(now);
                objects.look_again(key.clone(), now + self.config.stalled_after);
            }
        }
        drop(objects);
        self.outbox.verdict(key);
    }

    /// Tells the objects that wait that they wait. Those whose newest generation is stored keep what they have.
    fn say_not_stored(&self, error: &StoreError) {
        if !error.is_transient() {
            return;
        }
        let mut waiting = Vec::new();
        {
            let mut objects = self.memory.lock();
            for (key, entry) in &mut objects.entries {
                let runs = entry.stored.map(|stored| stored.generation).or(entry.seen.running_generation);
                if entry.judged.is_ok() && runs != Some(entry.generation) && entry.not_stored.is_none() {
                    let sentence = "PostgreSQL is not reachable; this generation is not stored yet.".to_owned();
                    entry.not_stored = Some((reasons::DATABASE_UNAVAILABLE, sentence));
                    entry.settled = true;
                    waiting.push(key.clone());
                }
            }
        }
        for key in waiting {
            self.outbox.verdict(key);
        }
    }
}
