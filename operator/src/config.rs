//! What an operator is told.

use std::time::Duration;

/// Settings of an operator. Made by the executable from flags and environment.
#[derive(Clone, Debug)]
pub struct OperatorConfig {
    /// Whose rows these are: see [`crate::installation::read`].
    pub installation: String,
    /// The namespace that the release lives in: holds the lease.
    pub release_namespace: String,
    /// What makes this replica one and the same: its pod's name.
    pub identity: String,
    /// Namespaces whose Monitors are followed; empty: all.
    pub watch_namespaces: Vec<String>,
    /// Pools that exist. Only these are schedulable.
    pub pools: Vec<String>,
    /// Writes to the Kubernetes API per second, all kinds together.
    pub writes_per_second: f64,
    /// How many of them may be made at once after a quiet time.
    pub write_burst: f64,
    /// How long a fault that may mend itself (a pool that is still to come) is not called `Stalled`.
    pub stalled_after: Duration,
    /// How long a suspiciously empty list must last before it is believed.
    pub resync_confirm: Duration,
    /// Time between two comparisons of all objects with all rows.
    pub resync_every: Duration,
    /// Timing of the lease.
    pub lease: LeaseTiming,
}

impl OperatorConfig {
    /// The settings that suit a cluster.
    pub fn new(installation: &str, release_namespace: &str, identity: &str) -> Self {
        Self {
            installation: installation.to_owned(),
            release_namespace: release_namespace.to_owned(),
            identity: identity.to_owned(),
            watch_namespaces: Vec::new(),
            pools: vec!["default".to_owned()],
            writes_per_second: 20.0,
            write_burst: 100.0,
            stalled_after: Duration::from_mins(2),
            resync_confirm: Duration::from_mins(1),
            resync_every: Duration::from_mins(10),
            lease: LeaseTiming::default(),
        }
    }

    /// Whether the namespace's Monitors are followed.
    pub fn watches(&self, namespace: &str) -> bool {
        self.watch_namespaces.is_empty() || self.watch_namespaces.iter().any(|watched| watched == namespace)
    }
}

/// Timing of the Kubernetes lease. `renew_within` must be less than `duration`.
#[derive(Clone, Copy, Debug)]
pub struct LeaseTiming {
    /// For how long others wait after the last renewal that they saw.
    pub duration: Duration,
    /// The holder stops writing when it could not renew for this long.
    pub renew_within: Duration,
    /// Time between two tries.
    pub retry: Duration,
}

impl Default for LeaseTiming {
    fn default() -> Self {
        Self { duration: Duration::from_secs(15), renew_within: Duration::from_secs(10), retry: Duration::from_secs(2) }
    }
}
