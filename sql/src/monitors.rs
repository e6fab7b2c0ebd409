//! Definitions: `monitors`, `series`, `series_schedule`. Written by the operator (cluster), the manifest folder and the API
//! (standalone), always through the batch functions here; each batch is one transaction and one revision.

use jiff::Timestamp;
use nanomon_core::{MonitorDef, ProbeType};
use serde_json::Value;
use uuid::Uuid;

use crate::error::Result;
use crate::{MonitorId, PoolId, Revision, SeriesId, Slot, Store};

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
}

/// A definition to be written.
#[derive(Debug, Clone)]
pub struct MonitorWrite {
    /// An id drawn before by [`Store::monitor_id_draw`] for a new monitor; `None`: the store draws one. Ignored for an
    /// existing (namespace, name), which keeps its id, and for an id already in use.
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
    /// The spec, uid or source differs from before.
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
    /// The definition that runs; `None` only for tombstones.
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

/// Hash of a spec with its keys sorted: rows differ by this, not by generation order.
pub fn spec_hash(_spec: &Value) -> Vec<u8> {
    todo!()
}

impl Store {
    /// Draws an id for a monitor to be made.
    pub async fn monitor_id_draw(&self) -> Result<MonitorId> {
        todo!()
    }

    /// Writes up to 500 definitions of one installation in one transaction and one revision; unchanged ones cost nothing and
    /// take no revision. Makes series, states and schedule rows; a changed activation sets `activated_at`. `fence`: the
    /// operator's epoch. Answers in the order of `writes`. Notifies `monitors_changed` after the commit.
    pub async fn monitor_write_batch(
        &self,
        _installation: &str,
        _fence: Option<i64>,
        _writes: &[MonitorWrite],
    ) -> Result<Vec<Written>> {
        todo!()
    }

    /// Tombstones these monitors (unknown or tombstoned ids are ignored); answers how many were living.
    pub async fn monitor_tombstone_batch(
        &self,
        _installation: &str,
        _fence: Option<i64>,
        _ids: &[MonitorId],
    ) -> Result<u64> {
        todo!()
    }

    /// A living monitor.
    pub async fn monitor_get(&self, _id: MonitorId) -> Result<Option<MonitorRow>> {
        todo!()
    }

    /// A living monitor by its object name.
    pub async fn monitor_get_by_name(
        &self,
        _installation: &str,
        _namespace: &str,
        _name: &str,
    ) -> Result<Option<MonitorRow>> {
        todo!()
    }

    /// Living monitors, ordered by id.
    pub async fn monitor_list(&self, _filter: &MonitorFilter) -> Result<Vec<MonitorRow>> {
        todo!()
    }

    /// Everything that changed after `since`, tombstones included, in revision order; with `buckets` only of those shards
    /// (of any pool). `since` 0 reads all living ones.
    pub async fn catalog_changes(&self, _since: Revision, _buckets: Option<&[i16]>) -> Result<CatalogChanges> {
        todo!()
    }

    /// (id, rev) of all living monitors: the full comparison done every 10 minutes.
    pub async fn catalog_revisions(&self) -> Result<Vec<(MonitorId, Revision)>> {
        todo!()
    }

    /// The living rows of an installation, for a resync.
    pub async fn monitor_digests(&self, _installation: &str) -> Result<Vec<MonitorDigest>> {
        todo!()
    }

    /// Sets the clear mark of these monitors (all of a namespace or everything are the caller's lists) to `before`: older
    /// results are no longer shown or accepted; states, rollups and incidents go by key.
    pub async fn monitor_clear_results(&self, _ids: &[MonitorId], _before: Slot) -> Result<()> {
        todo!()
    }

    /// The pools that exist, by id. `default` always does.
    pub async fn pool_list(&self) -> Result<Vec<PoolRow>> {
        todo!()
    }

    /// The pool of this name, made if absent.
    pub async fn pool_ensure(&self, _name: &str) -> Result<PoolId> {
        todo!()
    }
}
