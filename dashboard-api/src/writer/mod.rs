//! Where definitions are written: the database in standalone, the Kubernetes API in a cluster.

mod database;
mod kubernetes;
mod naming;

use jiff::Timestamp;
use nanomon_sql::MonitorId;
use nanomon_sql::monitors::MonitorRow;

pub use database::DatabaseWriter;
pub use kubernetes::KubernetesWriter;
pub use nanomon_crds::owner::owner_of;

use crate::definition::MonitorInput;
use crate::error::{ApiError, ApiResult, FieldProblem};
use crate::view::monitor::ManagedBy;

/// A monitor to be made.
#[derive(Clone, Debug)]
pub struct NewMonitor {
    /// Where.
    pub namespace: String,
    /// What.
    pub input: MonitorInput,
}

/// What became of a write.
#[derive(Clone, Debug)]
pub enum Written {
    /// The row is there.
    Row(MonitorId),
    /// The object is accepted; its row will follow.
    Pending(Box<PendingMonitor>),
}

/// An object whose row is not there yet.
#[derive(Clone, Debug)]
pub struct PendingMonitor {
    /// The id that its row will have.
    pub id: MonitorId,
    /// Namespace.
    pub namespace: String,
    /// Object name.
    pub name: String,
    /// When it was written.
    pub at: Timestamp,
    /// What was written.
    pub input: MonitorInput,
}

/// One of the two writers.
pub enum Writer {
    /// Standalone.
    Database(DatabaseWriter),
    /// Cluster.
    Kubernetes(KubernetesWriter),
}

impl Writer {
    /// Makes a monitor.
    pub async fn create(&self, new: NewMonitor) -> ApiResult<Written> {
        match self {
            Self::Database(writer) => writer.create(new).await.map(Written::Row),
            Self::Kubernetes(writer) => writer.create(new).await,
        }
    }

    /// Replaces the spec of a monitor. `seen` is the definition tag that the client last saw, if it says so.
    pub async fn replace(&self, row: &MonitorRow, input: MonitorInput, seen: Option<&str>) -> ApiResult<Written> {
        check_placement(row, &input)?;
        match self {
            Self::Database(writer) => writer.replace(row, input, seen).await.map(Written::Row),
            Self::Kubernetes(writer) => writer.replace(row, input, seen).await,
        }
    }

    /// Deletes monitors, all or none if one of them is owned by somebody else.
    pub async fn delete(&self, rows: &[MonitorRow], seen: Option<&str>) -> ApiResult<()> {
        match self {
            Self::Database(writer) => writer.delete(rows, seen).await,
            Self::Kubernetes(writer) => writer.delete(rows, seen).await,
        }
    }

    /// Makes all of these monitors or none.
    pub async fn import(&self, new: Vec<NewMonitor>) -> ApiResult<()> {
        check_twins(&new)?;
        match self {
            Self::Database(writer) => writer.import(new).await,
            Self::Kubernetes(writer) => writer.import(new).await,
        }
    }
}

/// A monitor is never moved or renamed.
fn check_placement(row: &MonitorRow, input: &MonitorInput) -> ApiResult<()> {
    for (field, asked, have) in
        [("namespace", &input.namespace, &row.namespace), ("objectName", &input.object_name, &row.name)]
    {
        if asked.as_ref().is_some_and(|asked| asked != have) {
            return Err(ApiError::invalid_field(field, format!("{field} cannot be changed; it is {have}")));
        }
    }
    Ok(())
}

/// Two entries of an import must not ask for the same object.
fn check_twins(new: &[NewMonitor]) -> ApiResult<()> {
    let mut seen = std::collections::HashMap::new();
    let mut faults = Vec::new();
    for (at, monitor) in new.iter().enumerate() {
        let Some(name) = &monitor.input.object_name else {
            continue;
        };
        if let Some(first) = seen.insert((&monitor.namespace, name), at) {
            let message = format!("{}/{name} stands already at [{first}]", monitor.namespace);
            faults.push(FieldProblem::new(format!("[{at}].objectName"), message));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(ApiError::invalid(faults)) }
}

/// 409 if somebody else owns one of these monitors; names each.
fn check_editable(rows: &[MonitorRow]) -> ApiResult<()> {
    let faults: Vec<FieldProblem> = rows
        .iter()
        .filter_map(|row| {
            let reason = ManagedBy::of(row).reason?;
            Some(FieldProblem::new(format!("{}/{}", row.namespace, row.name), reason))
        })
        .collect();
    match faults.as_slice() {
        [] => Ok(()),
        [fault] if rows.len() == 1 => Err(ApiError::conflict(fault.message.clone())),
        [fault, ..] => {
            let detail = format!("nothing was changed: {}: {}", fault.field, fault.message);
            Err(ApiError::conflict(detail).with_errors(faults))
        }
    }
}

/// 412 if the client saw another version of the definition.
fn check_seen(row: &MonitorRow, seen: Option<&str>) -> ApiResult<()> {
    match seen {
        Some(seen) if seen != crate::board::definition_tag(row) => Err(changed_meanwhile()),
        Some(_) | None => Ok(()),
    }
}

/// Somebody else was faster.
fn changed_meanwhile() -> ApiError {
    ApiError::new(
        axum::http::StatusCode::PRECONDITION_FAILED,
        "the monitor was changed meanwhile; load it again and repeat the change",
    )
}
