//! Charts and uptime as the API shows them.

use jiff::Timestamp;
use nanomon_core::rollup::Bucket;
use nanomon_sql::rollups::{SeriesPoints, Uptime};
use serde::Serialize;
use utoipa::ToSchema;

use super::instant;

/// A chart's data.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Series)]
pub struct SeriesView {
    /// Length of each bucket; 0: single results.
    pub bucket_seconds: i32,
    /// In time order; empty buckets are left out.
    pub points: Vec<PointView>,
}

/// One bucket, or one result.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Point)]
pub struct PointView {
    /// Start of the bucket.
    #[schema(value_type = String, format = DateTime)]
    pub t: Timestamp,
    /// Results.
    pub n: i64,
    /// Of these, OK.
    pub ok: i32,
    /// Of these, Error.
    pub error: i32,
    /// Of these, Failed.
    pub failed: i32,
    /// The worst status: 0, 1 or 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub status: Option<i16>,
    /// Mean value in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub avg: Option<f64>,
    /// Smallest value in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub min: Option<f64>,
    /// Largest value in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub max: Option<f64>,
    /// Mean of the name resolution in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub dns: Option<f64>,
    /// Mean of the TCP connection in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub connect: Option<f64>,
    /// Mean of the TLS handshake in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub tls: Option<f64>,
    /// Mean of the wait for the first byte in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub first_byte: Option<f64>,
    /// Mean of the transfer of the body in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub transfer: Option<f64>,
}

fn round_us(ms: f64) -> f64 {
    (ms * 1000.0).round() / 1000.0
}

impl From<&Bucket> for PointView {
    fn from(bucket: &Bucket) -> Self {
        let valued = bucket.n_value > 0;
        let millis = |us: i64| valued.then(|| us as f64 / 1000.0);
        let mean = |us: i64| (valued && us > 0).then(|| round_us(us as f64 / f64::from(bucket.n_value) / 1000.0));
        let worst = if bucket.n_failed > 0 { 2 } else { i16::from(bucket.n_error > 0) };
        Self {
            t: instant(bucket.start, 0),
            n: bucket.count(),
            ok: bucket.n_ok,
            error: bucket.n_error,
            failed: bucket.n_failed,
            status: (bucket.count() > 0).then_some(worst),
            avg: bucket.mean_ms().map(round_us),
            min: millis(bucket.value_min_us),
            max: millis(bucket.value_max_us),
            dns: mean(bucket.dns_us),
            connect: mean(bucket.connect_us),
            tls: mean(bucket.tls_us),
            first_byte: mean(bucket.first_byte_us),
            transfer: mean(bucket.transfer_us),
        }
    }
}

/// The view of a chart.
pub fn series_view(series: &SeriesPoints) -> SeriesView {
    SeriesView { bucket_seconds: series.bucket_seconds, points: series.points.iter().map(PointView::from).collect() }
}

/// Uptime of a monitor.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Uptime)]
pub struct UptimeView {
    /// From short to long.
    pub windows: Vec<UptimeWindow>,
}

/// Uptime over one window that ends now.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UptimeWindow {
    /// `24h`, `7d`, `30d`, `90d` or `365d`.
    pub window: &'static str,
    /// Start as answered: whole buckets where raw results are gone.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// Up divided by up and down, 0 to 1; null if nothing is known.
    pub uptime: Option<f64>,
    /// The part of the schedule about which something is known, 0 to 1; null if nothing was scheduled.
    pub coverage: Option<f64>,
}

/// The windows shown, with their lengths in seconds.
pub const WINDOWS: [(&str, i32); 5] =
    [("24h", 86_400), ("7d", 7 * 86_400), ("30d", 30 * 86_400), ("90d", 90 * 86_400), ("365d", 365 * 86_400)];

impl UptimeWindow {
    /// The view of one window.
    pub fn new(window: &'static str, uptime: &Uptime) -> Self {
        Self { window, from: instant(uptime.from, 0), uptime: uptime.ratio(), coverage: uptime.coverage() }
    }
}
