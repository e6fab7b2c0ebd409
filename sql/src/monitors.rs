//! Definitions: `monitors`, `series`, `series_schedule`. Written by the operator (cluster), the manifest folder and the API
//! (standalone), always through the batch functions here; each batch is one transaction and one revision.

use jiff::Timestamp;
use nanomon_core::{MonitorDef, ProbeType};
use serde_json::Value;
use uuid::Uuid;

use crate::{MonitorId, PoolId, Revision, SeriesId, Slot};

mod clear;
mod hash;
mod read;
mod sync;
mod write;

pub use hash::spec_hash;
pub(crate) use sync::series_sync;
pub use write::BATCH_MAX;
pub(crate) use write::{catalog_begin, catalog_end};

/// Who owns a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// An object in the Kubernetes API.
    Kubernetes,
    /// A file in standalone's manifest folder.
    Manifest,
    /// The REST API of standalone.
    Api,
}

impl Source {
    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::Manifest => "manifest",
            Self::Api => "api",
        }
    }

    /// Reads the stored word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Kubernetes, Self::Manifest, Self::Api].into_iter().find(|source| source.as_str() == word)
    }
}

/// A definition to be written.
#[derive(Debug, Clone)]
pub struct MonitorWrite {
    /// An id drawn before by [`Store::monitor_id_draw`] for a new monitor; `None`: the store draws one. Ignored for an
    /// existing (namespace, name), which keeps its id, and for an id already in use or never drawn.
    pub id: Option<MonitorId>,
    /// `metadata.uid`; standalone makes a stable one from (namespace, name).
    pub uid: Uuid,
    /// Namespace.
    pub namespace: String,
    /// Object name.
    pub name: String,
    /// Who owns it.
    pub source: Source,
    /// The user's spec as JSON (the CRD's shape): shown, exported, never read by runners.
    pub spec: Value,
    /// The valid definition that runners read.
    pub def: MonitorDef,
    /// `metadata.generation`; standalone counts itself.
    pub generation: i64,
    /// Labels and what else the API shows: `{"labels": {...}, "managedBy": {...}}`.
    pub meta: Value,
}

/// What became of a [`MonitorWrite`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The monitor's id.
    pub id: MonitorId,
    /// What happened.
    pub change: Change,
    /// The revision that carries it (unchanged rows: the one they had).
    pub rev: Revision,
}

/// See [`Written`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A new row.
    Created,
    /// A tombstoned row of the same (installation, namespace, name) lives again with its id and history.
    Revived,
    /// The spec, generation, uid, source, meta or the definition made of the spec differs from before.
    Updated,
    /// Nothing was written.
    Unchanged,
}

/// A row of `monitors` with its series.
#[derive(Debug, Clone)]
pub struct MonitorRow {
    /// The API's id.
    pub id: MonitorId,
    /// `metadata.uid`; slots and buckets derive from it.
    pub uid: Uuid,
    /// The installation that owns the row.
    pub installation: String,
    /// Namespace.
    pub namespace: String,
    /// Object name.
    pub name: String,
    /// Who owns it.
    pub source: Source,
    /// The user's spec.
    pub spec: Value,
    /// See [`MonitorWrite::meta`].
    pub meta: Value,
    /// The definition that runs; `None` for tombstones and for one that a newer version wrote.
    pub def: Option<MonitorDef>,
    /// The generation of `spec`.
    pub generation: i64,
    /// Slot key of the initial run: when target, rule, interval or pools last changed, or the monitor was resumed.
    pub activated_at: Slot,
    /// Shard.
    pub bucket: i16,
    /// The revision of this row.
    pub rev: Revision,
    /// Results older than this are cleared: not shown, not accepted.
    pub cleared_before: Slot,
    /// Deleted: not probed, not shown.
    pub tombstoned: bool,
    /// When the definition last changed.
    pub updated_at: Timestamp,
    /// When the monitor was first written.
    pub created_at: Timestamp,
    /// Its live series.
    pub series: Vec<SeriesRef>,
}

/// A series of a monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesRef {
    /// The series.
    pub id: SeriesId,
    /// Its pool.
    pub pool_id: PoolId,
}

/// What changed after a revision.
#[derive(Debug, Clone)]
pub struct CatalogChanges {
    /// The revision up to which `monitors` is complete.
    pub rev: Revision,
    /// Changed rows, tombstones included.
    pub monitors: Vec<MonitorRow>,
}

/// A line of the comparison between an installation's objects and its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonitorDigest {
    /// The id.
    pub id: MonitorId,
    /// The uid stored.
    pub uid: Uuid,
    /// Namespace.
    pub namespace: String,
    /// Object name.
    pub name: String,
    /// Stored generation.
    pub generation: i64,
    /// Hash of the normalised spec, see [`spec_hash`].
    pub spec_hash: Vec<u8>,
}

/// What the API may filter a list by. Empty: everything that lives.
#[derive(Debug, Clone, Default)]
pub struct MonitorFilter {
    /// Exactly these namespaces.
    pub namespaces: Option<Vec<String>>,
    /// Exactly this group.
    pub group: Option<String>,
    /// Exactly this type.
    pub probe: Option<ProbeType>,
    /// Case-insensitive part of name, display name or target.
    pub search: Option<String>,
}

/// A pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolRow {
    /// Its id.
    pub id: PoolId,
    /// Its name.
    pub name: String,
}
