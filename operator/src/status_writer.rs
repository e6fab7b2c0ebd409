//! Writing statuses and Events to the Kubernetes API, within the budget and while the lease is held.

use std::collections::HashSet;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::discovery::ApiResource;
use kube::runtime::events::{Recorder, Reporter};
use kube::{Api, Client, Resource as _};
use nanomon_crds::conditions::{self, types};
use nanomon_crds::v1alpha1::status::TargetState;
use nanomon_crds::{Monitor, MonitorStatus};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::OperatorConfig;
use crate::events::{Note, Recent};
use crate::leader::{LEASE, Leadership};
use crate::metrics::Metrics;
use crate::monitor_controller::status::{Surroundings, Weight, desired, patch, weight};
use crate::objects::{Entry, Key, Memory};
use crate::write_budget::{HEALTH_SPACING, Job, Queue};

/// Requests in flight at once.
const IN_FLIGHT: usize = 8;
/// A request that takes longer has failed. kube retries 429 and 5xx by itself within this.
const PATIENCE: Duration = Duration::from_secs(10);
/// A failed write is tried again after this.
const RETRY: Duration = Duration::from_secs(2);

/// Field managers: of what tools wait for, and of the target's half.
const MANAGER: &str = "nanomon-operator";
const HEALTH_MANAGER: &str = "nanomon-operator-health";

/// Where the operator's parts leave what is to be written. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Outbox {
    queue: Arc<Mutex<Queue<Note>>>,
    recent: Arc<Mutex<Recent>>,
    pushed: Arc<Notify>,
    lease_namespace: String,
}

impl Outbox {
    pub(crate) fn new(config: &OperatorConfig) -> Self {
        let queue = Queue::new(config.writes_per_second, config.write_burst, Instant::now());
        Self {
            queue: Arc::new(Mutex::new(queue)),
            recent: Arc::default(),
            pushed: Arc::default(),
            lease_namespace: config.release_namespace.clone(),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue<Note>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The object's half of a status may have changed.
    pub(crate) fn verdict(&self, key: Key) {
        self.queue().push_verdict(key);
        self.pushed.notify_one();
    }

    /// The target's half has changed.
    pub(crate) fn health(&self, key: Key, last_written: Option<Instant>) {
        let now = Instant::now();
        self.queue().push_health(key, last_written.map_or(now, |at| (at + HEALTH_SPACING).max(now)));
        self.pushed.notify_one();
    }

    /// A write failed.
    fn retry(&self, key: Key) {
        self.queue().push_health(key, Instant::now() + RETRY);
        self.pushed.notify_one();
    }

    /// The last value has changed.
    pub(crate) fn refresh(&self, key: Key) {
        self.queue().push_refresh(key);
        self.pushed.notify_one();
    }

    fn event(&self, note: Note) {
        if self.recent.lock().unwrap_or_else(PoisonError::into_inner).is_news(&note, Instant::now()) {
            self.queue().push_event(note);
            self.pushed.notify_one();
        }
    }

    /// An Event about the installation as a whole; it stands at the operators' lease.
    pub(crate) fn installation_event(&self, reason: &str, text: &str) {
        let about = ObjectReference {
            api_version: Some("coordination.k8s.io/v1".to_owned()),
            kind: Some("Lease".to_owned()),
            namespace: Some(self.lease_namespace.clone()),
            name: Some(LEASE.to_owned()),
            ..ObjectReference::default()
        };
        self.event(Note { about, warning: true, reason: reason.to_owned(), action: "Resync", text: text.to_owned() });
    }
}

/// A status that is being written.
struct Sent {
    key: Key,
    uid: uuid::Uuid,
    weight: Weight,
    before: MonitorStatus,
    after: MonitorStatus,
}

/// What a finished request tells.
enum Done {
    /// A status, with the resource version that it made.
    Status(Box<Sent>, Result<u64, kube::Error>),
    Event(Result<(), kube::Error>),
}

/// The writing task.
pub(crate) struct StatusWriter {
    pub client: Client,
    pub config: Arc<OperatorConfig>,
    pub memory: Arc<Memory>,
    pub outbox: Outbox,
    pub leadership: Leadership,
    pub metrics: Metrics,
}

/// Requests that run.
#[derive(Default)]
struct Flight {
    requests: FuturesUnordered<JoinHandle<Done>>,
    busy: HashSet<Key>,
    /// Asked for again while they were busy.
    again: HashSet<Key>,
}

impl StatusWriter {
    /// Writes until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let reporter = Reporter { controller: MANAGER.to_owned(), instance: Some(self.config.identity.clone()) };
        let recorder = Recorder::new(self.client.clone(), reporter);
        let mut flight = Flight::default();
        loop {
            let pushed = self.outbox.pushed.notified();
            while flight.requests.len() < IN_FLIGHT && self.leadership.term().is_some() {
                let job = self.outbox.queue().pop(Instant::now());
                match job {
                    None => break,
                    Some(Job::Event(note)) => flight.requests.push(tokio::spawn(publish(recorder.clone(), note))),
                    Some(Job::Verdict(key)) => self.start(key, Weight::Verdict, &mut flight),
                    Some(Job::Health(key)) => self.start(key, Weight::Health, &mut flight),
                    Some(Job::Refresh(key)) => self.start(key, Weight::Refresh, &mut flight),
                }
            }
            self.metrics.queue_depth(self.outbox.queue().depth());
            // The term is looked at once a second even if nothing happens.
            let now = Instant::now();
            let soon = now + Duration::from_secs(1);
            let next = self.outbox.queue().next(now).map_or(soon, |at| at.min(soon));
            let next = if self.leadership.term().is_some() { next } else { soon };
            tokio::select! {
                () = stop.cancelled() => break,
                Some(done) = flight.requests.next(), if !flight.requests.is_empty() => {
                    if let Ok(done) = done {
                        self.finish(done, &mut flight);
                    }
                }
                () = pushed => {}
                () = tokio::time::sleep_until(next.into()), if flight.requests.len() < IN_FLIGHT => {}
            }
        }
        // What has been sent is awaited, so that nothing is written after the lease was given back.
        let rest = async { while flight.requests.next().await.is_some() {} };
        let _ = tokio::time::timeout(PATIENCE, rest).await;
    }

    /// Sends an object's status if it is worth a write; the token comes back otherwise.
    fn start(&self, key: Key, at_least: Weight, flight: &mut Flight) {
        if flight.busy.contains(&key) {
            self.outbox.queue().unspent();
            flight.again.insert(key);
            return;
        }
        let Some(sent) = self.plan(&key, at_least) else { return self.outbox.queue().unspent() };
        let manager = if sent.weight == Weight::Verdict { MANAGER } else { HEALTH_MANAGER };
        let body = patch(&sent.uid.to_string(), &sent.before, &sent.after);
        let resource = ApiResource::erase::<Monitor>(&());
        // Unread by our types: an object without a Monitor's shape gets its status too.
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &key.namespace, &resource);
        flight.busy.insert(key);
        flight.requests.push(tokio::spawn(async move {
            let params = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
            let answer = within(api.patch_status(&sent.key.name, &params, &Patch::Merge(&body))).await;
            Done::Status(Box::new(sent), answer.map(|object| version(object.metadata.resource_version.as_deref())))
        }));
    }

