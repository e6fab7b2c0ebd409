//! The operator's own metrics. Cheap to clone.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::monitor_controller::status::Weight;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

/// Counters and gauges of one operator.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    definitions: Family<Kind, Counter>,
    sync_errors: Family<Kind, Counter>,
    watch_errors: Counter,
    writes: Family<Kind, Counter>,
    write_errors: Family<Kind, Counter>,
    waiting: Family<Kind, Gauge>,
    mass_removal_held: Gauge,
}

impl Metrics {
    /// Adds them to a registry, under the prefix `nanomon_operator`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("nanomon_operator");
        let Self { definitions, sync_errors, watch_errors, writes, write_errors, waiting, mass_removal_held } =
            self.clone();
        registry.register("definitions", "Definitions taken to PostgreSQL, by what became of them", definitions);
        registry.register("sync_errors", "Failed attempts to store definitions", sync_errors);
        registry.register("watch_errors", "Errors while following Monitors", watch_errors);
        registry.register("writes", "Writes to the Kubernetes API", writes);
        registry.register("write_errors", "Failed writes to the Kubernetes API", write_errors);
        registry.register("writes_waiting", "Writes to the Kubernetes API that wait for the budget", waiting);
        registry.register(
            "mass_removal_held",
            "Monitors missing from the API server that are kept until a second list confirms",
            mass_removal_held,
        );
    }

    pub(crate) fn written(&self, changed: bool) {
        self.definitions.get_or_create(&Kind { kind: if changed { "written" } else { "unchanged" } }).inc();
    }

    pub(crate) fn tombstoned(&self, count: u64) {
        self.definitions.get_or_create(&Kind { kind: "tombstoned" }).inc_by(count);
    }

    pub(crate) fn sync_error(&self, kind: &'static str) {
        self.sync_errors.get_or_create(&Kind { kind }).inc();
    }

    pub(crate) fn watch_error(&self) {
        self.watch_errors.inc();
    }

    pub(crate) fn written_status(&self, weight: Weight) {
        let kind = match weight {
            Weight::Nothing | Weight::Refresh => "refresh",
            Weight::Health => "health",
            Weight::Verdict => "verdict",
        };
        self.writes.get_or_create(&Kind { kind }).inc();
    }

    pub(crate) fn write_error(&self, kind: &'static str) {
        self.write_errors.get_or_create(&Kind { kind }).inc();
    }

    pub(crate) fn queue_depth(&self, [verdicts, health, events, refreshes]: [usize; 4]) {
        for (kind, depth) in [("verdict", verdicts), ("health", health), ("event", events), ("refresh", refreshes)] {
            self.waiting.get_or_create(&Kind { kind }).set(depth as i64);
        }
    }

    pub(crate) fn mass_delete_held(&self, missing: usize) {
        self.mass_removal_held.set(missing as i64);
    }
}
