//! A runner from start to end: joins, probes, stores, hands over, leaves. `nanomon runner` and `nanomon standalone` alike.
//!
//! ```text
//!   probe thread            │ everything else (the caller's runtime)
//!   scheduler ─ worker ─────┼─▶ buffer ─ recorder ─▶ PostgreSQL
//!       ▲                   │
//!       └──── commands ─────┼── steward (heartbeat, clock, shards) ─ catalog ─ requests
//! ```
//!
//! In the end: hand over while probing on, finish what runs, store what waits, leave.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nanomon_sql::{Store, StoreError};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::buffer::Buffer;
use crate::catalog::{Catalog, CatalogParts};
use crate::clock::ServerClock;
use crate::compiler::Compiler;
use crate::config::RunnerConfig;
use crate::metrics::MetricsHandle;
use crate::probe::{Prober, TlsSetupError};
use crate::recorder::Recorder;
use crate::requests::{Identity, Requests};
use crate::scheduler::{Command, Scheduler};
use crate::stall::Stalls;
use crate::steward::{Displaced, Steward, StewardParts};
use crate::worker::RunContext;

/// Time that runs get to end when the runner leaves.
const FINISH: Duration = Duration::from_secs(10);
/// Time that the last results get to be stored.
const LAST_FLUSH: Duration = Duration::from_secs(10);
/// Pause between two tries to join.
const JOIN_AGAIN: Duration = Duration::from_secs(1);