    fn plan(&self, key: &Key, at_least: Weight) -> Option<Sent> {
        let mut objects = self.memory.lock();
        let entry = objects.entries.get_mut(key)?;
        let after = self.desired(entry)?;
        let weight = weight(&entry.seen, &after);
        if weight == Weight::Nothing || weight < at_least.min(Weight::Health) {
            return None;
        }
        if weight >= Weight::Health {
            entry.health_written = Some(Instant::now());
        }
        Some(Sent { key: key.clone(), uid: entry.uid, weight, before: entry.seen.clone(), after })
    }

    fn desired(&self, entry: &Entry) -> Option<MonitorStatus> {
        desired(
            entry,
            &Surroundings {
                pools: &self.config.pools,
                stalled_after: self.config.stalled_after,
                now: Timestamp::now(),
                instant: Instant::now(),
            },
        )
    }

    fn finish(&self, done: Done, flight: &mut Flight) {
        let (sent, result) = match done {
            Done::Event(result) => {
                if let Err(error) = result {
                    self.metrics.write_error("event");
                    tracing::debug!(%error, "an Event was not written");
                }
                return;
            }
            Done::Status(sent, result) => (*sent, result),
        };
        let Sent { key, uid, weight, before, after } = sent;
        flight.busy.remove(&key);
        if flight.again.remove(&key) {
            self.outbox.verdict(key.clone());
        }
        match result {
            Ok(version) => {
                self.metrics.written_status(weight);
                self.announce(&key, uid, &before, &after);
                if let Some(entry) = self.memory.lock().entries.get_mut(&key).filter(|entry| entry.uid == uid) {
                    entry.see(after, version);
                }
            }
            // Deleted, or replaced by an object of the same name: the watch tells.
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {}
            Err(error) => {
                self.metrics.write_error("status");
                tracing::debug!(%error, namespace = %key.namespace, name = %key.name, "a status was not written");
                self.outbox.retry(key);
            }
        }
    }

    /// Tells people what changed.
    fn announce(&self, key: &Key, uid: uuid::Uuid, before: &MonitorStatus, after: &MonitorStatus) {
        let about = ObjectReference {
            api_version: Some(Monitor::api_version(&()).into_owned()),
            kind: Some(Monitor::kind(&()).into_owned()),
            namespace: Some(key.namespace.clone()),
            name: Some(key.name.clone()),
            uid: Some(uid.to_string()),
            ..ObjectReference::default()
        };
        let said = |status: &MonitorStatus, type_: &str| {
            conditions::find(&status.conditions, type_).map(|c| (c.status.clone(), c.reason.clone(), c.message.clone()))
        };
        let ready = said(after, types::READY);
        if let Some((status, reason, text)) = ready
            && status == "False"
            && said(before, types::READY).map(|(status, reason, _)| (status, reason)) != Some((status, reason.clone()))
        {
            self.outbox.event(Note { about: about.clone(), warning: true, reason, action: "Schedule", text });
        }
        let Some((_, reason, text)) = said(after, types::HEALTHY) else { return };
        let bad = |state: Option<TargetState>| matches!(state, Some(TargetState::Error | TargetState::Failed));
        if before.state != after.state
            && (bad(after.state) || (bad(before.state) && after.state == Some(TargetState::Ok)))
        {
            self.outbox.event(Note { about, warning: bad(after.state), reason, action: "Probe", text });
        }
    }
}

async fn publish(recorder: Recorder, note: Note) -> Done {
    Done::Event(within(recorder.publish(&note.to_event(), &note.about)).await)
}

/// A request that ends, whatever happens.
async fn within<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    match tokio::time::timeout(PATIENCE, request).await {
        Ok(result) => result,
        Err(_) => Err(kube::Error::Service("no answer within 10 s".into())),
    }
}

/// A resource version as a number; 0 for one that is none, which is older than all.
pub(crate) fn version(text: Option<&str>) -> u64 {
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}
