//! The definitions of this runner's shards: followed by revision, compiled off the probe thread, sent there as differences.
//!
//! While PostgreSQL is away the last known definitions stay. A change that was missed is found by the comparison of all
//! revisions every ten minutes.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nanomon_core::slot::{self, Schedule};
use nanomon_core::{MonitorDef, Verdict};
use nanomon_sql::board::SeriesBoard;
use nanomon_sql::monitors::MonitorRow;
use nanomon_sql::{MonitorId, PoolId, Revision, SeriesId, Slot, Store, StoreError};
use tokio::sync::mpsc;

use crate::agenda::Seed;
use crate::clock::ServerClock;
use crate::compiler::{CompileError, Compiler};
use crate::meter::{SeriesMeter, SeriesName};
use crate::plan::Plan;
use crate::registry::Registry;
use crate::scheduler::Command;
use crate::stats::Stats;

/// Shards read by one statement, so that ten thousand definitions are never in memory as text at once.
const BUCKETS_PER_READ: usize = 32;
/// Definitions compiled in one go.
const COMPILED_AT_ONCE: usize = 64;
/// An activation older than this needs no initial run any more (seconds).
const INITIAL_FOR_S: Slot = 600;

/// What is known of a monitor of our shards.
#[derive(Debug)]
struct Known {
    rev: Revision,
    bucket: i16,
    /// The series that runs here; `None`: not of this pool, suspended or refused.
    series_id: Option<SeriesId>,
}

/// The catalog of one runner.
pub struct Catalog {
    store: Store,
    pool_id: PoolId,
    pool: String,
    compiler: Arc<Mutex<Compiler>>,
    clock: Arc<ServerClock>,
    registry: Arc<Registry>,
    stats: Arc<Stats>,
    commands: mpsc::UnboundedSender<Command>,
    known: HashMap<MonitorId, Known>,
    buckets: BTreeSet<i16>,
    /// Everything up to here has been read; `None` before the first load.
    rev: Option<Revision>,
    /// Monitors of other shards, as the last comparison saw them.
    elsewhere: HashMap<MonitorId, Revision>,
}

/// What a catalog is made of.
pub struct CatalogParts {
    /// Where definitions come from.
    pub store: Store,
    /// The runner's pool.
    pub pool_id: PoolId,
    /// Its name.
    pub pool: String,
    /// What makes definitions runnable.
    pub compiler: Arc<Mutex<Compiler>>,
    /// PostgreSQL's clock.
    pub clock: Arc<ServerClock>,
    /// Where meters are listed.
    pub registry: Arc<Registry>,
    /// Counters.
    pub stats: Arc<Stats>,
    /// The probe thread.
    pub commands: mpsc::UnboundedSender<Command>,
}

impl Catalog {
    /// One that knows nothing.
    pub fn new(parts: CatalogParts) -> Self {
        let CatalogParts { store, pool_id, pool, compiler, clock, registry, stats, commands } = parts;
        Self {
            store,
            pool_id,
            pool,
            compiler,
            clock,
            registry,
            stats,
            commands,
            known: HashMap::new(),
            buckets: BTreeSet::new(),
            rev: None,
            elsewhere: HashMap::new(),
        }
    }

    /// The revision up to which everything has been read.
    pub fn rev(&self) -> Revision {
        self.rev.unwrap_or(0)
    }

    /// Shards whose definitions are loaded.
    pub fn buckets(&self) -> &BTreeSet<i16> {
        &self.buckets
    }

    /// Loads the definitions of these shards beside those that are known.
    pub async fn load(&mut self, buckets: &[i16]) -> Result<(), StoreError> {
        self.load_for(buckets, Duration::MAX).await
    }

