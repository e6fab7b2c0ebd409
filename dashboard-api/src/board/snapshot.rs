//! One reading of the board.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use jiff::Timestamp;
use nanomon_core::ProbeType;
use nanomon_sql::board::SeriesBoard;
use nanomon_sql::monitors::MonitorRow;
use nanomon_sql::{MonitorId, PoolId, Revision, RunnerId, Store, StoreError};
use uuid::Uuid;

use crate::view::monitor::{MonitorState, MonitorView, Names, labels_of, monitor_view, state_of};

/// How long definitions are followed by revision before all are read again.
const FULL_EVERY: Duration = Duration::from_mins(10);
/// How long names of pools and runners are good.
const NAMES_FOR: Duration = Duration::from_secs(2);
/// How long names are good if one is missing: the runner of an old state may be gone for good.
const UNKNOWN_FOR: Duration = Duration::from_millis(500);
/// Serialised answers kept per reading.
const BODIES: usize = 64;

/// One reading: immutable, shared by all requests that see it.
pub struct Snapshot {
    /// When the read began: what was committed before is in it.
    pub began: Instant,
    /// Differs between two readings of this process if anything shown differs.
    pub revision: u64,
    /// Living monitors by id.
    pub entries: BTreeMap<MonitorId, Arc<Entry>>,
    /// Names for ids.
    pub names: Arc<BoardNames>,
    catalog_rev: Revision,
    full_at: Instant,
    bodies: Arc<Mutex<HashMap<String, CachedBody>>>,
}

/// A living monitor.
pub struct Entry {
    /// Its row.
    pub row: MonitorRow,
    /// Its present state.
    pub state: MonitorState,
    /// The serialised [`MonitorView`].
    pub json: Bytes,
    /// Display name.
    pub name: String,
    /// The target as it may be shown.
    pub target: String,
    series: Vec<SeriesBoard>,
    /// What a search looks through, in lower case.
    haystack: String,
}

/// An answer serialised once.
#[derive(Clone)]
pub struct CachedBody {
    /// JSON.
    pub bytes: Bytes,
    /// Strong, with quotes.
    pub etag: String,
    /// Where the next page begins, if there is one.
    pub next: Option<MonitorId>,
}

/// A strong entity tag: equal bodies have equal tags, on every replica.
pub fn etag_of(body: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(body);
    format!("\"{:016x}\"", hasher.finish())
}

/// Names of pools and runners.
pub struct BoardNames {
    read_at: Instant,
    pools: HashMap<PoolId, String>,
    runners: HashMap<RunnerId, String>,
}

impl Names for BoardNames {
    fn pool(&self, id: PoolId) -> String {
        self.pools.get(&id).cloned().unwrap_or_default()
    }

    fn runner(&self, id: RunnerId) -> Option<String> {
        self.runners.get(&id).cloned()
    }
}

impl BoardNames {
    /// The id of a pool.
    pub fn pool_id(&self, name: &str) -> Option<PoolId> {
        self.pools.iter().find(|(_, n)| *n == name).map(|(id, _)| *id)
    }

    /// Whether each of these series can be named.
    fn know(&self, series: &[SeriesBoard]) -> bool {
        let knows = |s: &SeriesBoard| {
            self.pools.contains_key(&s.pool_id) && (s.status.is_none() || self.runners.contains_key(&s.runner_id))
        };
        series.iter().all(knows)
    }

    async fn read(store: &Store, before: Option<&Arc<Self>>, series: &[SeriesBoard]) -> Result<Arc<Self>, StoreError> {
        let read_at = Instant::now();
        let age = |names: &Self| read_at.saturating_duration_since(names.read_at);
        let good = |names: &Self| age(names) < UNKNOWN_FOR || (age(names) < NAMES_FOR && names.know(series));
        if let Some(names) = before.filter(|names| good(names)) {
            return Ok(names.clone());
        }
        let pools = store.pool_list().await?.into_iter().map(|pool| (pool.id, pool.name)).collect();
        // Runners that have left keep the name under which they were seen.
        let mut runners = before.map(|names| names.runners.clone()).unwrap_or_default();
        runners.extend(store.runner_list().await?.into_iter().map(|runner| (runner.id, runner.name)));
        Ok(Arc::new(Self { read_at, pools, runners }))
    }
}

impl Entry {
    fn new(row: MonitorRow, series: Vec<SeriesBoard>, state: MonitorState) -> Self {
        let view = monitor_view(&row, state.clone());
        let json = Bytes::from(serde_json::to_vec(&view).unwrap_or_default());
        let target = row.def.as_ref().map(|def| def.target.display()).unwrap_or_default();
        let MonitorView { name, object_name, .. } = view;
        let haystack = format!("{name}\n{object_name}\n{target}").to_lowercase();
        Self { row, state, json, name, target, series, haystack }
    }

