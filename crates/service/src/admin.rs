//! The admin port: `/livez`, `/readyz` and `/metrics`. Never the public port.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{Exposition, MetricsSource, Readiness};

/// What the admin port answers from.
#[derive(Clone, Default)]
pub struct Admin {
    /// Behind `/readyz`.
    pub readiness: Readiness,
    /// Behind `/metrics`, rendered in this order.
    pub sources: Vec<Arc<dyn MetricsSource>>,
}

impl Admin {
    /// Serves until `stop`.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) -> std::io::Result<()> {
        axum::serve(listener, self.router()).with_graceful_shutdown(stop.cancelled_owned()).await
    }

    /// The routes, for a process that mounts them elsewhere.
    pub fn router(self) -> Router {
        Router::new()
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .with_state(Arc::new(self))
    }
}

async fn readyz(State(admin): State<Arc<Admin>>) -> Response {
    match admin.readiness.waiting() {
        None => "ok\n".into_response(),
        Some(lines) => (StatusCode::SERVICE_UNAVAILABLE, format!("{lines}\n")).into_response(),
    }
}

async fn metrics(State(admin): State<Arc<Admin>>, headers: HeaderMap) -> Response {
    let form = Exposition::from_accept(headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()));
    let rendered = tokio::task::spawn_blocking(move || {
        let mut out = String::new();
        for source in &admin.sources {
            source.render(form, &mut out);
        }
        if form == Exposition::OpenMetrics {
            out.push_str("# EOF\n");
        }
        out
    });
    match rendered.await {
        Ok(out) => ([(header::CONTENT_TYPE, form.content_type())], out).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_readiness_and_metrics() {
        let mut admin = Admin::default();
        admin.readiness.wait("database", "not reachable");
        let readiness = admin.readiness.clone();
        admin.sources.push(Arc::new(|_: Exposition, out: &mut String| out.push_str("up 1\n")));
        let admin = Arc::new(admin);
        assert_eq!(readyz(State(admin.clone())).await.status(), StatusCode::SERVICE_UNAVAILABLE);
        readiness.ready("database");
        assert_eq!(readyz(State(admin.clone())).await.status(), StatusCode::OK);

        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, "application/openmetrics-text".parse().unwrap());
        let answer = metrics(State(admin), headers).await;
        let body = axum::body::to_bytes(answer.into_body(), 1024).await.unwrap();
        assert_eq!(&body[..], b"up 1\n# EOF\n");
    }
}
