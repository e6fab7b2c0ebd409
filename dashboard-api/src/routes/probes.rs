//! Run now and drafts. The API never dials a target: a runner of the pool takes the request from the database.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Json;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use nanomon_core::MonitorDef;
use nanomon_sql::PoolId;
use nanomon_sql::notify::{Channel, Wakeup};
use nanomon_sql::probe_requests::{NewProbeRequest, ProbeRequestRow, RequestState};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};
use utoipa::IntoParams;
use uuid::Uuid;

use super::namespace_of;
use crate::board::Snapshot;
use crate::definition::read_monitor;
use crate::error::{ApiError, ApiResult, Problem};
use crate::extract::{IdPath, JsonBody, Params, read_bounded};
use crate::openapi::MonitorInputDoc;
use crate::state::AppState;
use crate::view::monitor::Names as _;
use crate::view::probe::{ProbeRequestView, probe_view};

/// Pause between two looks at a request if no notification comes.
const LOOK: Duration = Duration::from_millis(250);

/// How long to wait for the outcome.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WaitParams {
    /// Answers when the run is done, or after so many seconds.
    #[param(value_type = Option<u32>, minimum = 0, maximum = 30)]
    pub wait: Option<String>,
}

/// Runs a monitor now, outside its schedule; the outcome is shown but not counted.
#[utoipa::path(
    post, path = "/api/monitors/{id}/run", tag = "probes",
    params(("id" = i32, Path, description = "The monitor"), WaitParams),
    responses(
        (status = 200, description = "The run is done.", body = ProbeRequestView),
        (status = 202, description = "The run has been asked for.", body = ProbeRequestView),
        (status = "4XX", body = Problem, content_type = "application/problem+json")
    )
)]
pub async fn run_monitor(
    State(state): State<AppState>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    id: IdPath,
    Params(params): Params<WaitParams>,
) -> ApiResult<Response> {
    let wait = read_wait(&params, 0)?;
    let id = id.required()?;
    let board = state.board.read().await?;
    let entry = board.entries.get(&id).ok_or_else(ApiError::monitor_not_found)?;
    let def = entry.row.def.as_ref().ok_or_else(ApiError::monitor_not_found)?;
    let new = NewProbeRequest {
        monitor_id: Some(id),
        def: None,
        namespace: entry.row.namespace.clone(),
        pool_id: pool_of(&board, def)?,
        requester: client.ip().to_string(),
    };
    ask(&state, new, wait).await
}

/// Tests a definition without storing it: a runner runs it once.
#[utoipa::path(
    post, path = "/api/probes", tag = "probes", params(WaitParams), request_body = MonitorInputDoc,
    responses(
        (status = 200, description = "The run is done.", body = ProbeRequestView),
        (status = 202, description = "The run has been asked for.", body = ProbeRequestView),
        (status = "4XX", body = Problem, content_type = "application/problem+json")
    )
)]
pub async fn probe_draft(
    State(state): State<AppState>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    Params(params): Params<WaitParams>,
    JsonBody(mut body): JsonBody,
) -> ApiResult<Response> {
    let wait = read_wait(&params, 2)?;
    // A draft needs no name yet.
    if let Some(fields) = body.as_object_mut()
        && fields.get("name").is_none_or(|name| name.is_null() || name == "")
    {
        fields.insert("name".to_owned(), "draft".into());
    }
    let input = read_monitor(&body, None)?;
    let namespace = namespace_of(&state, input.namespace.as_deref())?;
    let def = &input.definition.def;
    let board = state.board.read().await?;
    let new = NewProbeRequest {
        monitor_id: None,
        pool_id: pool_of(&board, def)?,
        def: Some(serde_json::to_value(def).map_err(ApiError::internal)?),
        namespace,
        requester: client.ip().to_string(),
    };
    ask(&state, new, wait).await
}

/// Shows a run that was asked for.
#[utoipa::path(
    get, path = "/api/probes/{uuid}", tag = "probes",
    params(("uuid" = Uuid, Path, description = "The request"), WaitParams),
    responses((status = 200, body = ProbeRequestView), (status = "4XX", body = Problem, content_type = "application/problem+json"))
)]
pub async fn get_probe(
    State(state): State<AppState>,
    Path(uuid): Path<String>,
    Params(params): Params<WaitParams>,
) -> ApiResult<Json<ProbeRequestView>> {
    let wait = read_wait(&params, 0)?;
    let id: Uuid =
        uuid.parse().map_err(|_| ApiError::invalid_field("uuid", "uuid must be the id of a probe request"))?;
    let row = await_outcome(&state, id, wait).await?;
    let row = row.ok_or_else(|| ApiError::new(StatusCode::NOT_FOUND, "probe request not found"))?;
    show(&state, &row).await.map(Json)
}

fn read_wait(params: &WaitParams, default: u32) -> ApiResult<Duration> {
    let seconds = read_bounded("wait", params.wait.as_deref(), 0, 30)?.unwrap_or(default);
    Ok(Duration::from_secs(seconds.into()))
}

/// The first of the definition's pools that exists.
fn pool_of(board: &Snapshot, def: &MonitorDef) -> ApiResult<PoolId> {
    def.pools.iter().find_map(|pool| board.names.pool_id(pool)).ok_or_else(|| {
        ApiError::invalid_field("spec.runnerPools", format!("there is no runner pool {}", def.pools.join(", ")))
    })
}

async fn ask(state: &AppState, new: NewProbeRequest, wait: Duration) -> ApiResult<Response> {
    let id = state.store.probe_request_create(&new).await?.ok_or_else(|| {
        ApiError::too_many("too many runs were asked for: one at a time and ten a minute; try again soon", 6)
    })?;
    let row = await_outcome(state, id, wait)
        .await?
        .ok_or_else(|| ApiError::internal(anyhow::anyhow!("a probe request vanished")))?;
    let view = show(state, &row).await?;
    let is_over = matches!(row.state, RequestState::Done | RequestState::Expired);
    let status = if is_over { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, [(header::LOCATION, format!("/api/probes/{id}"))], Json(view)).into_response())
}

async fn await_outcome(state: &AppState, id: Uuid, wait: Duration) -> ApiResult<Option<ProbeRequestRow>> {
    let deadline = Instant::now() + wait;
    let mut wakeups = state.config.wakeups.as_ref().map(tokio::sync::broadcast::Sender::subscribe);
    loop {
        let row = state.store.probe_request_get(id).await?;
        let is_waiting =
            row.as_ref().is_some_and(|row| matches!(row.state, RequestState::Pending | RequestState::Running));
        if !is_waiting || Instant::now() >= deadline {
            return Ok(row);
        }
        let look = deadline.min(Instant::now() + LOOK);
        let notified = async {
            let Some(wakeups) = &mut wakeups else {
                return std::future::pending().await;
            };
            loop {
                match wakeups.recv().await {
                    Ok(Wakeup::Notified(Channel::Monitors | Channel::States | Channel::Shards)) => {}
                    Ok(Wakeup::Notified(Channel::ProbeRequests) | Wakeup::Reconnected) => return,
                    Err(_) => return std::future::pending().await,
                }
            }
        };
        // Running into the deadline is the other way to wake up.
        let _ = timeout_at(look, notified).await;
    }
}

async fn show(state: &AppState, row: &ProbeRequestRow) -> ApiResult<ProbeRequestView> {
    let runner = match row.runner_id {
        Some(id) => state.board.read().await?.names.runner(id),
        None => None,
    };
    Ok(probe_view(row, runner))
}
