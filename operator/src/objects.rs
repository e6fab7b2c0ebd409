//! What the API server has, what of it is stored, and what is known of each target's health: the operator's memory.
//!
//! Writers: the watch (objects), the sync (stored), the health feed (health), the status writer (seen).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use nanomon_crds::MonitorStatus;
use nanomon_crds::v1alpha1::status::{PoolState, TargetState};
use nanomon_sql::MonitorId;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::monitor_controller::validate::{Object, Refusal, Valid};

/// Which Monitor.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub namespace: String,
    pub name: String,
}

/// What is stored of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub id: MonitorId,
    /// The generation of the stored row: the one that runs.
    pub generation: i64,
}

/// A target's health as the database has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Health {
    pub state: TargetState,
    /// Unix second at which the state began; `None` before the first result.
    pub since: Option<i64>,
    /// The word of the newest result's reason if that was not OK.
    pub failure_reason: Option<String>,
    /// Unix second of the newest result.
    pub last_check: Option<i64>,
    /// The newest value in milliseconds, written for people.
    pub last_value: Option<String>,
    /// Each pool's view, by name.
    pub pools: Vec<PoolState>,
    /// Results have stopped.
    pub stale: bool,
}

/// A Monitor and all that is known of it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub uid: Uuid,
    pub generation: i64,
    pub judged: Result<Valid, Refusal>,
    pub id_hint: Option<MonitorId>,
    pub meta: serde_json::Value,
    /// The token that asks for a run at once.
    pub run_now: Option<String>,
    /// The token for which this process has asked for a run.
    pub run_asked: Option<String>,
    /// The status in the API server, as last seen or written; see [`Entry::see`].
    pub seen: MonitorStatus,
    /// The resource version of `seen`.
    seen_version: u64,
    /// The row, once the sync has seen it; until then nothing is said about this object.
    pub stored: Option<Stored>,
    /// The database refused or did not take this generation; a reason and a sentence.
    pub not_stored: Option<(&'static str, String)>,
    /// The sync has dealt with this generation (or tried to) in this process.
    pub settled: bool,
    /// Since when a fault lasts that may mend itself.
    pub faulty_since: Option<Instant>,
    /// `None` until the health feed has read it.
    pub health: Option<Health>,
    /// When a transition of health was last written.
    pub health_written: Option<Instant>,
    /// Touched by the list that is under way.
    listed: bool,
}

impl Entry {
    /// The token for which a run is still to be asked.
    pub(crate) fn run_wanted(&self) -> Option<&String> {
        let asked = self.run_asked.as_ref().or(self.seen.last_run_request.as_ref());
        self.run_now.as_ref().filter(|token| Some(*token) != asked)
    }

    /// Notes the status of a resource version, unless a newer one is known: the watch lags behind our own writes.
    pub(crate) fn see(&mut self, status: MonitorStatus, version: u64) {
        if version == 0 || version >= self.seen_version {
            (self.seen, self.seen_version) = (status, version);
        }
    }
}

/// The guarded content.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    pub entries: BTreeMap<Key, Entry>,
    by_id: HashMap<MonitorId, Key>,
    /// Rows whose health nobody has looked at since they are known.
    unread: Vec<MonitorId>,
    /// To be written, in no order.
    dirty: BTreeSet<Key>,
    /// Deleted, with the id if it was known.
    gone: BTreeMap<Key, Option<MonitorId>>,
    /// Scopes whose first list is not complete yet.
    unlisted: usize,
    /// A list has been completed since the last resync.
    resync_wanted: bool,
    /// When to look again at faults that become `Stalled` if they last.
    second_looks: BTreeSet<(Instant, Key)>,
}

/// The operator's memory, shared between its tasks.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    objects: Mutex<Objects>,
    /// Something is dirty or gone, or a resync is wanted.
    pub changed: Notify,
}

impl Memory {
    /// A memory that waits for the first lists of this many scopes.
    pub(crate) fn new(scopes: usize) -> Self {
        Self { objects: Mutex::new(Objects { unlisted: scopes, ..Objects::default() }), changed: Notify::new() }
    }

