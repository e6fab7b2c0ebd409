//! LISTEN on a connection of its own, with reconnect; a wake-up may be lost, so every listener also polls.
//!
//! NOTIFY is a statement of its own after the commit: inside a transaction it would hold a database-wide lock until the
//! commit is on disk. A process sends at most five a second per channel; the last one is never swallowed.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::Either;
use tokio::sync::broadcast;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::AsyncMessage;
use tokio_util::sync::CancellationToken;

use crate::{Settings, Store};

/// The channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// `monitors_changed`: definitions (payload: nothing).
    Monitors,
    /// `states_changed`: confirmed states or values.
    States,
    /// `shards_changed`: the shard map.
    Shards,
    /// `probe_requests`: a run now or draft is waiting, or is done.
    ProbeRequests,
}

impl Channel {
    /// All channels.
    pub const ALL: [Channel; 4] = [Self::Monitors, Self::States, Self::Shards, Self::ProbeRequests];

    /// PostgreSQL's name of it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Monitors => "monitors_changed",
            Self::States => "states_changed",
            Self::Shards => "shards_changed",
            Self::ProbeRequests => "probe_requests",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.as_str() == word)
    }

    fn statement(self) -> &'static str {
        match self {
            Self::Monitors => "notify monitors_changed",
            Self::States => "notify states_changed",
            Self::Shards => "notify shards_changed",
            Self::ProbeRequests => "notify probe_requests",
        }
    }
}

/// A wake-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wakeup {
    /// A NOTIFY arrived.
    Notified(Channel),
    /// The listener has (re)connected: anything may have been missed, read everything again.
    Reconnected,
}

/// Wake-ups that wait for slow receivers; beyond that they lag, which means the same as `Reconnected`.
const QUEUE: usize = 64;
/// A connection that carries nothing is tried this often.
const PING_EVERY: Duration = Duration::from_secs(15);
/// For connecting and for the answer to a ping.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause before reconnecting, doubled up to the maximum.
const BACKOFF_MIN: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Runs a listener until `stop`; wake-ups go to the returned channel (a lagging receiver treats that as `Reconnected`).
/// Must be called within a tokio runtime.
pub fn listen(settings: &Settings, stop: CancellationToken) -> broadcast::Sender<Wakeup> {
    let (sender, _) = broadcast::channel(QUEUE);
    let (settings, out) = (settings.clone(), sender.clone());
    tokio::spawn(async move {
        let mut backoff = BACKOFF_MIN;
        loop {
            let listening = listen_once(&settings, &out, &mut backoff);
            let Some(error) = stop.run_until_cancelled(listening).await else {
                return;
            };
            tracing::debug!(%error, "the listener's connection ended");
            if stop.run_until_cancelled(sleep(backoff)).await.is_none() {
                return;
            }
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    });
    sender
}

type ListenError = Box<dyn std::error::Error + Send + Sync>;

/// Connects and listens until the connection ends; answers why it did.
async fn listen_once(settings: &Settings, out: &broadcast::Sender<Wakeup>, backoff: &mut Duration) -> ListenError {
    match try_listen(settings, out, backoff).await {
        Ok(()) => "the connection was closed".into(),
        Err(error) => error,
    }
}

async fn try_listen(
    settings: &Settings,
    out: &broadcast::Sender<Wakeup>,
    backoff: &mut Duration,
) -> Result<(), ListenError> {
    let (client, mut connection) = timeout(PATIENCE, settings.config.connect(settings.tls.clone())).await??;
    let statements = Channel::ALL.map(|channel| format!("listen {}", channel.as_str())).join("; ");
    // The connection must be driven for the client to get anywhere.
    let talk = async {
        timeout(PATIENCE, client.batch_execute(&statements)).await??;
        *backoff = BACKOFF_MIN;
        // Nobody listening is no error: receivers come and go.
        let _ = out.send(Wakeup::Reconnected);
        loop {
            sleep(PING_EVERY).await;
            timeout(PATIENCE, client.batch_execute("")).await??;
        }
    };
    let drive = async {
        while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(notification) = message?
                && let Some(channel) = Channel::from_word(notification.channel())
            {
                let _ = out.send(Wakeup::Notified(channel));
            }
        }
        Ok(())
    };
    match futures::future::select(pin!(talk), pin!(drive)).await {
        Either::Left((result, _)) | Either::Right((result, _)) => result,
    }
}

/// At most one NOTIFY per channel and this span.
const NOTIFY_EVERY: Duration = Duration::from_millis(200);

/// What the process has sent lately.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notifier {
    channels: Arc<[Mutex<Sent>; 4]>,
}

#[derive(Debug, Default)]
struct Sent {
    at: Option<Instant>,
    /// A task waits to send the one that was held back.
    pending: bool,
}

enum Turn {
    Now,
    Later(Duration),
    Covered,
}

impl Notifier {
    fn turn(&self, channel: Channel) -> Turn {
        let now = Instant::now();
        let mut sent = self.channels[channel as usize].lock().unwrap_or_else(PoisonError::into_inner);
        if sent.pending {
            return Turn::Covered;
        }
        if let Some(wait) = sent.at.map(|at| NOTIFY_EVERY.saturating_sub(now - at)).filter(|wait| !wait.is_zero()) {
            sent.pending = true;
            return Turn::Later(wait);
        }
        sent.at = Some(now);
        Turn::Now
    }

    fn sent_late(&self, channel: Channel) {
        let mut sent = self.channels[channel as usize].lock().unwrap_or_else(PoisonError::into_inner);
        *sent = Sent { at: Some(Instant::now()), pending: false };
    }
}

impl Store {
    /// Wakes listeners; called after a commit. A failure is only counted: listeners poll too.
    pub(crate) async fn notify(&self, channel: Channel) {
        match self.notifier().turn(channel) {
            Turn::Covered => {}
            Turn::Now => self.notify_now(channel).await,
            Turn::Later(wait) => {
                let store = self.clone();
                tokio::spawn(async move {
                    sleep(wait).await;
                    // Before sending: a change committed from now on asks for its own.
                    store.notifier().sent_late(channel);
                    store.notify_now(channel).await;
                });
            }
        }
    }

    async fn notify_now(&self, channel: Channel) {
        let sent = async { self.session("notify").await?.batch(channel.statement()).await };
        if let Err(error) = sent.await {
            tracing::debug!(%error, channel = channel.as_str(), "a wake-up was not sent");
        }
    }
}
