//! Import: all or nothing.

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;

use super::detached;
use super::monitors::{NamespaceParams, after_write};
use super::namespace_of;
use crate::definition::read_monitor;
use crate::error::{ApiError, ApiResult, FieldProblem, Problem};
use crate::extract::{JsonBody, Params};
use crate::openapi::MonitorInputDoc;
use crate::state::AppState;
use crate::writer::NewMonitor;

/// Faults that one answer names; the rest would only repeat them.
const FAULTS: usize = 100;

/// Makes all of these monitors (at most 500), or none if one of them is faulty. Takes what `GET /api/monitors` gives.
#[utoipa::path(
    post, path = "/api/monitors/import", tag = "monitors", params(NamespaceParams), request_body = Vec<MonitorInputDoc>,
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json"))
)]
pub async fn import_monitors(
    State(state): State<AppState>,
    Params(params): Params<NamespaceParams>,
    JsonBody(body): JsonBody,
) -> ApiResult<StatusCode> {
    let Value::Array(bodies) = body else {
        return Err(ApiError::bad_request("an import must be a JSON array of monitors"));
    };
    let mut monitors = Vec::with_capacity(bodies.len());
    let mut faults = Vec::new();
    let mut first = None;
    for (at, body) in bodies.iter().enumerate() {
        let read = read_monitor(body, None).and_then(|input| {
            let namespace = namespace_of(&state, input.namespace.as_deref().or(params.namespace.as_deref()))?;
            Ok(NewMonitor { namespace, input })
        });
        match read {
            Ok(monitor) => monitors.push(monitor),
            Err(fault) => {
                first.get_or_insert_with(|| format!("nothing was imported: [{at}]: {}", fault.detail()));
                if fault.errors().is_empty() {
                    faults.push(FieldProblem::new(format!("[{at}]"), fault.detail()));
                }
                let named = fault.errors().iter();
                faults.extend(named.map(|f| FieldProblem::new(format!("[{at}].{}", f.field), f.message.clone())));
                if faults.len() >= FAULTS {
                    break;
                }
            }
        }
    }
    if let Some(detail) = first {
        faults.truncate(FAULTS);
        return Err(ApiError::bad_request(detail).with_errors(faults));
    }
    detached(state, |state| async move {
        let imported = state.writer.import(monitors).await;
        after_write(&state).await;
        imported
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
