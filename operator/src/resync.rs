//! Comparing all objects with all rows: what was missed while nobody watched.
//!
//! A resync looks at its own installation only, and only at namespaces that are watched and whose list is complete. One that
//! would remove more than half of more than 20 monitors is not believed at once: an emptied list is more often an accident
//! (a prune, a restored etcd, the wrong cluster) than a wish. It needs a second list, a while later, that misses the same.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::api::ListParams;
use kube::core::PartialObjectMeta;
use kube::{Api, Client};
use nanomon_crds::Monitor;
use nanomon_sql::monitors::{MonitorDigest, MonitorFilter, MonitorWrite};
use nanomon_sql::{MonitorId, Store, StoreError};
use serde_json::Value;

use crate::OperatorConfig;
use crate::metrics::Metrics;
use crate::objects::{Key, Memory, Stored};
use crate::status_writer::Outbox;

/// From this many monitors on, losing more than half of them is suspicious.
const SUSPICIOUS_FROM: usize = 20;
/// The store's bound.
const BATCH_MAX: usize = 500;

/// What a resync does with the rows that have no object.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    /// They go.
    Remove,
    /// Too many at once: look again later.
    Wait,
}

/// A pure look at how many would go.
fn decide(living: usize, missing: usize) -> Decision {
    if living > SUSPICIOUS_FROM && missing * 2 > living { Decision::Wait } else { Decision::Remove }
}

/// A loss that waits for a second list.
#[derive(Debug)]
struct Doubt {
    missing: BTreeSet<Key>,
    since: Instant,
}

/// The state between resyncs.
pub(crate) struct Resync {
    client: Client,
    config: Arc<OperatorConfig>,
    metrics: Metrics,
    doubt: Option<Doubt>,
    last: Instant,
}

impl Resync {
    pub(crate) fn new(client: Client, config: Arc<OperatorConfig>, metrics: Metrics) -> Self {
        Self { client, config, metrics, doubt: None, last: Instant::now() }
    }

    /// How long until the next one by the clock.
    pub(crate) fn due(&self, now: Instant) -> Duration {
        let (since, every) = match &self.doubt {
            Some(doubt) => (doubt.since, self.config.resync_confirm),
            None => (self.last, self.config.resync_every),
        };
        every.saturating_sub(now.saturating_duration_since(since))
    }

