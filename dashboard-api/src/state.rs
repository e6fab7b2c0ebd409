//! What every handler can reach.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::FromRef;
use nanomon_sql::Store;

use crate::board::Board;
use crate::config::ApiConfig;
use crate::flight::Flights;
use crate::metrics::ApiMetrics;
use crate::writer::Writer;

/// Shared by all requests; cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Shared>);

/// See [`AppState`].
pub struct Shared {
    /// Settings.
    pub config: ApiConfig,
    /// The database.
    pub store: Store,
    /// The present state of everything.
    pub board: Board,
    /// Where definitions are written.
    pub writer: Writer,
    /// Answers of equal queries for results, shared for a moment.
    pub results: Flights<Bytes>,
    /// Counters.
    pub metrics: ApiMetrics,
    /// The OpenAPI document.
    pub openapi: Bytes,
    /// When the process began to serve.
    pub started: Instant,
}

impl AppState {
    /// Wraps the parts.
    pub fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }
}

impl std::ops::Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl FromRef<AppState> for Store {
    fn from_ref(state: &AppState) -> Self {
        state.store.clone()
    }
}