    /// The kind of probe.
    pub fn probe_type(&self) -> Option<ProbeType> {
        self.row.def.as_ref().map(nanomon_core::MonitorDef::probe_type)
    }

    /// The group on the dashboard.
    pub fn group(&self) -> &str {
        self.row.def.as_ref().map_or("", |def| &def.group)
    }

    /// Whether name, object name or target hold this text; `needle` is in lower case.
    pub fn matches(&self, needle: &str) -> bool {
        self.haystack.contains(needle)
    }

    /// Whether the labels hold this one; without a value any will do.
    pub fn has_label(&self, key: &str, value: Option<&str>) -> bool {
        let labels = labels_of(&self.row);
        labels.get(key).is_some_and(|have| value.is_none_or(|want| want == have))
    }

    /// Names the definition (not the state): what `If-Match` is compared with.
    pub fn definition_tag(&self) -> String {
        definition_tag(&self.row)
    }

    /// The entity tag of the whole monitor; its part before the dot is [`Self::definition_tag`].
    pub fn etag(&self) -> String {
        let whole = etag_of(&self.json);
        format!("\"{}.{}", self.definition_tag(), &whole[1..])
    }
}

/// Names a version of a definition: its object and generation.
pub fn definition_tag(row: &MonitorRow) -> String {
    tag_of(row.uid, row.generation)
}

/// See [`definition_tag`].
pub fn tag_of(uid: Uuid, generation: i64) -> String {
    format!("{:08x}-{generation}", uid.as_fields().0)
}

impl Snapshot {
    /// Reads this installation's definitions that changed since `before`, and all states.
    pub async fn read(store: &Store, installation: &str, before: Option<&Self>) -> Result<Self, StoreError> {
        let began = Instant::now();
        let heads = store.heads_read().await?;
        let before_revision = before.map_or(0, |before| before.revision);
        // A revision that went back means another database; a full reading now and then mends what nobody foresaw.
        let follow =
            before.filter(|before| heads.catalog_rev >= before.catalog_rev && began - before.full_at < FULL_EVERY);
        let mut entries = follow.map(|before| before.entries.clone()).unwrap_or_default();
        let mut catalog_rev = follow.map_or(0, |before| before.catalog_rev);
        let mut fresh_rows: HashMap<MonitorId, MonitorRow> = HashMap::new();
        let mut changed = false;
        if follow.is_none() || heads.catalog_rev > catalog_rev {
            let changes = store.catalog_changes(catalog_rev, None).await?;
            catalog_rev = changes.rev;
            for row in changes.monitors.into_iter().filter(|row| row.installation == installation) {
                if row.tombstoned {
                    changed |= entries.remove(&row.id).is_some();
                    fresh_rows.remove(&row.id);
                } else {
                    fresh_rows.insert(row.id, row);
                }
            }
            // What a full reading no longer holds is gone.
            changed |= follow.is_none();
        }
        let states = store.board_read().await?;
        let names = BoardNames::read(store, before.map(|before| &before.names), &states).await?;
        let mut series: HashMap<MonitorId, Vec<SeriesBoard>> = HashMap::with_capacity(entries.len());
        for state in states {
            series.entry(state.monitor_id).or_default().push(state);
        }

        let now = Timestamp::now().as_second();
        for (id, row) in fresh_rows {
            let mut series = series.remove(&id).unwrap_or_default();
            series.sort_unstable_by_key(|s| s.pool_id);
            let state = state_of(&row, &series, &*names, now);
            entries.insert(id, Arc::new(Entry::new(row, series, state)));
            changed = true;
        }
        for (id, entry) in &mut entries {
            // Fresh rows have taken theirs already.
            let Some(mut newer) = series.remove(id) else {
                continue;
            };
            newer.sort_unstable_by_key(|s| s.pool_id);
            let state = state_of(&entry.row, &newer, &*names, now);
            if newer != entry.series || state != entry.state {
                *entry = Arc::new(Entry::new(entry.row.clone(), newer, state));
                changed = true;
            }
        }
        let reuse = before.filter(|_| !changed);
        Ok(Self {
            began,
            revision: if changed { before_revision + 1 } else { before_revision },
            entries,
            names,
            catalog_rev,
            full_at: follow.map_or(began, |before| before.full_at),
            bodies: reuse.map(|before| before.bodies.clone()).unwrap_or_default(),
        })
    }

    /// The answer to `key`, serialised on the first call of this revision.
    pub fn body(&self, key: &str, make: impl FnOnce() -> (Vec<u8>, Option<MonitorId>)) -> CachedBody {
        let lock = || self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(body) = lock().get(key) {
            return body.clone();
        }
        // Two callers may make the same body at the same time; better than one of them waiting under a lock.
        let (bytes, next) = make();
        let body = CachedBody { etag: etag_of(&bytes), bytes: bytes.into(), next };
        let mut bodies = lock();
        if bodies.len() < BODIES {
            bodies.insert(key.to_owned(), body.clone());
        }
        body
    }
}
