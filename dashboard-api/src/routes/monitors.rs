//! Monitors.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use nanomon_core::ProbeType;
use nanomon_crds::MonitorSpec;
use nanomon_sql::MonitorId;
use nanomon_sql::monitors::{MonitorFilter, MonitorRow};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{detached, if_match, namespace_of, tagged_json};
use crate::board::{Entry, Snapshot};
use crate::definition::{Current, read_monitor, reference_form};
use crate::error::{ApiError, ApiResult, Problem};
use crate::extract::{IdPath, JsonBody, Params, read_bounded};
use crate::openapi::MonitorInputDoc;
use crate::state::AppState;
use crate::view::monitor::{ManagedBy, MonitorState, MonitorView, StateWord};
use crate::writer::{NewMonitor, PendingMonitor, Written};

/// Filters of the list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListParams {
    /// Only of this namespace.
    pub namespace: Option<String>,
    /// Only of this group.
    pub group: Option<String>,
    /// Only of this type: `http`, `tcp`, `ping` or `dns`.
    #[serde(rename = "type")]
    #[param(rename = "type")]
    pub kind: Option<String>,
    /// Only in this state: `ok`, `error`, `failed`, `unknown` or `paused`.
    pub state: Option<String>,
    /// Only those whose name, object name or target holds this text, in any case.
    pub search: Option<String>,
    /// Only with this label: `key` or `key=value`.
    pub label: Option<String>,
    /// At most so many, 1 to 1000; the header `Link` leads to the next page. Without it: all.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    pub limit: Option<String>,
    /// Only those with a larger id.
    #[param(value_type = Option<i32>)]
    pub after: Option<String>,
}

struct Filter<'a> {
    namespace: Option<&'a str>,
    group: Option<&'a str>,
    probe: Option<ProbeType>,
    state: Option<StateWord>,
    needle: Option<String>,
    label: Option<(&'a str, Option<&'a str>)>,
    limit: Option<u32>,
    after: MonitorId,
}

impl<'a> Filter<'a> {
    fn read(params: &'a ListParams) -> ApiResult<Self> {
        let said = |text: &'a Option<String>| text.as_deref().filter(|text| !text.is_empty());
        let unknown =
            |field: &str, choices: &str| ApiError::invalid_field(field, format!("{field} must be one of {choices}"));
        let probe = said(&params.kind)
            .map(|word| ProbeType::from_word(word).ok_or_else(|| unknown("type", "http, tcp, ping, dns")))
            .transpose()?;
        let state = said(&params.state)
            .map(|word| {
                StateWord::from_word(word).ok_or_else(|| unknown("state", "ok, error, failed, unknown, paused"))
            })
            .transpose()?;
        let label = said(&params.label).map(|text| match text.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (text, None),
        });
        let after = match said(&params.after) {
            None => 0,
            Some(text) => {
                text.parse().map_err(|_| ApiError::invalid_field("after", "after must be the id of a monitor"))?
            }
        };
        Ok(Self {
            namespace: said(&params.namespace),
            group: said(&params.group),
            probe,
            state,
            needle: said(&params.search).map(str::to_lowercase),
            label,
            limit: read_bounded("limit", said(&params.limit), 1, 1000)?,
            after,
        })
    }

    fn takes(&self, entry: &Entry) -> bool {
        self.namespace.is_none_or(|namespace| entry.row.namespace == namespace)
            && self.group.is_none_or(|group| entry.group() == group)
            && self.probe.is_none_or(|probe| entry.probe_type() == Some(probe))
            && self.state.is_none_or(|state| entry.state.status == state)
            && self.needle.as_ref().is_none_or(|needle| entry.matches(needle))
            && self.label.is_none_or(|(key, value)| entry.has_label(key, value))
    }

    /// The page as JSON, and the id after which the next one begins.
    fn page(&self, board: &Snapshot) -> (Vec<u8>, Option<MonitorId>) {
        let mut found = board.entries.range(self.after.saturating_add(1)..).filter(|(_, entry)| self.takes(entry));
        let mut body = vec![b'['];
        let limit = self.limit.map_or(usize::MAX, |limit| limit as usize);
        let mut last = None;
        for (id, entry) in found.by_ref().take(limit) {
            if last.is_some() {
                body.push(b',');
            }
            body.extend_from_slice(&entry.json);
            last = Some(*id);
        }
        body.push(b']');
        (body, last.filter(|_| found.next().is_some()))
    }
}

