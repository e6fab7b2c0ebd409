//! LISTEN on a connection of its own, with reconnect; a wake-up may be lost, so every listener also polls.

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::Settings;

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

/// A wake-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wakeup {
    /// A NOTIFY arrived.
    Notified(Channel),
    /// The listener has (re)connected: anything may have been missed, read everything again.
    Reconnected,
}

/// Runs a listener until `stop`; wake-ups go to the returned channel (a lagging receiver treats that as `Reconnected`).
pub fn listen(_settings: &Settings, _stop: CancellationToken) -> broadcast::Sender<Wakeup> {
    todo!()
}