    /// Locked for a moment; never across an await.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Objects {
    /// Takes an object from the watch; true if it must be written.
    pub(crate) fn apply(&mut self, object: Object) -> bool {
        let Object { key, uid, generation, judged, id_hint, meta, run_now, status, version } = object;
        self.gone.remove(&key);
        if let Some(entry) = self.entries.get_mut(&key)
            && entry.uid == uid
        {
            entry.listed = true;
            let same = entry.generation == generation
                && entry.meta == meta
                && entry.id_hint == id_hint
                && entry.run_now == run_now;
            entry.see(status, version);
            if same {
                return false;
            }
            if entry.generation != generation {
                entry.not_stored = None;
                entry.settled = false;
                entry.faulty_since = None;
            }
            (entry.generation, entry.judged, entry.id_hint, entry.meta) = (generation, judged, id_hint, meta);
            entry.run_now = run_now;
            self.dirty.insert(key);
            return true;
        }
        let entry = Entry {
            uid,
            generation,
            judged,
            id_hint,
            meta,
            run_now,
            run_asked: None,
            seen: status,
            seen_version: version,
            stored: None,
            not_stored: None,
            settled: false,
            faulty_since: None,
            health: None,
            health_written: None,
            listed: true,
        };
        if let Some(old) = self.entries.insert(key.clone(), entry)
            && let Some(stored) = old.stored
        {
            self.by_id.remove(&stored.id);
        }
        self.dirty.insert(key);
        true
    }

    /// Takes a deletion from the watch.
    pub(crate) fn delete(&mut self, key: &Key) {
        let id = self.forget(key);
        self.gone.insert(key.clone(), id);
    }

    fn forget(&mut self, key: &Key) -> Option<MonitorId> {
        self.dirty.remove(key);
        let id = self.entries.remove(key)?.stored?.id;
        self.by_id.remove(&id);
        Some(id)
    }

    /// A list of this scope begins (`None`: all namespaces).
    pub(crate) fn list_begin(&mut self, scope: Option<&str>) {
        for (key, entry) in &mut self.entries {
            if scope.is_none_or(|namespace| key.namespace == namespace) {
                entry.listed = false;
            }
        }
    }

    /// The list is complete: what it did not hold is forgotten here; whether its rows go, the resync decides.
    pub(crate) fn list_end(&mut self, scope: Option<&str>, first: bool) {
        let missing: Vec<Key> = self
            .entries
            .iter()
            .filter(|(key, entry)| !entry.listed && scope.is_none_or(|namespace| key.namespace == namespace))
            .map(|(key, _)| key.clone())
            .collect();
        for key in missing {
            self.forget(&key);
        }
        if first {
            self.unlisted = self.unlisted.saturating_sub(1);
        }
        self.resync_wanted = true;
    }

    /// All scopes have been listed once.
    pub(crate) fn is_complete(&self) -> bool {
        self.unlisted == 0
    }

    /// Whether a resync is wanted and possible; asking takes the wish away.
    pub(crate) fn take_resync(&mut self) -> bool {
        self.is_complete() && std::mem::take(&mut self.resync_wanted)
    }

    /// Asks for a resync.
    pub(crate) fn want_resync(&mut self) {
        self.resync_wanted = true;
    }

    /// Whether anything waits for the sync.
    pub(crate) fn has_work(&self) -> bool {
        !self.dirty.is_empty() || !self.gone.is_empty() || (self.resync_wanted && self.is_complete())
    }

    /// How many objects wait to be written.
    pub(crate) fn dirty_count(&self) -> usize {
        self.dirty.len()
    }

    /// Takes up to `max` keys to be written.
    pub(crate) fn take_dirty(&mut self, max: usize) -> Vec<Key> {
        let keys: Vec<Key> = self.dirty.iter().take(max).cloned().collect();
        for key in &keys {
            self.dirty.remove(key);
        }
        keys
    }

