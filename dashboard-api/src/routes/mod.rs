//! The handlers: extract, ask the store or the board, show.

pub mod import;
pub mod manifest;
pub mod monitors;
pub mod probes;
pub mod results;
pub mod rules;
pub mod series;
pub mod system;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::error::{ApiError, ApiResult};
use crate::state::AppState;

/// The namespace that a request means.
fn namespace_of(state: &AppState, asked: Option<&str>) -> ApiResult<String> {
    match asked {
        None | Some("") => Ok(state.config.default_namespace().to_owned()),
        Some(name) if crate::definition::is_label(name) => Ok(name.to_owned()),
        Some(_) => Err(ApiError::invalid_field("namespace", crate::definition::label_sentence("namespace"))),
    }
}

/// Runs a write of several steps to its end, also when the client goes away in the middle: what was begun is completed or
/// undone.
async fn detached<T, F>(state: AppState, write: impl FnOnce(AppState) -> F) -> ApiResult<T>
where
    T: Send + 'static,
    F: Future<Output = ApiResult<T>> + Send + 'static,
{
    tokio::spawn(write(state)).await.map_err(ApiError::internal)?
}

/// JSON that the client may have already.
fn tagged_json(headers: &HeaderMap, bytes: Bytes, etag: &str) -> Response {
    let tag = HeaderValue::from_str(etag).unwrap_or_else(|_| HeaderValue::from_static("\"\""));
    let shared = [(header::ETAG, tag), (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    if if_none_match(headers, etag) {
        return (StatusCode::NOT_MODIFIED, shared).into_response();
    }
    (shared, [(header::CONTENT_TYPE, "application/json")], bytes).into_response()
}

/// Whether the client has this version.
pub fn if_none_match(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.trim() == "*" || value.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag))
}

/// The definition tag that a client gives in `If-Match`: the part of a monitor's entity tag before the dot. A gzip suffix or
/// weak mark of a proxy does not matter.
fn if_match(headers: &HeaderMap) -> ApiResult<Option<String>> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let tag = text.trim_start_matches("W/").strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    match tag.and_then(|tag| tag.split_once('.')) {
        Some((definition, _)) => Ok(Some(definition.to_owned())),
        None => Err(ApiError::bad_request("If-Match must be * or the ETag of a monitor")),
    }
}