/// Why a runner cannot work at all. PostgreSQL being away is not among it: a runner waits for it.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// TLS cannot be set up.
    #[error("setting up TLS for probes")]
    Tls(#[from] TlsSetupError),
    /// The probe thread cannot be started.
    #[error("starting the probe thread")]
    Thread(#[source] std::io::Error),
    /// The schema is not one that this version can work with, or PostgreSQL refuses us for good.
    #[error("joining the pool")]
    Join(#[source] StoreError),
    /// Its id was given to another one.
    #[error(transparent)]
    Displaced(#[from] Displaced),
    /// A part ended by a fault: what it does is done by nobody.
    #[error("the {0} has ended by a fault")]
    Ended(&'static str),
}

/// Runs until `stop`, then leaves in order. `metrics` is filled meanwhile.
pub async fn run(
    config: RunnerConfig,
    store: Store,
    metrics: MetricsHandle,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let RunnerConfig { pool, identity, name, version, probe, bounds, dealer, wakeups, named_metrics: _, drain } =
        config;
    let prober = Prober::new(probe)?;
    let identity = Identity { identity, name, version };
    let Some((runner_id, pool_id)) = join(&store, &identity, &pool, &stop).await? else { return Ok(()) };
    tracing::info!(runner = runner_id, pool, name = identity.name, "joined");

    let clock = Arc::new(ServerClock::default());
    let buffer = Arc::new(Buffer::new(bounds.buffer_bytes));
    let stats = metrics.stats.clone();
    let reconnected = Arc::new(Notify::new());
    let compiler = Arc::new(Mutex::new(Compiler::new(prober)));
    let (commands, received) = mpsc::unbounded_channel();
    let context = Arc::new(RunContext {
        runner_id,
        clock: clock.clone(),
        buffer: buffer.clone(),
        stats: stats.clone(),
        stalls: Stalls::new(Instant::now()),
        bounds,
    });
    let mut probing = ProbeThread::start(context, received)?;

    let recorder_stop = CancellationToken::new();
    let give_up = CancellationToken::new();
    let recorder =
        Recorder::new(store.clone(), buffer.clone(), stats.clone(), metrics.histograms.clone(), reconnected.clone());
    // Whoever drops this future ends all of it at once, as a kill would.
    let mut recorder = AbortOnDropHandle::new(tokio::spawn(recorder.run(recorder_stop.clone(), give_up.clone())));

    // The dealer goes last: it may be the one that deals our own shards to others.
    let dealer_stop = CancellationToken::new();
    let mut dealer = dealer.map(|dealer| {
        AbortOnDropHandle::new(tokio::spawn(nanomon_dealer::run(store.clone(), dealer, dealer_stop.clone())))
    });

    let requests = Requests::new(store.clone(), pool_id, runner_id, identity, compiler.clone(), commands.clone());
    let catalog = Catalog::new(CatalogParts {
        store: store.clone(),
        pool_id,
        pool,
        compiler,
        clock: clock.clone(),
        registry: metrics.registry.clone(),
        stats: stats.clone(),
        commands: commands.clone(),
    });
    let steward = Steward::new(StewardParts {
        store: store.clone(),
        runner_id,
        pool_id,
        clock,
        stats,
        buffer,
        catalog,
        requests,
        commands: commands.clone(),
        reconnected,
    });
    let stewarding = steward.run(wakeups.map(|sender| sender.subscribe()), stop, drain);
    // To probe on without storing, or to store without probing, would look healthy; the process begins anew instead.
    let fault = tokio::select! {
        ended = stewarding => {
            ended?;
            None
        }
        // What waits is lost with it.
        _ = &mut recorder => return Err(RunError::Ended("recorder")),
        () = probing.ended() => Some(RunError::Ended("probe thread")),
        () = ended(&mut dealer) => Some(RunError::Ended("dealer")),
    };

    // The receiver lives as long as the thread.
    let _ = commands.send(Command::Finish(Instant::now() + FINISH));
    probing.ended().await;
    recorder_stop.cancel();
    let last = tokio::time::timeout(LAST_FLUSH, recorder);
    tokio::pin!(last);
    match last.as_mut().await {
        Ok(Ok(0)) => {}
        Ok(Ok(rows)) => tracing::error!(rows, "results are lost: there was no time left to store them"),
        Ok(Err(error)) => tracing::error!(%error, "the recorder ended early"),
        Err(_) => {
            give_up.cancel();
            tracing::error!("results are lost: PostgreSQL did not take them in time");
        }
    }
    match tokio::time::timeout(Duration::from_secs(2), store.runner_leave(runner_id)).await {
        Ok(Ok(())) => {}
        // Its silence says the same a little later.
        Ok(Err(error)) => tracing::warn!(error = &error as &dyn std::error::Error, "leaving could not be written down"),
        Err(_) => tracing::warn!("leaving could not be written down in time"),
    }
    dealer_stop.cancel();
    if let Some(dealer) = dealer
        && let Err(error) = dealer.await
    {
        tracing::error!(%error, "the dealer ended early");
    }
    tracing::info!(runner = runner_id, "left");
    fault.map_or(Ok(()), Err)
}

/// Joins the pool, as soon as PostgreSQL lets it; `None` if stopped before.
async fn join(
    store: &Store,
    identity: &Identity,
    pool: &str,
    stop: &CancellationToken,
) -> Result<Option<(nanomon_sql::RunnerId, nanomon_sql::PoolId)>, RunError> {
    let mut waits = false;
    while !stop.is_cancelled() {
        match try_join(store, identity, pool).await {
            Ok(joined) => return Ok(Some(joined)),
            Err(error @ (StoreError::Unavailable(_) | StoreError::Retry(_) | StoreError::Schema(_))) => {
                if !std::mem::replace(&mut waits, true) {
                    tracing::warn!(error = &error as &dyn std::error::Error, "waiting to join the pool");
                }
            }
            Err(error @ (StoreError::Data(_) | StoreError::Fenced | StoreError::Statement(_))) => {
                return Err(RunError::Join(error));
            }
        }
        tokio::select! {
            () = tokio::time::sleep(JOIN_AGAIN) => {}
            () = stop.cancelled() => {}
        }
    }
    Ok(None)
}

async fn try_join(
    store: &Store,
    identity: &Identity,
    pool: &str,
) -> Result<(nanomon_sql::RunnerId, nanomon_sql::PoolId), StoreError> {
    store.schema_check().await?;
    let pool_id = store.pool_ensure(pool).await?;
    let Identity { identity, name, version } = identity;
    let runner_id = store.runner_register(identity, name, pool_id, version).await?;
    Ok((runner_id, pool_id))
}

/// Waits until a part that may be missing has ended, however; then it is missing.
async fn ended(part: &mut Option<AbortOnDropHandle<()>>) {
    match part {
        Some(task) => drop(task.await),
        None => std::future::pending().await,
    }
    *part = None;
}

/// The thread with the probes' own runtime.
struct ProbeThread {
    /// `None`: it is known to have ended.
    ended: Option<tokio::sync::oneshot::Receiver<()>>,
}

impl ProbeThread {
    fn start(context: Arc<RunContext>, commands: mpsc::UnboundedReceiver<Command>) -> Result<Self, RunError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // What two threads do is bounded: rules and regexes over bodies.
            .max_blocking_threads(2)
            // Tasks between two looks at the sockets: enough for 16 starts and the answers to as many.
            .event_interval(64)
            .build()
            .map_err(RunError::Thread)?;
        let (end, ended) = tokio::sync::oneshot::channel();
        std::thread::Builder::new()
            .name("probes".to_owned())
            .spawn(move || {
                runtime.block_on(Scheduler::new(context, commands).run());
                // A rule over a body that still runs is not waited for.
                runtime.shutdown_background();
                let _ = end.send(());
            })
            .map_err(RunError::Thread)?;
        Ok(Self { ended: Some(ended) })
    }

    /// Waits until it has ended, in order or not.
    async fn ended(&mut self) {
        if let Some(ended) = &mut self.ended {
            let _ = ended.await;
        }
        self.ended = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_a_part_is_seen_once_and_may_be_asked_for_again() {
        let (end, receiver) = tokio::sync::oneshot::channel::<()>();
        let mut probing = ProbeThread { ended: Some(receiver) };
        // As a thread that panics does it.
        drop(end);
        probing.ended().await;
        probing.ended().await;

        let mut part = Some(AbortOnDropHandle::new(tokio::spawn(async { panic!("a fault") })));
        ended(&mut part).await;
        assert!(part.is_none());
        let again = tokio::time::timeout(Duration::from_millis(50), ended(&mut part)).await;
        assert!(again.is_err(), "what is missing never ends");
    }
}