    /// Everything is to be written (again): a new term of leadership begins.
    pub(crate) fn mark_all_dirty(&mut self) {
        self.dirty.extend(self.entries.keys().cloned());
        self.resync_wanted = true;
    }

    /// Gives a key back that could not be written, if its object is still there.
    pub(crate) fn mark_dirty(&mut self, key: &Key) {
        if self.entries.contains_key(key) {
            self.dirty.insert(key.clone());
        }
    }

    /// Takes the deletions.
    pub(crate) fn take_gone(&mut self) -> Vec<(Key, Option<MonitorId>)> {
        std::mem::take(&mut self.gone).into_iter().collect()
    }

    /// Gives a deletion back that could not be written, unless the object has come back.
    pub(crate) fn mark_gone(&mut self, key: Key, id: Option<MonitorId>) {
        if !self.entries.contains_key(&key) {
            self.gone.insert(key, id);
        }
    }

    /// Remembers the row of an object.
    pub(crate) fn set_stored(&mut self, key: &Key, stored: Stored) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.stored = Some(stored);
            if entry.health.is_none() {
                self.unread.push(stored.id);
            }
            self.by_id.insert(stored.id, key.clone());
        }
    }

    /// Notes that this object's status is to be looked at again.
    pub(crate) fn look_again(&mut self, key: Key, at: Instant) {
        self.second_looks.insert((at, key));
    }

    /// Takes the objects whose second look is due.
    pub(crate) fn take_second_looks(&mut self, now: Instant) -> Vec<Key> {
        let mut due = Vec::new();
        while self.second_looks.first().is_some_and(|(at, _)| *at <= now)
            && let Some((_, key)) = self.second_looks.pop_first()
        {
            due.push(key);
        }
        due
    }

    /// Takes the rows whose health is still to be read.
    pub(crate) fn take_unread(&mut self) -> Vec<MonitorId> {
        std::mem::take(&mut self.unread)
    }

    /// The object of a row.
    pub(crate) fn key_of(&self, id: MonitorId) -> Option<&Key> {
        self.by_id.get(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key(name: &str) -> Key {
        Key { namespace: "n".into(), name: name.into() }
    }

    fn object(name: &str, uid: u128, generation: i64) -> Object {
        Object {
            key: key(name),
            uid: Uuid::from_u128(uid),
            generation,
            judged: Err(Refusal { reason: "InvalidSpec", message: "x".into() }),
            id_hint: None,
            meta: json!({}),
            run_now: None,
            status: MonitorStatus::default(),
            version: 1,
        }
    }

    #[test]
    fn an_echo_of_our_own_status_write_is_no_work() {
        let mut objects = Objects::default();
        assert!(objects.apply(object("a", 1, 1)));
        assert_eq!(objects.take_dirty(10), [key("a")]);
        assert!(!objects.apply(object("a", 1, 1)));
        assert!(objects.apply(object("a", 1, 2)));
    }

    #[test]
    fn a_successor_of_the_same_name_is_a_new_object() {
        let mut objects = Objects::default();
        objects.apply(object("a", 1, 5));
        objects.set_stored(&key("a"), Stored { id: 7, generation: 5 });
        objects.delete(&key("a"));
        assert!(objects.apply(object("a", 2, 1)));
        assert_eq!(objects.take_gone(), []);
        assert_eq!(objects.entries[&key("a")].stored, None);
        assert_eq!(objects.key_of(7), None);
    }

    #[test]
    fn a_list_forgets_what_it_does_not_hold_and_wants_a_resync() {
        let mut objects = Objects { unlisted: 1, ..Objects::default() };
        objects.apply(object("a", 1, 1));
        objects.apply(object("b", 2, 1));
        objects.list_begin(Some("n"));
        assert!(!objects.take_resync());
        objects.apply(object("b", 2, 1));
        objects.list_end(Some("n"), true);
        assert_eq!(objects.entries.keys().collect::<Vec<_>>(), [&key("b")]);
        // Whether the rows go is the resync's decision, not the watch's.
        assert_eq!(objects.take_gone(), []);
        assert!(objects.take_resync());
        assert!(!objects.take_resync());
    }
}
