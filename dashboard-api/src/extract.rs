//! What handlers take from a request; every rejection is a problem document.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use nanomon_sql::MonitorId;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::ApiError;

/// A JSON body, whatever its content type says (the reference does not look at it either). Fields are checked one by one
/// afterwards, so that each fault names its field.
pub struct JsonBody(pub Value);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| match rejection {
            BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
                ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than this route takes")
            }
            _ => ApiError::bad_request("the body could not be read"),
        })?;
        if bytes.is_empty() {
            return Err(ApiError::bad_request("the body is empty; JSON is expected"));
        }
        serde_json::from_slice(&bytes)
            .map(JsonBody)
            .map_err(|fault| ApiError::bad_request(format!("the body is not valid JSON: {fault}")))
    }
}

/// `{id}` of a monitor. A number that no monitor can have is `None`; what is no number is refused.
pub struct IdPath(pub Option<MonitorId>);

impl IdPath {
    /// The id, or 404.
    pub fn required(&self) -> Result<MonitorId, ApiError> {
        self.0.ok_or_else(ApiError::monitor_not_found)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let refused = || ApiError::invalid_field("id", "monitor id must be a number");
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| refused())?;
        let digits = text.strip_prefix('-').unwrap_or(&text);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(refused());
        }
        Ok(Self(text.parse().ok().filter(|id| *id > 0)))
    }
}

/// The query string. Its fields are texts; each handler reads them and names the faulty one.
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(_) => Err(ApiError::bad_request(
                "the query string could not be read: a parameter is given twice or badly encoded",
            )),
        }
    }
}

/// Reads `max`: 1 to 1,000, 100 if absent.
pub fn read_max(text: Option<&str>) -> Result<u16, ApiError> {
    const SENTENCE: &str = "max must be between 1 and 1000";
    let Some(text) = text else { return Ok(100) };
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ApiError::invalid_field("max", "max must be a number"));
    }
    match text.parse() {
        Ok(max @ 1..=1000) => Ok(max),
        _ => Err(ApiError::invalid_field("max", SENTENCE)),
    }
}

/// Reads a whole number within bounds.
pub fn read_bounded(field: &str, text: Option<&str>, low: u32, high: u32) -> Result<Option<u32>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    match text.parse::<u32>() {
        Ok(number) if (low..=high).contains(&number) => Ok(Some(number)),
        _ => Err(ApiError::invalid_field(field, format!("{field} must be a whole number between {low} and {high}"))),
    }
}
