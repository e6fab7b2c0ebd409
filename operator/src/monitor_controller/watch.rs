//! Following Monitors: API server → [`Memory`].

use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt as _;
use kube::core::DeserializeGuard;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use nanomon_crds::Monitor;
use tokio_util::sync::CancellationToken;

use super::validate::{judge, judge_malformed};
use crate::metrics::Metrics;
use crate::objects::{Key, Memory};

/// Follows one scope (`None`: all namespaces) until `stop`. Errors are retried with a growing pause.
pub(crate) async fn run(
    client: Client,
    scope: Option<String>,
    memory: Arc<Memory>,
    metrics: Metrics,
    stop: CancellationToken,
) {
    // Guarded: one object that does not have the shape of a Monitor is one object, not the end of the watch.
    let api: Api<DeserializeGuard<Monitor>> = match &scope {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let mut events = pin!(watcher(api, watcher::Config::default()).default_backoff());
    let mut first = true;
    let mut troubled = false;
    let place = scope.as_deref().unwrap_or("all namespaces");
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = stop.cancelled() => return,
        };
        match event {
            Some(Ok(event)) => {
                if std::mem::take(&mut troubled) {
                    tracing::info!("Monitors of {place} are followed again");
                }
                if take(&memory, scope.as_deref(), event, &mut first) {
                    memory.changed.notify_one();
                }
            }
            Some(Err(error)) => {
                metrics.watch_error();
                if std::mem::replace(&mut troubled, true) {
                    tracing::debug!(%error, "Monitors of {place} cannot be followed");
                } else {
                    tracing::warn!(%error, "Monitors of {place} cannot be followed; trying on");
                }
            }
            None => return,
        }
    }
}

/// Takes an event; true if there may be work.
fn take(
    memory: &Memory,
    scope: Option<&str>,
    event: watcher::Event<DeserializeGuard<Monitor>>,
    first: &mut bool,
) -> bool {
    match event {
        watcher::Event::Init => {
            memory.lock().list_begin(scope);
            false
        }
        watcher::Event::InitDone => {
            memory.lock().list_end(scope, std::mem::take(first));
            true
        }
        watcher::Event::Apply(guard) | watcher::Event::InitApply(guard) => {
            let object = match guard.0 {
                Ok(monitor) => judge(&monitor),
                Err(invalid) => judge_malformed(&invalid.metadata, &invalid.error),
            };
            object.is_some_and(|object| memory.lock().apply(object))
        }
        watcher::Event::Delete(guard) => {
            let metadata = match guard.0 {
                Ok(monitor) => monitor.metadata,
                Err(invalid) => invalid.metadata,
            };
            if let (Some(namespace), Some(name)) = (metadata.namespace, metadata.name) {
                memory.lock().delete(&Key { namespace, name });
            }
            true
        }
    }
}
