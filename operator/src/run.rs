//! Starting and stopping an operator.

use std::sync::Arc;

use kube::Client;
use nanomon_service::Readiness;
use nanomon_sql::Store;
use nanomon_sql::notify::Wakeup;
use tokio::sync::broadcast;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::health_feed::HealthFeed;
use crate::leader;
use crate::metrics::Metrics;
use crate::monitor_controller::sync::Sync;
use crate::monitor_controller::watch;
use crate::objects::Memory;
use crate::resync::Resync;
use crate::status_writer::{Outbox, StatusWriter};
use crate::{OperatorConfig, OperatorError};

/// Namespaces that are watched one by one; beyond that one watch of all is cheaper.
pub const NAMESPACES_MAX: usize = 50;

/// Runs an operator until `stop`: watches, stores, reports. The schema must be there (see [`Store::migrate`]); PostgreSQL and
/// the API server may come and go. `wakeups` comes from [`nanomon_sql::notify::listen`]. Shards are not dealt here: the
/// caller runs `nanomon_dealer::run` beside it, which must go on when the Kubernetes API is away.
///
/// # Errors
/// A setting that makes no sense, or a part that ended by itself.
pub async fn run(
    client: Client,
    store: Store,
    wakeups: broadcast::Receiver<Wakeup>,
    config: OperatorConfig,
    metrics: Metrics,
    readiness: Readiness,
    stop: CancellationToken,
) -> Result<(), OperatorError> {
    if config.watch_namespaces.len() > NAMESPACES_MAX {
        return Err(OperatorError::Setting(format!(
            "at most {NAMESPACES_MAX} namespaces can be watched one by one; leave the list empty to watch all"
        )));
    }
    if config.lease.renew_within >= config.lease.duration {
        return Err(OperatorError::Setting(
            "the lease must last longer than its holder may take to renew it".to_owned(),
        ));
    }
    let config = Arc::new(config);
    let scopes: Vec<Option<String>> = if config.watch_namespaces.is_empty() {
        vec![None]
    } else {
        config.watch_namespaces.iter().cloned().map(Some).collect()
    };
    let memory = Arc::new(Memory::new(scopes.len()));
    let outbox = Outbox::new(&config);
    // The lease outlives the writers: they stop first, then it is given back.
    let lease_stop = CancellationToken::new();
    let (leadership, competitor) = leader::compete(client.clone(), &config, lease_stop.clone());

    let mut parts: JoinSet<&'static str> = JoinSet::new();
    readiness.wait("monitors", "the first list of Monitors is not complete");
    for scope in scopes {
        let watching = watch::run(client.clone(), scope, memory.clone(), metrics.clone(), stop.clone());
        parts.spawn(async move {
            watching.await;
            "watch"
        });
    }
    let sync = Sync {
        store: store.clone(),
        config: config.clone(),
        memory: memory.clone(),
        outbox: outbox.clone(),
        leadership: leadership.clone(),
        metrics: metrics.clone(),
        resync: Resync::new(client.clone(), config.clone(), metrics.clone()),
    };
    let writer = StatusWriter {
        client,
        config,
        memory: memory.clone(),
        outbox: outbox.clone(),
        leadership,
        metrics: metrics.clone(),
    };
    let feed = HealthFeed { store, memory: memory.clone(), outbox, metrics, wakeups };
    let token = stop.clone();
    parts.spawn(async move {
        sync.run(token).await;
        "sync"
    });
    let token = stop.clone();
    parts.spawn(async move {
        writer.run(token).await;
        "status writer"
    });
    let token = stop.clone();
    parts.spawn(async move {
        feed.run(token).await;
        "health feed"
    });
    let token = stop.clone();
    parts.spawn(async move {
        while !token.is_cancelled() && !memory.lock().is_complete() {
            tokio::select! {
                () = tokio::time::sleep(std::time::Duration::from_millis(100)) => {}
                () = token.cancelled() => {}
            }
        }
        readiness.ready("monitors");
        token.cancelled().await;
        "readiness"
    });
    let lease = tokio::spawn(competitor.run());

    let ended = parts.join_next().await;
    let failed = !stop.is_cancelled();
    stop.cancel();
    while parts.join_next().await.is_some() {}
    lease_stop.cancel();
    let _ = lease.await;
    match ended {
        Some(Ok(part)) if failed => Err(OperatorError::Setting(format!("the operator's {part} ended by itself"))),
        Some(Err(error)) => Err(OperatorError::Setting(format!("a part of the operator failed: {error}"))),
        _ => Ok(()),
    }
}
