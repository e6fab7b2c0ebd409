//! The router: routes, and around them what every request passes.

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate as _, SizeAbove};
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::error::ApiError;
use crate::state::AppState;
use crate::{auth, host_guard, metrics, openapi, spa};

/// Largest body of most routes.
const BODY_BYTES: usize = 1024 * 1024;
/// Largest body of an import.
const IMPORT_BYTES: usize = 16 * 1024 * 1024;
/// Longest time for one request; waiting for a run takes up to 30 s of it.
const REQUEST: Duration = Duration::from_mins(1);
/// Largest path with query.
const URI_BYTES: usize = 8 * 1024;

/// What pages from here may do: load from here only, call the API where it is configured to be, be framed by nobody.
fn content_security_policy(api_endpoint: &str) -> HeaderValue {
    let elsewhere = url::Url::parse(api_endpoint).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    let policy = format!(
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src {}; object-src 'none'; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        format!("'self' {elsewhere}").trim_end()
    );
    // An origin has only characters that a header may carry.
    HeaderValue::try_from(policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'self'"))
}

/// Everything that the two ports serve.
pub fn router(state: AppState) -> Router {
    let policy = content_security_policy(&state.config.api_endpoint);
    let (api, _) = openapi::api_router().split_for_parts();
    let (import, _) = openapi::import_router().split_for_parts();
    let import = import.layer(DefaultBodyLimit::max(IMPORT_BYTES));
    let docs = SwaggerUi::new("/api/docs").config(Config::new(["/api/openapi.json"]).validator_url("none"));
    let guarded = api
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .merge(import)
        .merge(docs)
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(fallback)
        .layer(middleware::from_fn_with_state(state.clone(), auth::guard_writes))
        .layer(middleware::from_fn_with_state(state.clone(), host_guard::guard))
        .layer(middleware::from_fn(bound_request));
    let guarded = match cors(&state) {
        Some(cors) => guarded.layer(cors),
        None => guarded,
    };
    guarded
        .layer(
            CompressionLayer::new()
                .quality(CompressionLevel::Fastest)
                .compress_when(SizeAbove::new(1024).and(NotForContentType::IMAGES)),
        )
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(policy, add_security_headers))
        .layer(middleware::from_fn_with_state(state.clone(), metrics::count))
        .with_state(state)
}

async fn fallback(State(state): State<AppState>, request: Request) -> Response {
    let path = request.uri().path();
    if path == "/api" || path.starts_with("/api/") {
        return ApiError::new(StatusCode::NOT_FOUND, "there is no such route; /api/docs lists them").into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return method_not_allowed().await;
    }
    spa::serve(&state.config, request.uri().path(), request.headers())
}

async fn method_not_allowed() -> Response {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "this route does not take this method").into_response()
}

/// Refuses endless addresses and ends endless requests.
async fn bound_request(request: Request, next: Next) -> Response {
    if request.uri().path_and_query().is_some_and(|text| text.as_str().len() > URI_BYTES) {
        return ApiError::new(StatusCode::URI_TOO_LONG, "the address is too long").into_response();
    }
    match tokio::time::timeout(REQUEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::unavailable("the request took too long", 5).into_response(),
    }
}

async fn add_security_headers(State(policy): State<HeaderValue>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// No headers at all unless origins are configured.
fn cors(state: &AppState) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> =
        state.config.cors_origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    if origins.is_empty() {
        return None;
    }
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION, header::IF_MATCH, header::IF_NONE_MATCH])
        .expose_headers([header::ETAG, header::LINK, header::LOCATION, header::RETRY_AFTER])
        .max_age(Duration::from_mins(10));
    Some(cors)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that the layer asks for")]
fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no text");
    ApiError::internal(anyhow::anyhow!("a handler panicked: {text}")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::routing::get;
    use tower::ServiceExt as _;

    async fn broken() -> StatusCode {
        panic!("a secret of the inside")
    }

    #[test]
    fn pages_call_the_api_where_it_is() {
        let connect = |endpoint: &str| {
            let policy = content_security_policy(endpoint);
            policy.to_str().unwrap().split("; ").find(|part| part.starts_with("connect-src")).unwrap().to_owned()
        };
        assert_eq!(connect("/api"), "connect-src 'self'");
        assert_eq!(connect("https://api.example:8443/api"), "connect-src 'self' https://api.example:8443");
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_without_its_text() {
        let app: Router = Router::new().route("/", get(broken)).layer(CatchPanicLayer::custom(panicked));
        let response = app.oneshot(Request::builder().uri("/").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let body = to_bytes(response.into_body(), 4096).await.unwrap();
        assert!(!String::from_utf8_lossy(&body).contains("secret"), "{body:?}");
    }
}
