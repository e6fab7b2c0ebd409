//! Overview, health, status, configuration and the OpenAPI document.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use nanomon_core::duration;

use super::tagged_json;
use crate::board::etag_of;
use crate::error::{ApiError, ApiResult, Problem};
use crate::state::AppState;
use crate::view::system::{DashboardConfig, GroupCounts, Health, Overview, StateCounts, StatusView};

/// How long the database may take to answer before it counts as away.
const PING: Duration = Duration::from_secs(2);

/// Counts monitors by state.
#[utoipa::path(
    get, path = "/api/overview", tag = "monitors",
    responses((status = 200, body = Overview), (status = "4XX", body = Problem, content_type = "application/problem+json"))
)]
pub async fn get_overview(State(state): State<AppState>, headers: HeaderMap) -> ApiResult<Response> {
    let board = state.board.read().await?;
    let body = board.body("overview", || {
        let mut counts = StateCounts::default();
        let mut groups: BTreeMap<&str, StateCounts> = BTreeMap::new();
        for entry in board.entries.values() {
            counts.add(entry.state.status);
            groups.entry(entry.group()).or_default().add(entry.state.status);
        }
        let groups =
            groups.into_iter().map(|(group, counts)| GroupCounts { group: group.to_owned(), counts }).collect();
        (serde_json::to_vec(&Overview { counts, groups }).unwrap_or_default(), None)
    });
    Ok(tagged_json(&headers, body.bytes, &body.etag))
}

/// Says whether the API can answer.
#[utoipa::path(
    get, path = "/api/health", tag = "system",
    responses((status = 200, body = Health), (status = 503, body = Problem, content_type = "application/problem+json"))
)]
pub async fn get_health(State(state): State<AppState>) -> ApiResult<Json<Health>> {
    if ping(&state).await {
        Ok(Json(Health { status: "ok" }))
    } else {
        Err(ApiError::unavailable("the database is not reachable", 5))
    }
}

/// Says what runs here.
#[utoipa::path(get, path = "/api/status", tag = "system", responses((status = 200, body = StatusView)))]
pub async fn get_status(State(state): State<AppState>) -> Json<StatusView> {
    let healthy = ping(&state).await;
    let monitors = if healthy { state.board.read().await.ok().map(|board| board.entries.len()) } else { None };
    let up = state.started.elapsed();
    Json(StatusView {
        service: "nanomon-api",
        healthy,
        version: state.config.version.clone(),
        build_info: state.config.build_info.clone(),
        uptime: duration::format(Duration::from_secs(up.as_secs())),
        uptime_seconds: up.as_secs(),
        database: if healthy { "up" } else { "down" },
        monitors,
        mode: state.config.mode_word(),
        os: std::env::consts::OS,
        arch: std::env::consts::ARCH,
    })
}

async fn ping(state: &AppState) -> bool {
    matches!(tokio::time::timeout(PING, state.store.ping()).await, Ok(Ok(())))
}

/// What the dashboard must know before it starts.
#[utoipa::path(get, path = "/config.json", tag = "system", responses((status = 200, body = DashboardConfig)))]
pub async fn get_config(State(state): State<AppState>) -> Response {
    let config = &state.config;
    let blocked = config.write_blocked_reason();
    let shown = DashboardConfig {
        API_ENDPOINT: config.api_endpoint.clone(),
        AUTH_CLIENT_ID: config.auth.client_id.clone(),
        AUTH_TENANT: config.auth.tenant.clone(),
        VERSION: config.version.clone(),
        BUILD_INFO: config.build_info.clone(),
        writable: blocked.is_none(),
        write_blocked_reason: blocked,
        mode: config.mode_word(),
    };
    ([(header::CACHE_CONTROL, "no-cache")], Json(shown)).into_response()
}

/// This document.
#[utoipa::path(get, path = "/api/openapi.json", tag = "system", responses((status = 200, body = serde_json::Value)))]
pub async fn get_openapi(State(state): State<AppState>, headers: HeaderMap) -> Response {
    tagged_json(&headers, state.openapi.clone(), &etag_of(&state.openapi))
}
