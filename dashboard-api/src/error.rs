//! Every refusal and failure as a problem document (RFC 9457). No internal text leaves through here.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use nanomon_sql::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

/// Results of handlers.
pub type ApiResult<T> = Result<T, ApiError>;

/// What is wrong with one field of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldProblem {
    /// The field, as a path like `spec.http.url`; in an import with the entry's position in front: `[3].target`.
    pub field: String,
    /// A sentence.
    pub message: String,
}

impl FieldProblem {
    /// A fault of one field.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// A problem document (RFC 9457), `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the status says it all.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// One sentence.
    pub detail: String,
    /// What is wrong with which field, if fields are at fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldProblem>,
}

/// A refusal or failure on its way to the client.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    detail: String,
    errors: Vec<FieldProblem>,
    retry_after_s: Option<u32>,
}

impl ApiError {
    /// A problem with this status and sentence.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), errors: Vec::new(), retry_after_s: None }
    }

    /// 400.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 400 because of these fields; the first one's message is the detail.
    pub fn invalid(errors: Vec<FieldProblem>) -> Self {
        let detail = errors.first().map_or_else(|| "the request is invalid".to_owned(), |fault| fault.message.clone());
        Self { errors, ..Self::bad_request(detail) }
    }

    /// 400 because of one field.
    pub fn invalid_field(field: &str, message: impl Into<String>) -> Self {
        Self::invalid(vec![FieldProblem::new(field, message)])
    }

    /// 403.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 404 with the reference's sentence.
    pub fn monitor_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "monitor not found")
    }

    /// 409.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 429 with the seconds to wait.
    pub fn too_many(detail: impl Into<String>, retry_after_s: u32) -> Self {
        Self { retry_after_s: Some(retry_after_s), ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }

    /// 503 with the seconds to wait.
    pub fn unavailable(detail: impl Into<String>, retry_after_s: u32) -> Self {
        Self { retry_after_s: Some(retry_after_s), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// 500; the cause is logged here and goes no further.
    pub fn internal(cause: impl Into<anyhow::Error>) -> Self {
        let cause = cause.into();
        tracing::error!(error = %format!("{cause:#}"), "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the request failed inside the server; its log says why")
    }

    /// The same with faults of fields.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldProblem>) -> Self {
        self.errors = errors;
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The sentence.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The faults of fields.
    pub fn errors(&self) -> &[FieldProblem] {
        &self.errors
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(cause) => {
                tracing::warn!(error = %cause, "PostgreSQL is not reachable");
                Self::unavailable("the database is not reachable; try again soon", 5)
            }
            StoreError::Retry(cause) => {
                tracing::warn!(error = %cause, "a transaction had to be given up");
                Self::unavailable("the database is busy; try again", 1)
            }
            StoreError::Fenced => Self::unavailable("another instance has taken over; try again", 1),
            StoreError::Schema(sentence) => {
                tracing::warn!(%sentence, "the schema is not one that this version works with");
                Self::unavailable("the database's schema is not ready for this version; try again soon", 10)
            }
            StoreError::Data(cause) => Self::internal(anyhow::anyhow!(cause).context("PostgreSQL refused the data")),
            StoreError::Statement(cause) => {
                Self::internal(anyhow::anyhow!(cause).context("PostgreSQL refused a statement"))
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = Problem {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
            errors: self.errors,
        };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (
            self.status,
            [(header::CONTENT_TYPE, "application/problem+json"), (header::CACHE_CONTROL, "no-store")],
            body,
        )
            .into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
