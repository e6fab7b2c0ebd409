//! Serving until told to stop.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nanomon_sql::Store;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::board::Board;
use crate::config::{ApiConfig, ConfigError, Mode};
use crate::flight::Flights;
use crate::openapi::openapi_json;
use crate::router::router;
use crate::state::{AppState, Shared};
use crate::writer::{DatabaseWriter, KubernetesWriter, Writer};

/// How long running requests may go on after the stop.
const DRAIN: Duration = Duration::from_secs(10);

/// Why serving failed.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The settings contradict each other.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A port could not be served.
    #[error("the API could not be served")]
    Io(#[from] std::io::Error),
}

/// The shared state of a server; for those who want the router without ports.
pub fn app_state(config: ApiConfig, store: Store) -> AppState {
    let writer = match &config.mode {
        Mode::Standalone => Writer::Database(DatabaseWriter::new(store.clone(), config.installation.clone())),
        Mode::Cluster(cluster) => Writer::Kubernetes(KubernetesWriter::new(
            cluster.client.clone(),
            store.clone(),
            config.installation.clone(),
        )),
    };
    AppState::new(Shared {
        metrics: config.metrics.clone(),
        board: Board::new(store.clone(), config.installation.clone(), config.metrics.board_readings.clone()),
        writer,
        results: Flights::default(),
        openapi: openapi_json().into(),
        started: Instant::now(),
        config,
        store,
    })
}

/// Serves API and dashboard on every listener until `stop`; then running requests get 10 s to end. Works while PostgreSQL is
/// away (answers 503).
pub async fn serve(
    config: ApiConfig,
    store: Store,
    listeners: Vec<TcpListener>,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    config.check()?;
    let wakeups = config.wakeups.as_ref().map(tokio::sync::broadcast::Sender::subscribe);
    let state = app_state(config, store);
    let mut tasks = JoinSet::new();
    if let Some(wakeups) = wakeups {
        let follow = state.board.clone().follow(wakeups, stop.clone());
        tasks.spawn(async move {
            follow.await;
            Ok(())
        });
    }
    let app = router(state);
    for listener in listeners {
        let service = app.clone().into_make_service_with_connect_info::<SocketAddr>();
        let stopped = stop.clone().cancelled_owned();
        tasks.spawn(async move { axum::serve(listener, service).with_graceful_shutdown(stopped).await });
    }
    let drained = async {
        stop.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    let ended = async {
        while let Some(ended) = tasks.join_next().await {
            match ended {
                Ok(served) => served?,
                Err(panicked) => return Err(ServeError::Io(std::io::Error::other(panicked))),
            }
        }
        Ok(())
    };
    tokio::select! {
        ended = ended => ended,
        () = drained => {
            tracing::warn!("requests still ran {} s after the stop and were dropped", DRAIN.as_secs());
            Ok(())
        }
    }
}
