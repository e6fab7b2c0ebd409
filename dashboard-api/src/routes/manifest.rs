//! A monitor as YAML.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use kube::api::ObjectMeta;
use nanomon_crds::{Monitor, manifest};

use crate::error::{ApiError, ApiResult, Problem};
use crate::extract::IdPath;
use crate::state::AppState;
use crate::view::monitor::labels_of;

/// Shows a monitor as the YAML that `kubectl apply` and the manifest folder take.
#[utoipa::path(
    get, path = "/api/monitors/{id}/manifest", tag = "monitors", params(("id" = i32, Path, description = "The monitor")),
    responses(
        (status = 200, body = String, content_type = "text/yaml"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")
    )
)]
pub async fn get_manifest(State(state): State<AppState>, id: IdPath) -> ApiResult<Response> {
    let id = id.required()?;
    let board = state.board.read().await?;
    let row = &board.entries.get(&id).ok_or_else(ApiError::monitor_not_found)?.row;
    let labels = labels_of(row);
    let monitor = Monitor {
        metadata: ObjectMeta {
            name: Some(row.name.clone()),
            namespace: Some(row.namespace.clone()),
            labels: Some(labels).filter(|labels| !labels.is_empty()),
            ..ObjectMeta::default()
        },
        spec: serde_json::from_value(row.spec.clone()).map_err(ApiError::internal)?,
        status: None,
    };
    Ok(([(header::CONTENT_TYPE, "text/yaml; charset=utf-8")], manifest::write([&monitor])).into_response())
}
