//! What the store counts about itself: a histogram of durations and a counter of errors for each named statement.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueryLabels {
    query: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    query: &'static str,
    category: &'static str,
}

#[derive(Debug, Clone)]
struct Buckets;

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new([0.0005, 0.002, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0])
    }
}

/// Durations and errors by statement name. Cheap to update, free if never registered.
#[derive(Debug, Clone)]
pub struct StoreMetrics {
    durations: Family<QueryLabels, Histogram, Buckets>,
    errors: Family<ErrorLabels, Counter>,
}

impl Default for StoreMetrics {
    fn default() -> Self {
        Self { durations: Family::new_with_constructor(Buckets), errors: Family::default() }
    }
}

impl StoreMetrics {
    /// Adds the families to a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "nanomon_sql_duration_seconds",
            "Time from sending a statement to its answer, by the store's method",
            self.durations.clone(),
        );
        registry.register(
            "nanomon_sql_errors",
            "Statements that failed, by the store's method and kind of failure",
            self.errors.clone(),
        );
    }

    pub(crate) fn observe(&self, query: &'static str, duration: Duration) {
        self.durations.get_or_create(&QueryLabels { query }).observe(duration.as_secs_f64());
    }

    pub(crate) fn count_error(&self, query: &'static str, category: &'static str) {
        self.errors.get_or_create(&ErrorLabels { query, category }).inc();
    }
}
