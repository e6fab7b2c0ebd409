//! Standalone: definitions made here live in the database alone.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use nanomon_core::slot::stable_uid;
use nanomon_crds::object_name_for;
use nanomon_sql::monitors::{BATCH_MAX, MonitorFilter, MonitorRow, MonitorWrite, Source};
use nanomon_sql::{MonitorId, Store};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{NewMonitor, check_editable, check_seen, naming};
use crate::definition::MonitorInput;
use crate::error::{ApiError, ApiResult, FieldProblem};
use crate::view::monitor::labels_of;

/// Most monitors of one import: what the store writes in one transaction, so that all of it is kept or none.
const IMPORT_MONITORS: usize = BATCH_MAX;

/// Writes definitions of the source `api`; those of the manifest folder are left to their files.
pub struct DatabaseWriter {
    store: Store,
    installation: String,
    /// Names are looked up before they are written; one writer at a time, in the one process that there is.
    writing: Mutex<()>,
}

impl DatabaseWriter {
    /// A writer for this installation.
    pub fn new(store: Store, installation: String) -> Self {
        Self { store, installation, writing: Mutex::default() }
    }

    /// Makes a monitor; 409 if the object name was given and is taken.
    pub async fn create(&self, new: NewMonitor) -> ApiResult<MonitorId> {
        let _writing = self.writing.lock().await;
        let name = new.input.object_name.clone();
        let name = name.unwrap_or_else(|| object_name_for(&new.input.definition.def.display_name));
        let holder = self.store.monitor_get_by_name(&self.installation, &new.namespace, &name).await?;
        let mut taken: HashSet<String> = holder.map(|_| name).into_iter().collect();
        let write = self.plan_create(new, &mut taken).await?.map_err(|fault| ApiError::conflict(fault.message))?;
        self.write_one(write).await
    }

    /// Replaces a spec.
    pub async fn replace(&self, row: &MonitorRow, input: MonitorInput, seen: Option<&str>) -> ApiResult<MonitorId> {
        let _writing = self.writing.lock().await;
        let row = self.store.monitor_get(row.id).await?.ok_or_else(ApiError::monitor_not_found)?;
        check_editable(std::slice::from_ref(&row))?;
        check_seen(&row, seen)?;
        let labels = input.labels.unwrap_or_else(|| labels_of(&row));
        let (spec, meta) = (input.definition.spec_json(), meta(&labels));
        if spec == row.spec && meta == row.meta {
            return Ok(row.id);
        }
        let write = MonitorWrite {
            id: Some(row.id),
            uid: row.uid,
            namespace: row.namespace,
            name: row.name,
            source: Source::Api,
            spec,
            def: input.definition.def,
            generation: row.generation + 1,
            meta,
        };
        self.write_one(write).await
    }

    /// Deletes monitors; nothing if one of them is owned by a file.
    pub async fn delete(&self, rows: &[MonitorRow], seen: Option<&str>) -> ApiResult<()> {
        let _writing = self.writing.lock().await;
        check_editable(rows)?;
        for row in rows {
            check_seen(row, seen)?;
        }
        let ids: Vec<MonitorId> = rows.iter().map(|row| row.id).collect();
        self.store.monitor_tombstone_batch(&self.installation, None, &ids).await?;
        Ok(())
    }

    /// Makes all or none, in one transaction: also if the process is killed in the middle.
    pub async fn import(&self, new: Vec<NewMonitor>) -> ApiResult<()> {
        if new.len() > IMPORT_MONITORS {
            let detail = format!("an import must not hold more than {IMPORT_MONITORS} monitors; send several");
            return Err(ApiError::bad_request(detail));
        }
        let _writing = self.writing.lock().await;
        let mut taken: BTreeMap<String, HashSet<String>> = BTreeMap::new();
        // Names that entries ask for are theirs; those made from display names give way.
        for monitor in &new {
            if !taken.contains_key(&monitor.namespace) {
                taken.insert(monitor.namespace.clone(), self.taken_names(&monitor.namespace).await?);
            }
        }
        let mut writes = Vec::with_capacity(new.len());
        let mut faults = Vec::new();
        let (named, unnamed): (Vec<_>, Vec<_>) =
            new.into_iter().enumerate().partition(|(_, monitor)| monitor.input.object_name.is_some());
        for (at, monitor) in named.into_iter().chain(unnamed) {
            let taken = taken.entry(monitor.namespace.clone()).or_default();
            match self.plan_create(monitor, taken).await? {
                Ok(write) => writes.push((at, write)),
                Err(fault) => faults.push(FieldProblem::new(format!("[{at}].{}", fault.field), fault.message)),
            }
        }
        if let Some(first) = faults.first() {
            let detail = format!("nothing was imported: {}", first.message);
            return Err(ApiError::conflict(detail).with_errors(faults));
        }
        writes.sort_by_key(|(at, _)| *at);
        let writes: Vec<MonitorWrite> = writes.into_iter().map(|(_, write)| write).collect();
        self.store.monitor_write_batch(&self.installation, None, &writes).await?;
        Ok(())
    }

    async fn write_one(&self, write: MonitorWrite) -> ApiResult<MonitorId> {
        let written = self.store.monitor_write_batch(&self.installation, None, &[write]).await?;
        written
            .first()
            .map(|written| written.id)
            .ok_or_else(|| ApiError::internal(anyhow::anyhow!("the store answered nothing for a written monitor")))
    }

    async fn taken_names(&self, namespace: &str) -> ApiResult<HashSet<String>> {
        let filter = MonitorFilter { namespaces: Some(vec![namespace.to_owned()]), ..MonitorFilter::default() };
        let rows = self.store.monitor_list(&filter).await?;
        Ok(rows.into_iter().filter(|row| row.installation == self.installation).map(|row| row.name).collect())
    }

    /// The row of a new monitor, whose name is taken from now on; a fault if the name that it asks for is taken already.
    async fn plan_create(
        &self,
        new: NewMonitor,
        taken: &mut HashSet<String>,
    ) -> ApiResult<Result<MonitorWrite, FieldProblem>> {
        let NewMonitor { namespace, input } = new;
        let MonitorInput { definition, namespace: _, object_name, labels } = input;
        let id = self.store.monitor_id_draw().await?;
        let name = match object_name {
            Some(name) if taken.contains(&name) => {
                return Ok(Err(FieldProblem::new(
                    "objectName",
                    format!("the monitor {namespace}/{name} exists already"),
                )));
            }
            Some(name) => name,
            None => naming::object_name(&definition.def.display_name, id, |name| taken.contains(name)),
        };
        taken.insert(name.clone());
        Ok(Ok(MonitorWrite {
            id: Some(id),
            uid: Uuid::from_bytes(stable_uid(&namespace, &name)),
            spec: definition.spec_json(),
            def: definition.def,
            // Above every generation that an earlier monitor of this name can have had: a revived tombstone's is not known.
            generation: Timestamp::now().as_second(),
            meta: meta(&labels.unwrap_or_default()),
            namespace,
            name,
            source: Source::Api,
        }))
    }
}

fn meta(labels: &BTreeMap<String, String>) -> Value {
    json!({"labels": labels, "managedBy": {}})
}