    /// Compares and mends.
    pub(crate) async fn run(
        &mut self,
        store: &Store,
        memory: &Memory,
        outbox: &Outbox,
        epoch: i64,
    ) -> Result<(), StoreError> {
        // Rows first: an object that comes in after this cannot have a row in the list.
        let rows = store.monitor_digests(&self.config.installation).await?;
        let (watched, unwatched): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| self.config.watches(&row.namespace));
        let missing = compare(memory, outbox, &watched);
        let keys: BTreeSet<Key> = missing.iter().map(|(key, _)| key.clone()).collect();
        let now = Instant::now();
        match decide(watched.len(), missing.len()) {
            Decision::Remove => {
                if self.doubt.take().is_some() {
                    tracing::info!("the objects are back; nothing was removed");
                }
                self.remove(store, epoch, missing).await?;
            }
            Decision::Wait => self.doubted(store, outbox, epoch, watched.len(), keys, missing, now).await?,
        }
        self.metrics.mass_delete_held(self.doubt.as_ref().map_or(0, |doubt| doubt.missing.len()));
        self.pause_unwatched(store, epoch, &unwatched).await?;
        self.last = now;
        Ok(())
    }

    /// A loss too large to be believed at once.
    #[expect(clippy::too_many_arguments, reason = "one step of run, apart for reading")]
    async fn doubted(
        &mut self,
        store: &Store,
        outbox: &Outbox,
        epoch: i64,
        living: usize,
        keys: BTreeSet<Key>,
        missing: Vec<(Key, MonitorId)>,
        now: Instant,
    ) -> Result<(), StoreError> {
        let confirmed = match &self.doubt {
            Some(doubt) if doubt.missing == keys => {
                if now.duration_since(doubt.since) < self.config.resync_confirm {
                    return Ok(());
                }
                // The second list is a list of its own, not the watch's memory of the first.
                match self.list_again().await {
                    Ok(present) => keys.iter().all(|key| !present.contains(key)),
                    Err(error) => {
                        tracing::warn!(%error, "the second list before a mass removal failed; looking again later");
                        false
                    }
                }
            }
            _ => false,
        };
        if confirmed {
            tracing::warn!(monitors = missing.len(), "two lists miss the same monitors: removing them");
            self.doubt = None;
            return self.remove(store, epoch, missing).await;
        }
        let wait = self.config.resync_confirm;
        tracing::error!(
            missing = missing.len(),
            living,
            "more than half of the monitors have vanished from the API server; they run on until a second list in {wait:?} \
             misses the same ones"
        );
        outbox.installation_event(
            "MassRemovalHeld",
            &format!(
                "{} of {living} Monitors are missing from the API server. Nothing is removed unless a second list in {} s \
                 misses the same ones.",
                missing.len(),
                wait.as_secs()
            ),
        );
        self.doubt = Some(Doubt { missing: keys, since: now });
        Ok(())
    }

    async fn remove(&self, store: &Store, epoch: i64, missing: Vec<(Key, MonitorId)>) -> Result<(), StoreError> {
        let ids: Vec<MonitorId> = missing.into_iter().map(|(_, id)| id).collect();
        for batch in ids.chunks(BATCH_MAX) {
            let count = store.monitor_tombstone_batch(&self.config.installation, Some(epoch), batch).await?;
            self.metrics.tombstoned(count);
        }
        Ok(())
    }

    /// All Monitors that the API server has now, in the watched namespaces.
    async fn list_again(&self) -> Result<BTreeSet<Key>, kube::Error> {
        let apis: Vec<Api<PartialObjectMeta<Monitor>>> = if self.config.watch_namespaces.is_empty() {
            vec![Api::all(self.client.clone())]
        } else {
            let namespaces = self.config.watch_namespaces.iter();
            namespaces.map(|namespace| Api::namespaced(self.client.clone(), namespace)).collect()
        };
        let mut present = BTreeSet::new();
        for api in apis {
            let mut params = ListParams::default().limit(500);
            loop {
                let page = api.list(&params).await?;
                present.extend(page.items.into_iter().filter_map(|object| {
                    Some(Key { namespace: object.metadata.namespace?, name: object.metadata.name? })
                }));
                match page.metadata.continue_.filter(|token| !token.is_empty()) {
                    Some(token) => params = params.continue_token(&token),
                    None => break,
                }
            }
        }
        Ok(present)
    }

    /// Monitors of namespaces that are no longer watched are paused, never removed: their objects live on.
    async fn pause_unwatched(&self, store: &Store, epoch: i64, rows: &[MonitorDigest]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let namespaces: BTreeSet<&str> = rows.iter().map(|row| row.namespace.as_str()).collect();
        let filter = MonitorFilter {
            namespaces: Some(namespaces.into_iter().map(str::to_owned).collect()),
            ..MonitorFilter::default()
        };
        let living = store.monitor_list(&filter).await?;
        let pauses: Vec<MonitorWrite> = living
            .into_iter()
            .filter(|row| row.installation == self.config.installation)
            .filter_map(|row| {
                let mut def = row.def?;
                let mut meta = row.meta;
                if def.suspended && meta.get("unwatched").is_some() {
                    return None;
                }
                def.suspended = true;
                if let Value::Object(members) = &mut meta {
                    members.insert("unwatched".to_owned(), Value::Bool(true));
                }
                Some(MonitorWrite {
                    id: None,
                    uid: row.uid,
                    namespace: row.namespace,
                    name: row.name,
                    source: row.source,
                    spec: row.spec,
                    def,
                    generation: row.generation,
                    meta,
                })
            })
            .collect();
        for batch in pauses.chunks(BATCH_MAX) {
            store.monitor_write_batch(&self.config.installation, Some(epoch), batch).await?;
            tracing::info!(monitors = batch.len(), "paused monitors of namespaces that are no longer watched");
        }
        Ok(())
    }
}

/// Notes the row of each object and answers the rows without one. A row whose object is a refused successor of another
/// uid counts as without: what it ran is deleted.
fn compare(memory: &Memory, outbox: &Outbox, rows: &[MonitorDigest]) -> Vec<(Key, MonitorId)> {
    let mut objects = memory.lock();
    let mut missing = Vec::new();
    let mut rows_by_key: HashMap<Key, &MonitorDigest> = HashMap::with_capacity(rows.len());
    for row in rows {
        let key = Key { namespace: row.namespace.clone(), name: row.name.clone() };
        let Some(entry) = objects.entries.get(&key) else {
            missing.push((key, row.id));
            continue;
        };
        if entry.judged.is_err() && entry.uid != row.uid {
            missing.push((key, row.id));
            continue;
        }
        if entry.stored.is_none() && entry.judged.is_err() {
            objects.set_stored(&key, Stored { id: row.id, generation: row.generation });
            outbox.verdict(key.clone());
        }
        rows_by_key.insert(key, row);
    }
    // A row that vanished behind our back (a restored dump) is written again.
    let lost: Vec<Key> = objects
        .entries
        .iter()
        .filter(|(key, entry)| entry.stored.is_some() && entry.judged.is_ok() && !rows_by_key.contains_key(*key))
        .map(|(key, _)| key.clone())
        .collect();
    for key in &lost {
        objects.mark_dirty(key);
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_loss_is_doubted() {
        for (living, missing, decision) in [
            (20, 20, Decision::Remove),
            (21, 10, Decision::Remove),
            (21, 11, Decision::Wait),
            (10_000, 5_000, Decision::Remove),
            (10_000, 5_001, Decision::Wait),
            (0, 0, Decision::Remove),
        ] {
            assert_eq!(decide(living, missing), decision, "{missing} of {living}");
        }
    }
}
