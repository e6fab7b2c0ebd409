//! A monitor of this runner's pool in the form that the probe thread runs: everything parsed and compiled.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use nanomon_core::outcome::Outcome;
use nanomon_core::slot::Schedule;
use nanomon_core::{MonitorDef, ProbeType, Target};
use nanomon_sql::{MonitorId, SeriesId, Slot};

use crate::judge::Judge;
use crate::meter::SeriesMeter;
use crate::probe::{PreparedProbe, Prober};

/// Something that can be run again and again.
pub trait Run: Send + Sync {
    /// One run.
    fn run(&self) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>>;
}

/// A real probe.
pub struct ProbeRun {
    /// What all probes share.
    pub prober: Prober,
    /// What is this monitor's own.
    pub prepared: PreparedProbe,
}

impl Run for ProbeRun {
    fn run(&self) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        Box::pin(self.prepared.run(&self.prober))
    }
}

/// What can be run: the probe and how its outcome is judged.
pub struct Work {
    /// Kind of probe.
    pub probe: ProbeType,
    /// The probe.
    pub run: Box<dyn Run>,
    /// Rule and regex.
    pub judge: Judge,
    /// Bytes that a run takes, by estimate.
    pub weight: u32,
}

impl Work {
    /// Puts it together; the estimate is for a run that waits for its answer.
    pub fn new(def: &MonitorDef, run: Box<dyn Run>, judge: Judge) -> Self {
        let body = if judge.reads_body() { 256 << 10 } else { 0 };
        let connection = match &def.target {
            Target::Http(http) if http.url.starts_with("https:") => 48 << 10,
            Target::Http(_) => 16 << 10,
            Target::Tcp(_) | Target::Ping(_) | Target::Dns(_) => 4 << 10,
        };
        Self { probe: def.probe_type(), run, judge, weight: connection + body }
    }
}

/// Runs in flight against one host; shared by all monitors of that host.
#[derive(Debug, Default)]
pub struct HostGate {
    in_flight: AtomicU32,
}

impl HostGate {
    /// Enters if fewer than `max` are inside.
    pub fn enter(&self, max: u32) -> bool {
        let inside = self.in_flight.load(Ordering::Relaxed);
        if inside >= max {
            return false;
        }
        self.in_flight.store(inside + 1, Ordering::Relaxed);
        true
    }

    /// Leaves. Both are called on the probe thread only.
    pub fn leave(&self) {
        self.in_flight.store(self.in_flight.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
    }

    /// How many are inside.
    pub fn inside(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }
}

/// A monitor as this runner runs it. Immutable: a change makes a new one.
pub struct Plan {
    /// The series of (monitor, this runner's pool).
    pub series_id: SeriesId,
    /// The monitor.
    pub monitor_id: MonitorId,
    /// Its shard.
    pub bucket: u16,
    /// When it runs.
    pub schedule: Schedule,
    /// Key of its initial run.
    pub activated_at: Slot,
    /// What is run.
    pub work: Work,
    /// Shared with the other monitors of the same host.
    pub host: Arc<HostGate>,
    /// Where stored results are counted.
    pub meter: Arc<SeriesMeter>,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("series", &self.series_id)
            .field("schedule", &self.schedule)
            .finish_non_exhaustive()
    }
}

/// The host that a definition dials, in lower case: what runs in flight are bounded by.
pub fn host_of(def: &MonitorDef) -> String {
    let host = match &def.target {
        Target::Http(http) => match url::Url::parse(&http.url) {
            Ok(url) => url.host_str().unwrap_or_default().to_owned(),
            Err(_) => String::new(),
        },
        Target::Tcp(tcp) => tcp.host.clone(),
        Target::Ping(ping) => ping.host.clone(),
        // The system's resolvers are one host to all that name none.
        Target::Dns(dns) => dns.server.as_ref().map(|server| server.host.clone()).unwrap_or_default(),
    };
    host.to_ascii_lowercase()
}