/// Lists monitors by id.
#[utoipa::path(
    get, path = "/api/monitors", tag = "monitors", params(ListParams),
    responses((status = 200, body = Vec<MonitorView>), (status = "4XX", body = Problem, content_type = "application/problem+json"))
)]
pub async fn list_monitors(
    State(state): State<AppState>,
    Params(params): Params<ListParams>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let filter = Filter::read(&params)?;
    let board = state.board.read().await?;
    let body = board.body(&format!("monitors {params:?}"), || filter.page(&board));
    let mut response = tagged_json(&headers, body.bytes, &body.etag);
    if let Some(next) = body.next {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let pairs = [
            ("namespace", &params.namespace),
            ("group", &params.group),
            ("type", &params.kind),
            ("state", &params.state),
            ("search", &params.search),
            ("label", &params.label),
            ("limit", &params.limit),
        ];
        for (name, value) in pairs {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        query.append_pair("after", &next.to_string());
        if let Ok(link) = HeaderValue::from_str(&format!("</api/monitors?{}>; rel=\"next\"", query.finish())) {
            response.headers_mut().insert(header::LINK, link);
        }
    }
    Ok(response)
}

/// Where a monitor is made or a mass deletion acts.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct NamespaceParams {
    /// The namespace; without one the default namespace.
    pub namespace: Option<String>,
}

/// Makes a monitor.
#[utoipa::path(
    post, path = "/api/monitors", tag = "monitors", params(NamespaceParams), request_body = MonitorInputDoc,
    responses(
        (status = 200, body = MonitorView),
        (status = 202, description = "The object is accepted; its row will follow.", body = MonitorView),
        (status = "4XX", body = Problem, content_type = "application/problem+json")
    )
)]
pub async fn create_monitor(
    State(state): State<AppState>,
    Params(params): Params<NamespaceParams>,
    JsonBody(body): JsonBody,
) -> ApiResult<Response> {
    let input = read_monitor(&body, None)?;
    let namespace = namespace_of(&state, input.namespace.as_deref().or(params.namespace.as_deref()))?;
    let written = state.writer.create(NewMonitor { namespace, input }).await?;
    show_written(&state, written).await
}

/// Shows a monitor.
#[utoipa::path(
    get, path = "/api/monitors/{id}", tag = "monitors", params(("id" = i32, Path, description = "The monitor")),
    responses((status = 200, body = MonitorView), (status = "4XX", body = Problem, content_type = "application/problem+json"))
)]
pub async fn get_monitor(State(state): State<AppState>, id: IdPath, headers: HeaderMap) -> ApiResult<Response> {
    let id = id.required()?;
    let board = state.board.read().await?;
    let entry = board.entries.get(&id).ok_or_else(ApiError::monitor_not_found)?;
    Ok(tagged_json(&headers, entry.json.clone(), &entry.etag()))
}

