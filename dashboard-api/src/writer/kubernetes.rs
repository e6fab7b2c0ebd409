//! Cluster: definitions are objects in the Kubernetes API; the operator turns them into rows.

mod refusal;

use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ObjectMeta, PostParams, Preconditions};
use kube::{Api, Client, ResourceExt as _};
use nanomon_crds::{Monitor, object_name_for};
use nanomon_sql::monitors::MonitorRow;
use nanomon_sql::{MonitorId, Store};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout_at};

use super::{NewMonitor, PendingMonitor, Written, changed_meanwhile, naming, owner_of};
use crate::definition::MonitorInput;
use crate::error::{ApiError, ApiResult, FieldProblem};
use crate::view::monitor::owned_sentence;
use refusal::{is_taken, refused, unreachable};

/// Our field manager.
const MANAGER: &str = "nanomon-api";
/// Annotation with the id that the row is to have.
const ID_ANNOTATION: &str = "nanomon.io/id";
/// How long a call to the API server may take, its retries included.
const CALL: Duration = Duration::from_secs(10);
/// How long a write waits for its row.
const ROW: Duration = Duration::from_secs(4);
/// Pause between two looks for a row.
const LOOK: Duration = Duration::from_millis(50);
/// How often a write is repeated that lost a race against a status update.
const RACES: usize = 5;
/// Calls in flight for one request.
const PARALLEL: usize = 8;
/// Most monitors of one import.
const IMPORT_MONITORS: usize = 500;

/// Writes Monitors with the service account of the pod.
pub struct KubernetesWriter {
    client: Client,
    store: Store,
    installation: String,
}

impl KubernetesWriter {
    /// A writer for this installation.
    pub fn new(client: Client, store: Store, installation: String) -> Self {
        Self { client, store, installation }
    }

    /// Creates the object and waits a few seconds for its row.
    pub async fn create(&self, new: NewMonitor) -> ApiResult<Written> {
        let id = self.store.monitor_id_draw().await?;
        let NewMonitor { namespace, input } = new;
        let object = self.create_object(&namespace, &input, id, &HashSet::new(), false).await?;
        self.await_row(id, namespace, object, input).await
    }

    /// Replaces the spec by an update with the resourceVersion that was read. Status updates change that too, so a lost race is
    /// repeated as long as it is still the same generation.
    pub async fn replace(&self, row: &MonitorRow, input: MonitorInput, seen: Option<&str>) -> ApiResult<Written> {
        let api = self.api(&row.namespace);
        let spec = input.definition.spec_json();
        let mut first: Option<(Option<String>, Option<i64>)> = None;
        for _ in 0..RACES {
            let mut object = self.read_editable(&api, &row.name, seen).await?;
            let version = (object.uid(), object.metadata.generation);
            if first.get_or_insert_with(|| version.clone()) != &version {
                return Err(changed_meanwhile());
            }
            object.data["spec"] = spec.clone();
            object.metadata.managed_fields = None;
            if let Some(labels) = &input.labels {
                object.metadata.labels = Some(labels.clone());
            }
            let params = PostParams { dry_run: false, field_manager: Some(MANAGER.to_owned()) };
            match call(api.replace(&row.name, &params, &object)).await? {
                Ok(object) => return self.await_row(row.id, row.namespace.clone(), object, input).await,
                Err(kube::Error::Api(status)) if status.is_conflict() => {}
                Err(error) => return Err(refused(error, &row.namespace)),
            }
        }
        Err(changed_meanwhile())
    }

    /// Deletes objects; none if a tool owns one of them.
    pub async fn delete(&self, rows: &[MonitorRow], seen: Option<&str>) -> ApiResult<()> {
        // Owned names, because a closure over borrowed rows is not general enough for the handler's future.
        let names: Vec<(String, String)> = rows.iter().map(|row| (row.namespace.clone(), row.name.clone())).collect();
        let read = futures::stream::iter(names)
            .map(|(namespace, name)| async move {
                match call(self.api(&namespace).get_opt(&name)).await? {
                    Ok(found) => Ok((namespace, name, found)),
                    Err(error) => Err(refused(error, &namespace)),
                }
            })
            .buffered(PARALLEL)
            .try_collect::<Vec<_>>()
            .await?;
        let owned: Vec<FieldProblem> = read
            .iter()
            .filter_map(|(namespace, name, object)| {
                let owner = owner_of(&object.as_ref()?.metadata)?;
                Some(FieldProblem::new(format!("{namespace}/{name}"), owned_sentence(&owner)))
            })
            .collect();
        if let Some(first) = owned.first() {
            let detail = if rows.len() == 1 {
                first.message.clone()
            } else {
                format!("nothing was deleted: {}: {}", first.field, first.message)
            };
            let errors = if rows.len() == 1 { Vec::new() } else { owned };
            return Err(ApiError::conflict(detail).with_errors(errors));
        }
        futures::stream::iter(read)
            .map(|(namespace, name, object)| async move {
                let Some(object) = object else { return Ok(()) };
                check_seen(&object, seen)?;
                self.delete_object(&namespace, &name, object).await
            })
            .buffer_unordered(PARALLEL)
            .try_collect::<()>()
            .await?;
        let deadline = Instant::now() + ROW;
        for row in rows {
            while Instant::now() < deadline && self.store.monitor_get(row.id).await?.is_some() {
                sleep(LOOK).await;
            }
        }
        Ok(())
    }

