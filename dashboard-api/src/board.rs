//! The board: definitions and present states of everything, in memory.
//!
//! Lists, overview and single monitors are answered from it. It is read again when somebody asks and it is no longer
//! young: never while nobody looks, at most every 250 ms while PostgreSQL says that something changed, else a little
//! more than every second, so that a lost notification costs no more than that. Nobody is shown anything older than 1 s,
//! and whoever wrote reads behind his own write ([`Board::read_after_write`]).

mod snapshot;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use nanomon_sql::notify::{Channel, Wakeup};
use nanomon_sql::{Store, StoreError};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Mutex, OwnedMutexGuard, broadcast};
use tokio_util::sync::CancellationToken;

pub use snapshot::{CachedBody, Entry, Snapshot, definition_tag, etag_of, tag_of};

/// Shortest time between two reads for readers.
const YOUNG: Duration = Duration::from_millis(250);
/// Age up to which a board is good if no notification came since it was read.
const QUIET: Duration = Duration::from_millis(600);
/// Age up to which a board is shown while the next read is under way.
const SHOWN: Duration = Duration::from_millis(850);

/// The handle; cheap to clone.
#[derive(Clone)]
pub struct Board(Arc<Inner>);

struct Inner {
    store: Store,
    installation: String,
    readings: Counter,
    /// The newest board that was read.
    current: RwLock<Option<Arc<Snapshot>>>,
    /// Held by whoever reads.
    reading: Arc<Mutex<()>>,
    /// Something changed since the newest read began.
    dirty: AtomicBool,
    /// There is a listener: a board stays good while it is silent.
    listening: AtomicBool,
}

impl Board {
    /// A board of this installation; nothing is read yet. `readings` counts.
    pub fn new(store: Store, installation: String, readings: Counter) -> Self {
        Self(Arc::new(Inner {
            store,
            installation,
            readings,
            current: RwLock::default(),
            reading: Arc::default(),
            dirty: AtomicBool::new(true),
            listening: AtomicBool::new(false),
        }))
    }

    /// Notes wake-ups until `stop`. They cost nothing while nobody looks.
    pub async fn follow(self, mut wakeups: broadcast::Receiver<Wakeup>, stop: CancellationToken) {
        self.0.listening.store(true, Ordering::Release);
        loop {
            let wakeup = tokio::select! {
                () = stop.cancelled() => break,
                wakeup = wakeups.recv() => wakeup,
            };
            match wakeup {
                Ok(Wakeup::Notified(Channel::Monitors | Channel::States) | Wakeup::Reconnected)
                | Err(RecvError::Lagged(_)) => self.0.dirty.store(true, Ordering::Release),
                Ok(Wakeup::Notified(Channel::Shards | Channel::ProbeRequests)) => {}
                Err(RecvError::Closed) => break,
            }
        }
        self.0.listening.store(false, Ordering::Release);
    }

    /// The board, at most 1 s old.
    pub async fn read(&self) -> Result<Arc<Snapshot>, StoreError> {
        let now = Instant::now();
        if let Some(snapshot) = self.current() {
            let age = now.saturating_duration_since(snapshot.began);
            let quiet = self.0.listening.load(Ordering::Acquire) && !self.0.dirty.load(Ordering::Acquire);
            if age < YOUNG || (quiet && age < QUIET) {
                return Ok(snapshot);
            }
            if age < SHOWN {
                if let Ok(guard) = self.0.reading.clone().try_lock_owned() {
                    let board = self.clone();
                    tokio::spawn(async move { board.read_holding(&guard, now.checked_sub(YOUNG)).await.err() });
                }
                return Ok(snapshot);
            }
        }
        let guard = self.0.reading.clone().lock_owned().await;
        self.read_holding(&guard, now.checked_sub(YOUNG)).await
    }

    /// The board, read entirely after this call: shows the caller's own write.
    pub async fn read_after_write(&self) -> Result<Arc<Snapshot>, StoreError> {
        let now = Instant::now();
        let guard = self.0.reading.clone().lock_owned().await;
        self.read_holding(&guard, Some(now)).await
    }

    /// Reads unless somebody else did since.
    async fn read_holding(
        &self,
        _guard: &OwnedMutexGuard<()>,
        since: Option<Instant>,
    ) -> Result<Arc<Snapshot>, StoreError> {
        let before = self.current();
        if let (Some(snapshot), Some(since)) = (&before, since)
            && snapshot.began >= since
        {
            return Ok(snapshot.clone());
        }
        self.0.dirty.store(false, Ordering::Release);
        self.0.readings.inc();
        match Snapshot::read(&self.0.store, &self.0.installation, before.as_deref()).await {
            Ok(snapshot) => {
                let snapshot = Arc::new(snapshot);
                *self.0.current.write().unwrap_or_else(PoisonError::into_inner) = Some(snapshot.clone());
                Ok(snapshot)
            }
            Err(error) => {
                self.0.dirty.store(true, Ordering::Release);
                Err(error)
            }
        }
    }

    fn current(&self) -> Option<Arc<Snapshot>> {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