/// Replaces a monitor's definition. With `If-Match` only if nobody changed it meanwhile.
#[utoipa::path(
    put, path = "/api/monitors/{id}", tag = "monitors",
    params(
        ("id" = i32, Path, description = "The monitor"),
        ("If-Match" = Option<String>, Header, description = "The ETag under which the client saw it")
    ),
    request_body = MonitorInputDoc,
    responses(
        (status = 200, body = MonitorView),
        (status = 202, description = "The object is accepted; its row will follow.", body = MonitorView),
        (status = "4XX", body = Problem, content_type = "application/problem+json")
    )
)]
pub async fn replace_monitor(
    State(state): State<AppState>,
    id: IdPath,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> ApiResult<Response> {
    let row = find_row(&state, &id).await?;
    let seen = if_match(&headers)?;
    let spec: Option<MonitorSpec> = serde_json::from_value(row.spec.clone()).ok();
    let current = spec.as_ref().map(|spec| Current { name: &row.name, spec });
    let input = read_monitor(&body, current)?;
    let written = state.writer.replace(&row, input, seen.as_deref()).await?;
    show_written(&state, written).await
}

/// Deletes a monitor.
#[utoipa::path(
    delete, path = "/api/monitors/{id}", tag = "monitors",
    params(
        ("id" = i32, Path, description = "The monitor"),
        ("If-Match" = Option<String>, Header, description = "The ETag under which the client saw it")
    ),
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json"))
)]
pub async fn delete_monitor(State(state): State<AppState>, id: IdPath, headers: HeaderMap) -> ApiResult<StatusCode> {
    let row = find_row(&state, &id).await?;
    let seen = if_match(&headers)?;
    state.writer.delete(std::slice::from_ref(&row), seen.as_deref()).await?;
    after_write(&state).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes all monitors, or those of one namespace; none if one of them is owned by a file or a tool. In a cluster the
/// namespace must be given.
#[utoipa::path(
    delete, path = "/api/monitors", tag = "monitors", params(NamespaceParams),
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json"))
)]
pub async fn delete_monitors(
    State(state): State<AppState>,
    Params(params): Params<NamespaceParams>,
) -> ApiResult<StatusCode> {
    let rows = rows_of_namespace(&state, &params).await?;
    detached(state, |state| async move {
        let deleted = state.writer.delete(&rows, None).await;
        after_write(&state).await;
        deleted
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The living monitors on which a mass deletion acts.
pub async fn rows_of_namespace(state: &AppState, params: &NamespaceParams) -> ApiResult<Vec<MonitorRow>> {
    let asked = params.namespace.as_deref().filter(|text| !text.is_empty());
    let namespaces = match asked {
        Some(_) => Some(vec![namespace_of(state, asked)?]),
        None if state.config.mode_word() == "cluster" => {
            return Err(ApiError::invalid_field(
                "namespace",
                "namespace must be given: ?namespace= says whose are deleted",
            ));
        }
        None => None,
    };
    let rows = state.store.monitor_list(&MonitorFilter { namespaces, ..MonitorFilter::default() }).await?;
    Ok(rows.into_iter().filter(|row| row.installation == state.config.installation).collect())
}

async fn find_row(state: &AppState, id: &IdPath) -> ApiResult<MonitorRow> {
    let row = state.store.monitor_get(id.required()?).await?;
    row.filter(|row| row.installation == state.config.installation).ok_or_else(ApiError::monitor_not_found)
}

/// Whoever wrote reads behind his write; a board that cannot be read now is read by whoever asks next.
pub async fn after_write(state: &AppState) {
    state.results.clear();
    if let Err(error) = state.board.read_after_write().await {
        tracing::debug!(error = %error, "the board could not be read after a write");
    }
}

async fn show_written(state: &AppState, written: Written) -> ApiResult<Response> {
    state.results.clear();
    let id = match written {
        Written::Row(id) => id,
        Written::Pending(pending) => {
            let view = pending_view(*pending);
            let bytes = serde_json::to_vec(&view).map_err(ApiError::internal)?;
            let location = format!("/api/monitors/{}", view.id);
            return Ok((
                StatusCode::ACCEPTED,
                [(header::CONTENT_TYPE, "application/json"), (header::LOCATION, location.as_str())],
                bytes,
            )
                .into_response());
        }
    };
    let board = state.board.read_after_write().await?;
    // Deleted again by somebody else in the same moment.
    let entry = board.entries.get(&id).ok_or_else(ApiError::monitor_not_found)?;
    Ok(tagged_json(&HeaderMap::new(), Bytes::clone(&entry.json), &entry.etag()))
}

fn pending_view(pending: PendingMonitor) -> MonitorView {
    let PendingMonitor { id, namespace, name, at, input } = pending;
    let spec = input.definition.spec_json();
    let form = reference_form(&name, &spec);
    MonitorView {
        id,
        name: form.name,
        kind: form.probe_type,
        interval: form.interval,
        target: form.target,
        rule: form.rule,
        enabled: form.enabled,
        group: form.group,
        properties: form.properties,
        updated: at,
        created_at: at,
        namespace,
        object_name: name,
        labels: input.labels.unwrap_or_default(),
        spec,
        state: MonitorState {
            status: if form.enabled { StateWord::Unknown } else { StateWord::Paused },
            since: None,
            last_check_time: None,
            last_value: None,
            reason: None,
            message: None,
            pools: Vec::new(),
        },
        managed_by: ManagedBy { source: "kubernetes".to_owned(), owner: None, editable: true, reason: None },
    }
}
