//! Results.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use nanomon_sql::history::ResultRow;
use serde::Deserialize;
use utoipa::IntoParams;

use super::monitors::{NamespaceParams, after_write, rows_of_namespace};
use super::{namespace_of, tagged_json};
use crate::board::{Snapshot, etag_of};
use crate::error::{ApiError, ApiResult, Problem};
use crate::extract::{IdPath, Params, read_max};
use crate::state::AppState;
use crate::view::monitor::Names as _;
use crate::view::result::{ResultView, result_view};

/// How many results.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MaxParams {
    /// At most so many.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    pub max: Option<String>,
}

/// How many results, and of which namespace.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LatestParams {
    /// At most so many.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    pub max: Option<String>,
    /// Only of monitors of this namespace.
    pub namespace: Option<String>,
}

/// Lists a monitor's results, newest first. An unknown monitor has none.
#[utoipa::path(
    get, path = "/api/monitors/{id}/results", tag = "results",
    params(("id" = i32, Path, description = "The monitor"), MaxParams),
    responses((status = 200, body = Vec<ResultView>), (status = "4XX", body = Problem, content_type = "application/problem+json"))
)]
pub async fn list_monitor_results(
    State(state): State<AppState>,
    id: IdPath,
    Params(params): Params<MaxParams>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let max = read_max(params.max.as_deref())?;
    let Some(id) = id.0 else {
        return Ok(tagged_json(&headers, Bytes::from_static(b"[]"), "\"none\""));
    };
    let body = state
        .results
        .run(format!("{id} {max}"), || async {
            let rows = state.store.result_list(id, max).await?;
            show(&*state.board.read().await?, &rows)
        })
        .await?;
    let etag = etag_of(&body);
    Ok(tagged_json(&headers, body, &etag))
}

/// Lists the newest results of all monitors.
#[utoipa::path(
    get, path = "/api/results", tag = "results", params(LatestParams),
    responses((status = 200, body = Vec<ResultView>), (status = "4XX", body = Problem, content_type = "application/problem+json"))
)]
pub async fn list_results(
    State(state): State<AppState>,
    Params(params): Params<LatestParams>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let max = read_max(params.max.as_deref())?;
    let namespaces = match params.namespace.as_deref().filter(|text| !text.is_empty()) {
        Some(asked) => Some(vec![namespace_of(&state, Some(asked))?]),
        None => None,
    };
    let body = state
        .results
        .run(format!("latest {max} {namespaces:?}"), || async {
            let rows = state.store.result_list_latest(max, namespaces.as_deref()).await?;
            show(&*state.board.read().await?, &rows)
        })
        .await?;
    let etag = etag_of(&body);
    Ok(tagged_json(&headers, body, &etag))
}

/// Deletes all results, or those of one namespace: they are shown no longer, and count no longer. In a cluster the namespace
/// must be given.
#[utoipa::path(
    delete, path = "/api/results", tag = "results", params(NamespaceParams),
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json"))
)]
pub async fn delete_results(
    State(state): State<AppState>,
    Params(params): Params<NamespaceParams>,
) -> ApiResult<StatusCode> {
    let rows = rows_of_namespace(&state, &params).await?;
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let before = i32::try_from(Timestamp::now().as_second()).unwrap_or(i32::MAX);
    if !ids.is_empty() {
        state.store.monitor_clear_results(&ids, before).await?;
    }
    after_write(&state).await;
    Ok(StatusCode::NO_CONTENT)
}

fn show(board: &Snapshot, rows: &[ResultRow]) -> ApiResult<Bytes> {
    let views: Vec<ResultView> = rows
        .iter()
        .filter_map(|row| {
            // A result of a monitor deleted between the two reads.
            let entry = board.entries.get(&row.monitor_id)?;
            let names = &board.names;
            Some(result_view(row, &entry.name, &entry.target, names.pool(row.pool_id), names.runner(row.runner_id)))
        })
        .collect();
    serde_json::to_vec(&views).map(Bytes::from).map_err(ApiError::internal)
}