    /// The same, but begins no further read after this time: [`Self::buckets`] says how far it came.
    pub async fn load_for(&mut self, buckets: &[i16], time: Duration) -> Result<(), StoreError> {
        let began = Instant::now();
        for part in buckets.chunks(BUCKETS_PER_READ) {
            if began.elapsed() > time {
                break;
            }
            let changes = self.store.catalog_changes(0, Some(part)).await?;
            // The older of both: what is read twice changes nothing.
            self.rev = Some(self.rev.map_or(changes.rev, |rev| rev.min(changes.rev)));
            let fresh: Vec<i16> = part.iter().copied().filter(|bucket| self.buckets.insert(*bucket)).collect();
            if let Err(error) = self.take(changes.monitors).await {
                // Not loaded: whoever opens windows must not take them for it.
                self.buckets.retain(|bucket| !fresh.contains(bucket));
                return Err(error);
            }
        }
        Ok(())
    }

    /// Forgets the monitors of these shards.
    pub fn forget(&mut self, buckets: &BTreeSet<i16>) {
        self.buckets.retain(|bucket| !buckets.contains(bucket));
        let gone: Vec<MonitorId> =
            self.known.iter().filter(|(_, known)| buckets.contains(&known.bucket)).map(|(id, _)| *id).collect();
        self.remove(gone);
    }

    /// Reads what has changed. All shards are asked for: a monitor that was made anew under its old name may have moved out
    /// of ours.
    pub async fn follow(&mut self) -> Result<(), StoreError> {
        let Some(rev) = self.rev else { return Ok(()) };
        let changes = self.store.catalog_changes(rev, None).await?;
        self.take(changes.monitors).await?;
        self.rev = Some(changes.rev);
        Ok(())
    }

    /// Compares all revisions with what is known, and reads our shards anew if anything was missed.
    pub async fn compare(&mut self) -> Result<(), StoreError> {
        let rows = self.store.catalog_revisions().await?;
        let living: HashMap<MonitorId, Revision> = rows.into_iter().collect();
        // What has changed since is not missed, only not read yet.
        let rev = self.rev();
        let gone: Vec<MonitorId> = self.known.keys().filter(|id| !living.contains_key(id)).copied().collect();
        let missed = living.iter().any(|(id, row)| match self.known.get(id) {
            Some(known) => known.rev != *row && *row <= rev,
            None => *row <= rev && self.elsewhere.get(id) != Some(row),
        });
        if !gone.is_empty() {
            tracing::warn!(monitors = gone.len(), "deletions had been missed");
            self.remove(gone);
        }
        if missed {
            let buckets: Vec<i16> = self.buckets.iter().copied().collect();
            self.load(&buckets).await?;
        }
        self.elsewhere = living.into_iter().filter(|(id, _)| !self.known.contains_key(id)).collect();
        Ok(())
    }

    /// Takes rows over, as far as they say anything new.
    async fn take(&mut self, rows: Vec<MonitorRow>) -> Result<(), StoreError> {
        let mut gone = Vec::new();
        let mut fresh = Vec::new();
        for row in rows {
            let ours = self.buckets.contains(&row.bucket);
            let known = self.known.get(&row.id);
            // A restored database may go back: what differs is taken, not only what is newer.
            if known.is_some_and(|known| known.rev == row.rev && known.bucket == row.bucket) {
                continue;
            }
            if row.tombstoned || !ours {
                if known.is_some() {
                    gone.push(row.id);
                }
                continue;
            }
            fresh.push(row);
        }
        self.remove(gone);
        while !fresh.is_empty() {
            let rest = fresh.split_off(fresh.len().min(COMPILED_AT_ONCE));
            let chunk = std::mem::replace(&mut fresh, rest);
            self.put(chunk).await?;
        }
        Ok(())
    }

