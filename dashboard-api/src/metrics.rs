//! Counters of requests by route.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use nanomon_service::MetricsSource;
use nanomon_service::exposition::registry_source;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::state::AppState;

/// The families; cheap to clone.
#[derive(Clone)]
pub struct ApiMetrics {
    requests: Family<Labels, Counter>,
    seconds: Family<RouteLabels, Histogram>,
    in_flight: Gauge,
    /// Readings of the board.
    pub board_readings: Counter,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    route: String,
    method: &'static str,
    code: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

impl Default for ApiMetrics {
    fn default() -> Self {
        let buckets = || Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]);
        Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(buckets),
            in_flight: Gauge::default(),
            board_readings: Counter::default(),
        }
    }
}

impl ApiMetrics {
    /// What the admin port renders.
    pub fn source(&self) -> Arc<dyn MetricsSource> {
        let mut registry = Registry::default();
        registry.register(
            "nanomon_api_requests",
            "Requests answered, by route, method and status",
            self.requests.clone(),
        );
        registry.register(
            "nanomon_api_request_duration_seconds",
            "Time from a request to the head of its answer, by route",
            self.seconds.clone(),
        );
        registry.register("nanomon_api_requests_in_flight", "Requests not answered yet", self.in_flight.clone());
        registry.register(
            "nanomon_api_board_readings",
            "Readings of definitions and states from the database",
            self.board_readings.clone(),
        );
        Arc::new(registry_source(Arc::new(registry)))
    }
}

/// Counts down even if the request is dropped half-way.
struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Middleware: counts. Paths that are no route count as `other`, methods that nobody knows too, so that strangers cannot
/// make labels.
pub async fn count(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let metrics = &state.metrics;
    metrics.in_flight.inc();
    let _in_flight = InFlight(metrics.in_flight.clone());
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let method = match request.method().as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    };
    let began = Instant::now();
    let response = next.run(request).await;
    metrics.seconds.get_or_create(&RouteLabels { route: route.clone() }).observe(began.elapsed().as_secs_f64());
    metrics.requests.get_or_create(&Labels { route, method, code: response.status().as_u16() }).inc();
    response
}
