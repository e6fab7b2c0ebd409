//! The pool of connections and [`Store`], the handle that everybody holds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, Timeouts};

use crate::error::{Result, StoreError};
use crate::kept::Kept;
use crate::metrics::StoreMetrics;
use crate::notify::Notifier;
use crate::session::Session;
use crate::settings::Settings;

/// How long a caller waits for a free connection, and for a new one to be made.
const WAIT: Duration = Duration::from_secs(10);

/// What each new session is told, instead of start-up `options`: `PgBouncer` refuses those. Behind a pooler in transaction
/// mode these may be lost, so that the write path says them again in each transaction ([`crate::session::BEGIN`]).
const SESSION_SETTINGS: &str = "set statement_timeout = '10s'; set lock_timeout = '2s'; \
    set idle_in_transaction_session_timeout = '3s'; set timezone = 'UTC'; set jit = off; \
    set client_min_messages = 'warning'";

/// A cheap, cloneable handle to the database. Connections are bounded per process; a session that PostgreSQL declares
/// unusable (25006, 57P01, 08*) drops the pool.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    pool: Pool,
    settings: Settings,
    up: AtomicBool,
    metrics: StoreMetrics,
    notifier: Notifier,
    kept: Mutex<Kept>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("settings", &self.inner.settings).finish_non_exhaustive()
    }
}

impl Store {
    /// Makes the pool; connects lazily, so it does not fail when PostgreSQL is away.
    pub fn new(settings: &Settings) -> Result<Self> {
        let manager = Manager::from_config(
            settings.config.clone(),
            settings.tls.clone(),
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let prepare = Hook::async_fn(|client: &mut deadpool_postgres::ClientWrapper, _| {
            Box::pin(async move { client.batch_execute(SESSION_SETTINGS).await.map_err(HookError::Backend) })
        });
        let pool = Pool::builder(manager)
            .max_size(settings.max_connections)
            .timeouts(Timeouts { wait: Some(WAIT), create: Some(WAIT), recycle: Some(WAIT) })
            .post_create(prepare)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| StoreError::Statement(Box::new(error)))?;
        Ok(Self {
            inner: Arc::new(Inner {
                pool,
                settings: settings.clone(),
                up: AtomicBool::new(false),
                metrics: StoreMetrics::default(),
                notifier: Notifier::default(),
                kept: Mutex::default(),
            }),
        })
    }

    /// One round trip.
    pub async fn ping(&self) -> Result<()> {
        self.session("ping").await?.batch("select 1").await
    }

    /// Whether the last statement or ping reached PostgreSQL.
    pub fn is_up(&self) -> bool {
        self.inner.up.load(Ordering::Relaxed)
    }

    /// Closes all connections; later calls fail with `Unavailable`.
    pub fn close(&self) {
        self.inner.pool.close();
    }

    /// Duration and errors of each statement by name, to be registered with the process's metrics.
    pub fn metrics(&self) -> &StoreMetrics {
        &self.inner.metrics
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    pub(crate) fn notifier(&self) -> &Notifier {
        &self.inner.notifier
    }

    /// What retention had left when it was last read: a guess that each reader checks.
    pub(crate) fn kept(&self) -> Kept {
        *self.inner.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_kept(&self, kept: Kept) {
        *self.inner.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    }

    pub(crate) fn set_up(&self, up: bool) {
        self.inner.up.store(up, Ordering::Relaxed);
    }

    /// Drops all idle connections: the server behind them has changed its role or gone.
    pub(crate) fn drop_idle(&self) {
        self.inner.pool.retain(|_, _| false);
    }

    /// A connection for the statements of one method, which is named `label` in metrics.
    pub(crate) async fn session(&self, label: &'static str) -> Result<Session> {
        match self.inner.pool.get().await {
            Ok(object) => Ok(Session::new(self.clone(), object, label)),
            Err(error) => {
                self.set_up(false);
                let error = match error {
                    // While connecting, every refusal means that the database cannot be used now.
                    PoolError::Backend(error) => StoreError::Unavailable(Box::new(error)),
                    other => StoreError::Unavailable(Box::new(other)),
                };
                self.inner.metrics.count_error(label, error.category());
                Err(error)
            }
        }
    }
}
