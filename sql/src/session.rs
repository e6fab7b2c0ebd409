//! One connection while one method uses it: deadlines, classification of errors, and what becomes of the connection.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use deadpool_postgres::{ClientWrapper, Object};
use futures::future::{TryFutureExt as _, try_join_all};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use crate::Store;
use crate::error::{Fate, Result, StoreError, session_fate};

/// After this long without an answer the statement is cancelled and the connection dropped. The server's own
/// `statement_timeout` is the same; this one also holds when the network swallows everything.
const DEADLINE: Duration = Duration::from_secs(10);
/// For the cancel request itself.
const CANCEL_DEADLINE: Duration = Duration::from_secs(2);

/// Begins a writing transaction. The limits are said again here because a pooler in transaction mode loses those of the
/// session; in one message they cost ~20 µs.
pub(crate) const BEGIN: &str = "begin; set local idle_in_transaction_session_timeout = '3s'; \
    set local lock_timeout = '2s'; set local statement_timeout = '10s'";

/// Parameters of a statement.
pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A connection in use. Dropped while broken or inside a transaction (an error, a cancelled caller), the connection is
/// closed, which also rolls back.
pub(crate) struct Session {
    store: Store,
    object: Option<Object>,
    label: &'static str,
    broken: AtomicBool,
    /// A statement was sent and not answered: it is cancelled when the session is dropped.
    waiting: AtomicBool,
    in_transaction: AtomicBool,
}

impl Session {
    pub(crate) fn new(store: Store, object: Object, label: &'static str) -> Self {
        Self {
            store,
            object: Some(object),
            label,
            broken: AtomicBool::new(false),
            waiting: AtomicBool::new(false),
            in_transaction: AtomicBool::new(false),
        }
    }

    /// The connection, for pipelining; its futures are awaited inside [`Self::run`].
    #[expect(clippy::expect_used, reason = "the object is taken in drop only")]
    pub(crate) fn client(&self) -> &ClientWrapper {
        self.object.as_ref().expect("a session in use has its connection")
    }

    /// Awaits an answer: with the deadline, counted, and with the consequences of an error.
    pub(crate) async fn run<T>(&self, answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T> {
        let started = Instant::now();
        // Until it has been answered: a caller that is dropped meanwhile leaves an unknown state behind.
        let was_broken = self.broken.swap(true, Ordering::Relaxed);
        self.waiting.store(true, Ordering::Relaxed);
        let result = match tokio::time::timeout(DEADLINE, answer).await {
            Ok(Ok(value)) => {
                self.broken.store(was_broken, Ordering::Relaxed);
                self.store.set_up(true);
                Ok(value)
            }
            Ok(Err(error)) => {
                match session_fate(&error) {
                    Fate::Usable => self.broken.store(was_broken, Ordering::Relaxed),
                    Fate::Broken => {}
                    Fate::AllBroken => self.store.drop_idle(),
                }
                let error = StoreError::from(error);
                self.store.set_up(!matches!(error, StoreError::Unavailable(_)));
                Err(error)
            }
            Err(elapsed) => {
                self.store.set_up(false);
                Err(StoreError::Unavailable(Box::new(elapsed)))
            }
        };
        self.waiting.store(matches!(result, Err(StoreError::Unavailable(_))), Ordering::Relaxed);
        self.store.metrics().observe(self.label, started.elapsed());
        if let Err(error) = &result {
            self.store.metrics().count_error(self.label, error.category());
        }
        result
    }

    /// A prepared statement, cached per connection.
    pub(crate) async fn prepare(&self, sql: &str) -> Result<Statement> {
        self.run(self.client().prepare_cached(sql)).await
    }

    /// Prepared statements, pipelined where they are not cached yet.
    pub(crate) async fn prepare_all<const N: usize>(&self, sql: [&str; N]) -> Result<[Statement; N]> {
        let all = self.run(try_join_all(sql.iter().map(|sql| self.client().prepare_cached(sql)))).await?;
        all.try_into().map_err(|_| StoreError::Statement("a statement was lost".into()))
    }

    pub(crate) async fn query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>> {
        let client = self.client();
        self.run(client.prepare_cached(sql).and_then(async |statement| client.query(&statement, params).await)).await
    }

    pub(crate) async fn query_opt(&self, sql: &str, params: Params<'_>) -> Result<Option<Row>> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    pub(crate) async fn query_one(&self, sql: &str, params: Params<'_>) -> Result<Row> {
        self.query_opt(sql, params).await?.ok_or_else(|| StoreError::Statement("the statement found no row".into()))
    }

    pub(crate) async fn execute(&self, sql: &str, params: Params<'_>) -> Result<u64> {
        let client = self.client();
        self.run(client.prepare_cached(sql).and_then(async |statement| client.execute(&statement, params).await)).await
    }

    /// Statements without parameters, in one message.
    pub(crate) async fn batch(&self, sql: &str) -> Result<()> {
        self.run(self.client().batch_execute(sql)).await
    }

    /// Begins a transaction; it ends by [`Self::commit`], [`Self::rollback`] or with the connection.
    pub(crate) async fn begin(&self) -> Result<()> {
        self.mark_transaction(true);
        self.batch(BEGIN).await
    }

    pub(crate) async fn commit(&self) -> Result<()> {
        self.batch("commit").await?;
        self.mark_transaction(false);
        Ok(())
    }

    pub(crate) async fn rollback(&self) -> Result<()> {
        self.batch("rollback").await?;
        self.mark_transaction(false);
        Ok(())
    }

    /// For transactions that are begun and ended by pipelined messages.
    pub(crate) fn mark_transaction(&self, open: bool) {
        self.in_transaction.store(open, Ordering::Relaxed);
    }
}

/// Best effort: the server's own timeout ends the statement too.
fn cancel(store: &Store, client: &ClientWrapper) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    let (token, tls) = (client.cancel_token(), store.settings().tls.clone());
    runtime.spawn(async move {
        if let Ok(Err(error)) = tokio::time::timeout(CANCEL_DEADLINE, token.cancel_query(tls)).await {
            tracing::debug!(%error, "a cancel request failed");
        }
    });
}

impl Drop for Session {
    fn drop(&mut self) {
        let unusable = *self.broken.get_mut() || *self.in_transaction.get_mut();
        if let Some(object) = self.object.take().filter(|_| unusable) {
            let client = Object::take(object);
            if *self.waiting.get_mut() && !client.is_closed() {
                cancel(&self.store, &client);
            }
        }
    }
}
