//! What a runner is told when it starts. Validated by the caller; nothing below reads the environment.

use std::time::Duration;

use nanomon_dealer::DealerConfig;
use nanomon_sql::notify::Wakeup;
use tokio::sync::broadcast;

use crate::probe::ProbeConfig;

/// Settings of one runner.
#[derive(Clone)]
pub struct RunnerConfig {
    /// Name of its pool; made if absent.
    pub pool: String,
    /// What makes it one and the same: the pod's UID, or a stable name of the process.
    pub identity: String,
    /// Shown to people: pod or host name.
    pub name: String,
    /// Version of the program, shown to people.
    pub version: String,
    /// How it resolves, dials and trusts.
    pub probe: ProbeConfig,
    /// Bounds.
    pub bounds: Bounds,
    /// Compete for the dealer's lease too; `None` in pools that must not (external ones).
    pub dealer: Option<DealerConfig>,
    /// Wake-ups of a listener that this process already has (`nanomon_sql::notify::listen`). Without one the runner polls
    /// with its heartbeat, every 2 s.
    pub wakeups: Option<broadcast::Sender<Wakeup>>,
    /// Write the reference's form of metrics (a gauge named after each monitor) too.
    pub named_metrics: bool,
    /// How long a leaving runner waits for others to take its shards over; zero: it does not hand over.
    pub drain: Duration,
}

/// What bounds a runner's memory and its load on others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of results that wait while PostgreSQL is away; the oldest go first.
    pub buffer_bytes: usize,
    /// Runs in flight.
    pub in_flight: usize,
    /// Bytes that runs in flight may take, by estimate.
    pub in_flight_bytes: usize,
    /// Runs in flight against one host.
    pub per_host: u32,
    /// Initial and take-over runs per second, on top of the schedule.
    pub catch_up_per_second: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            buffer_bytes: 96 << 20,
            in_flight: 16_384,
            in_flight_bytes: 256 << 20,
            per_host: 64,
            catch_up_per_second: 200,
        }
    }
}

impl RunnerConfig {
    /// A runner of the pool `default` with everything else as usual.
    pub fn new(identity: impl Into<String>, name: impl Into<String>, probe: ProbeConfig) -> Self {
        Self {
            pool: "default".to_owned(),
            identity: identity.into(),
            name: name.into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            probe,
            bounds: Bounds::default(),
            dealer: None,
            wakeups: None,
            named_metrics: false,
            drain: Duration::from_secs(45),
        }
    }
}
