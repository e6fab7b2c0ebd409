//! Charts and uptime.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use nanomon_sql::Slot;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::error::{ApiError, ApiResult, Problem};
use crate::extract::{IdPath, Params, read_bounded};
use crate::state::AppState;
use crate::view::series::{SeriesView, UptimeView, UptimeWindow, WINDOWS, series_view};

/// Which part of a chart.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SeriesParams {
    /// Start, RFC 3339; 24 h before the end if absent.
    #[param(value_type = Option<String>, format = DateTime)]
    pub from: Option<String>,
    /// End, RFC 3339; now if absent.
    #[param(value_type = Option<String>, format = DateTime)]
    pub to: Option<String>,
    /// At most so many points.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500, default = 500)]
    pub points: Option<String>,
}

/// Shows a monitor's values and counts over time.
#[utoipa::path(
    get, path = "/api/monitors/{id}/series", tag = "results",
    params(("id" = i32, Path, description = "The monitor"), SeriesParams),
    responses((status = 200, body = SeriesView), (status = "4XX", body = Problem, content_type = "application/problem+json"))
)]
pub async fn get_series(
    State(state): State<AppState>,
    id: IdPath,
    Params(params): Params<SeriesParams>,
) -> ApiResult<Json<SeriesView>> {
    let to = read_time("to", params.to.as_deref())?.unwrap_or_else(now);
    let from = read_time("from", params.from.as_deref())?.unwrap_or_else(|| to.saturating_sub(86_400));
    if from >= to {
        return Err(ApiError::invalid_field("from", "from must be before to"));
    }
    let points = read_bounded("points", params.points.as_deref(), 1, 500)?.unwrap_or(500);
    let id = id.required()?;
    if !state.board.read().await?.entries.contains_key(&id) {
        return Err(ApiError::monitor_not_found());
    }
    let series = state.store.series_read(id, from, to, points as u16).await?;
    Ok(Json(series_view(&series)))
}

/// Shows a monitor's uptime over the usual windows.
#[utoipa::path(
    get, path = "/api/monitors/{id}/uptime", tag = "results", params(("id" = i32, Path, description = "The monitor")),
    responses((status = 200, body = UptimeView), (status = "4XX", body = Problem, content_type = "application/problem+json"))
)]
pub async fn get_uptime(State(state): State<AppState>, id: IdPath) -> ApiResult<Json<UptimeView>> {
    let id = id.required()?;
    if !state.board.read().await?.entries.contains_key(&id) {
        return Err(ApiError::monitor_not_found());
    }
    let to = now();
    let windows = WINDOWS.map(|(_, seconds)| (to.saturating_sub(seconds), to));
    let uptimes = state.store.uptime_read(&[id], &windows).await?;
    let windows = WINDOWS.iter().zip(&uptimes).map(|((word, _), uptime)| UptimeWindow::new(word, uptime)).collect();
    Ok(Json(UptimeView { windows }))
}

fn now() -> Slot {
    Slot::try_from(Timestamp::now().as_second()).unwrap_or(Slot::MAX)
}

fn read_time(field: &str, text: Option<&str>) -> ApiResult<Option<Slot>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let fault = || {
        ApiError::invalid_field(field, format!("{field} must be a time like 2026-01-31T12:00:00Z, from 1970 to 2037"))
    };
    let time: Timestamp = text.parse().map_err(|_| fault())?;
    Slot::try_from(time.as_second()).ok().filter(|slot| *slot >= 0).map(Some).ok_or_else(fault)
}