    /// Lets the server judge every object first, then creates them; deletes what it made if a later one fails.
    pub async fn import(&self, new: Vec<NewMonitor>) -> ApiResult<()> {
        if new.len() > IMPORT_MONITORS {
            let detail = format!("an import must not hold more than {IMPORT_MONITORS} monitors; send several");
            return Err(ApiError::bad_request(detail));
        }
        let mut planned = Vec::with_capacity(new.len());
        let mut faults = Vec::new();
        let mut status = None;
        let mut taken: BTreeMap<String, HashSet<String>> = BTreeMap::new();
        for monitor in &new {
            if let Some(name) = &monitor.input.object_name {
                taken.entry(monitor.namespace.clone()).or_default().insert(name.clone());
            }
        }
        for (at, NewMonitor { namespace, mut input }) in new.into_iter().enumerate() {
            let id = self.store.monitor_id_draw().await?;
            let names = taken.entry(namespace.clone()).or_default();
            let other = HashSet::new();
            let avoid = if input.object_name.is_some() { &other } else { &*names };
            match self.create_object(&namespace, &input, id, avoid, true).await {
                Ok(object) => {
                    let name = object.name_any();
                    names.insert(name.clone());
                    input.object_name = Some(name);
                    planned.push((namespace, input, id));
                }
                Err(error) if error.status().is_client_error() => {
                    status.get_or_insert(error.status());
                    let named = error
                        .errors()
                        .iter()
                        .map(|fault| FieldProblem::new(format!("[{at}].{}", fault.field), fault.message.clone()));
                    let before = faults.len();
                    faults.extend(named);
                    if faults.len() == before {
                        faults.push(FieldProblem::new(format!("[{at}]"), error.detail()));
                    }
                }
                Err(error) => return Err(error),
            }
        }
        if let (Some(status), Some(first)) = (status, faults.first()) {
            let detail = format!("nothing was imported: {}", first.message);
            return Err(ApiError::new(status, detail).with_errors(faults));
        }
        let mut made: Vec<DynamicObject> = Vec::with_capacity(planned.len());
        for (namespace, input, id) in &planned {
            match self.create_object(namespace, input, *id, &HashSet::new(), false).await {
                Ok(object) => made.push(object),
                Err(error) => return Err(self.undo(made, error).await),
            }
        }
        let deadline = Instant::now() + ROW;
        for object in &made {
            let namespace = object.namespace().unwrap_or_default();
            let name = object.name_any();
            while Instant::now() < deadline
                && self.store.monitor_get_by_name(&self.installation, &namespace, &name).await?.is_none()
            {
                sleep(LOOK).await;
            }
        }
        Ok(())
    }

    /// Deletes what a failed import made; the answer names what could not be deleted.
    async fn undo(&self, made: Vec<DynamicObject>, error: ApiError) -> ApiError {
        let mut left = Vec::new();
        for object in made {
            let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
            let params = DeleteParams {
                preconditions: Some(Preconditions { uid: object.uid(), resource_version: None }),
                ..DeleteParams::default()
            };
            let gone = match call(self.api(&namespace).delete(&name, &params)).await {
                Ok(Ok(_)) => true,
                Ok(Err(kube::Error::Api(status))) => status.is_not_found(),
                Ok(Err(_)) | Err(_) => false,
            };
            if !gone {
                left.push(FieldProblem::new(
                    format!("{namespace}/{name}"),
                    "was created and could not be deleted again",
                ));
            }
        }
        let outcome = if left.is_empty() { "nothing was imported" } else { "the import stopped half-way" };
        let detail = format!("{outcome}: {}", error.detail());
        let errors = error.errors().iter().cloned().chain(left).collect();
        ApiError::new(error.status(), detail).with_errors(errors)
    }