    async fn put(&mut self, rows: Vec<MonitorRow>) -> Result<(), StoreError> {
        let ids: Vec<MonitorId> = rows.iter().map(|row| row.id).collect();
        let board: HashMap<SeriesId, SeriesBoard> =
            self.store.board_read_of(&ids).await?.into_iter().map(|series| (series.series_id, series)).collect();
        let now = slot::key(self.clock.now_ms());
        let (mut jobs, mut paused) = (Vec::new(), Vec::new());
        for row in rows {
            let series = row.series.iter().find(|series| series.pool_id == self.pool_id).map(|series| series.id);
            let (rev, bucket) = (row.rev, row.bucket);
            let id = row.id;
            match (series, row.def.clone()) {
                (Some(series_id), Some(def)) if !def.suspended => jobs.push(Job {
                    series_id,
                    def,
                    seed: seed(&row, board.get(&series_id), now),
                    stored: board.get(&series_id).and_then(|board| board.status).map(Verdict::new),
                    pool: self.pool.clone(),
                    row,
                }),
                _ => paused.push((id, Known { rev, bucket, series_id: None })),
            }
        }
        for (id, known) in paused {
            self.remove(vec![id]);
            self.known.insert(id, known);
        }
        let compiler = self.compiler.clone();
        let compiled = tokio::task::spawn_blocking(move || {
            let mut compiler = compiler.lock().unwrap_or_else(PoisonError::into_inner);
            jobs.into_iter().map(|job| job.compile(&mut compiler)).collect::<Vec<_>>()
        });
        // A compiler that panics would be a fault of ours; the monitors of this chunk then keep their former form.
        let Ok(compiled) = compiled.await else {
            tracing::error!("compiling definitions failed");
            return Ok(());
        };
        let mut plans = Vec::with_capacity(compiled.len());
        for (row, result) in compiled {
            // The series may be another one than before: a pool that was left and entered again.
            let former = self.known.get(&row.id).and_then(|known| known.series_id);
            let series_id = match result {
                Ok((plan, seed)) => {
                    if former.is_some_and(|former| former != plan.series_id) {
                        self.remove(vec![row.id]);
                    }
                    self.registry.put(plan.series_id, plan.meter.clone());
                    let series_id = plan.series_id;
                    plans.push((plan, seed));
                    Some(series_id)
                }
                Err(error) => {
                    self.stats.member.refused.inc();
                    tracing::warn!(namespace = row.namespace, monitor = row.name, %error, "a monitor cannot be run by this version");
                    self.remove(vec![row.id]);
                    None
                }
            };
            self.known.insert(row.id, Known { rev: row.rev, bucket: row.bucket, series_id });
        }
        // The probe thread is gone only when the runner stops.
        let _ = self.commands.send(Command::Put(plans));
        Ok(())
    }

    fn remove(&mut self, ids: Vec<MonitorId>) {
        let known = ids.into_iter().filter_map(|id| self.known.remove(&id));
        let series: Vec<SeriesId> = known.filter_map(|known| known.series_id).collect();
        if series.is_empty() {
            return;
        }
        for id in &series {
            self.registry.remove(*id);
        }
        let _ = self.commands.send(Command::Remove(series));
    }
}

fn seed(row: &MonitorRow, board: Option<&SeriesBoard>, now: Slot) -> Seed {
    let activation = board.map_or(0, |board| board.activation);
    let recent = now.saturating_sub(row.activated_at) <= INITIAL_FOR_S;
    Seed { last_slot: board.and_then(|board| board.last_slot), wants_initial: recent && activation != row.activated_at }
}

struct Job {
    series_id: SeriesId,
    def: MonitorDef,
    seed: Seed,
    stored: Option<Verdict>,
    pool: String,
    row: MonitorRow,
}

impl Job {
    fn compile(self, compiler: &mut Compiler) -> (MonitorRow, Result<(Arc<Plan>, Seed), CompileError>) {
        let Self { series_id, def, seed, stored, pool, row } = self;
        let work = match compiler.compile(&def, &row.namespace) {
            Ok(work) => work,
            Err(error) => return (row, Err(error)),
        };
        let name = SeriesName {
            monitor_id: row.id,
            namespace: row.namespace.clone(),
            name: row.name.clone(),
            display_name: def.display_name.clone(),
            pool,
            probe: def.probe_type(),
        };
        let interval_ms = u32::try_from(def.interval.as_millis()).unwrap_or(u32::MAX);
        let plan = Plan {
            series_id,
            monitor_id: row.id,
            bucket: row.bucket as u16,
            schedule: Schedule::new(slot::hash(row.uid.as_bytes()), interval_ms),
            activated_at: row.activated_at,
            work,
            host: compiler.gate(&def),
            meter: Arc::new(SeriesMeter::new(name, stored)),
        };
        (row, Ok((Arc::new(plan), seed)))
    }
}
