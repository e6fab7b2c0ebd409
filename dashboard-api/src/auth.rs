//! Who may write. Sign-in (`AUTH_CLIENT_ID`, `AUTH_ISSUER`) will be verified here; until then
//! [`crate::config::ApiConfig::check`] refuses to start with it, so that nobody believes to be protected who is not.

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::error::ApiError;
use crate::host_guard::is_read;
use crate::state::AppState;

/// Requests that are no reads by their method, yet change nothing and start no probe.
pub const HARMLESS: [(&Method, &str); 1] = [(&Method::POST, "/api/rules/check")];

/// Middleware: everything that is not known to be harmless needs the right to write, so that a new route is guarded from
/// its first day.
pub async fn guard_writes(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    let harmless = is_read(method) || HARMLESS.iter().any(|(m, p)| *m == method && *p == path);
    match state.config.write_blocked_reason() {
        Some(reason) if !harmless => ApiError::forbidden(reason).into_response(),
        Some(_) | None => next.run(request).await,
    }
}