    fn api(&self, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &ApiResource::erase::<Monitor>(&()))
    }

    async fn create_object(
        &self,
        namespace: &str,
        input: &MonitorInput,
        id: MonitorId,
        avoid: &HashSet<String>,
        dry_run: bool,
    ) -> ApiResult<DynamicObject> {
        let plain = input.object_name.clone().unwrap_or_else(|| object_name_for(&input.definition.def.display_name));
        let api = self.api(namespace);
        let params = PostParams { dry_run, field_manager: Some(MANAGER.to_owned()) };
        let hashed = input.object_name.is_none().then(|| naming::hashed_name(&plain, id));
        let names = std::iter::once(plain).filter(|name| !avoid.contains(name)).chain(hashed);
        let mut taken = None;
        for name in names {
            let object = new_object(namespace, &name, input, id);
            match call(api.create(&params, &object)).await? {
                Ok(object) => return Ok(object),
                Err(kube::Error::Api(status)) if is_taken(&status) => taken = Some(name),
                Err(error) => return Err(refused(error, namespace)),
            }
        }
        let name = taken.unwrap_or_default();
        let sentence = format!("the monitor {namespace}/{name} exists already");
        Err(ApiError::conflict(sentence.clone()).with_errors(vec![FieldProblem::new("objectName", sentence)]))
    }

    /// The object, if the API may edit it and the client saw this version of it.
    async fn read_editable(
        &self,
        api: &Api<DynamicObject>,
        name: &str,
        seen: Option<&str>,
    ) -> ApiResult<DynamicObject> {
        let object = match call(api.get_opt(name)).await? {
            Ok(Some(object)) => object,
            Ok(None) => return Err(ApiError::monitor_not_found()),
            Err(error) => return Err(refused(error, "")),
        };
        if let Some(owner) = owner_of(&object.metadata) {
            return Err(ApiError::conflict(owned_sentence(&owner)));
        }
        check_seen(&object, seen)?;
        Ok(object)
    }

    async fn delete_object(&self, namespace: &str, name: &str, mut object: DynamicObject) -> ApiResult<()> {
        let api = self.api(namespace);
        for _ in 0..RACES {
            let params = DeleteParams {
                preconditions: Some(Preconditions { uid: object.uid(), resource_version: object.resource_version() }),
                ..DeleteParams::default()
            };
            match call(api.delete(name, &params)).await? {
                Ok(_) => return Ok(()),
                Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(()),
                Err(kube::Error::Api(status)) if status.is_conflict() => {}
                Err(error) => return Err(refused(error, namespace)),
            }
            let again = match call(api.get_opt(name)).await? {
                Ok(Some(again)) => again,
                Ok(None) => return Ok(()),
                Err(error) => return Err(refused(error, namespace)),
            };
            if again.uid() != object.uid() || again.metadata.generation != object.metadata.generation {
                return Err(changed_meanwhile());
            }
            object = again;
        }
        Err(changed_meanwhile())
    }

    /// Waits until the operator has written this generation.
    async fn await_row(
        &self,
        id: MonitorId,
        namespace: String,
        object: DynamicObject,
        input: MonitorInput,
    ) -> ApiResult<Written> {
        let name = object.name_any();
        let uid = object.uid().unwrap_or_default();
        let generation = object.metadata.generation.unwrap_or(1);
        let deadline = Instant::now() + ROW;
        while Instant::now() < deadline {
            // The object is accepted: a database that is away makes this a 202, not a failure.
            let look = self.store.monitor_get_by_name(&self.installation, &namespace, &name);
            match timeout_at(deadline, look).await {
                Ok(Ok(Some(row))) if row.uid.to_string() == uid && row.generation >= generation => {
                    return Ok(Written::Row(row.id));
                }
                Ok(_) => sleep(LOOK).await,
                Err(_) => break,
            }
        }
        Ok(Written::Pending(Box::new(PendingMonitor { id, namespace, name, at: Timestamp::now(), input })))
    }
}

fn new_object(namespace: &str, name: &str, input: &MonitorInput, id: MonitorId) -> DynamicObject {
    let mut object = DynamicObject::new(name, &ApiResource::erase::<Monitor>(&()));
    object.metadata = ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(namespace.to_owned()),
        labels: input.labels.clone(),
        annotations: Some(BTreeMap::from([(ID_ANNOTATION.to_owned(), id.to_string())])),
        ..ObjectMeta::default()
    };
    object.data = json!({"spec": input.definition.spec_json()});
    object
}

/// 412 if the client saw another version of the object.
fn check_seen(object: &DynamicObject, seen: Option<&str>) -> ApiResult<()> {
    let Some(seen) = seen else { return Ok(()) };
    let uid: Option<uuid::Uuid> = object.uid().and_then(|uid| uid.parse().ok());
    let tag = crate::board::tag_of(uid.unwrap_or_default(), object.metadata.generation.unwrap_or_default());
    if seen == tag { Ok(()) } else { Err(changed_meanwhile()) }
}

/// A call with a deadline: the client itself repeats a call that the server puts off.
async fn call<T>(future: impl Future<Output = kube::Result<T>>) -> ApiResult<kube::Result<T>> {
    tokio::time::timeout(CALL, future).await.map_err(|_| unreachable())
}
