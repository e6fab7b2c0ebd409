//! An API on a database of its own, called without ports.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use jiff::Timestamp;
use nanomon_core::status::Phases;
use nanomon_core::verdict::{Status, Verdict};
use nanomon_core::{OutputId, Outputs, ProbeType, Reason, codec};
use nanomon_dashboard_api::ApiConfig;
use nanomon_dashboard_api::router::router;
use nanomon_dashboard_api::server::app_state;
use nanomon_dashboard_api::state::AppState;
use nanomon_sql::results::NewResult;
use nanomon_sql::{MonitorId, RunnerId, Settings, Slot, Store};
use nanomon_testkit::postgres::Postgres;
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// An API under test.
pub struct Api {
    pub store: Store,
    pub state: AppState,
    app: Router,
}

/// What it answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|fault| panic!("{fault}: {:?}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The sentence of a problem document, after a check that it is one.
    pub fn detail(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        assert_eq!(problem["type"], "about:blank");
        problem["detail"].as_str().unwrap().to_owned()
    }
}

/// A fresh, migrated database.
pub async fn fresh_store() -> Store {
    let dsn = Postgres::shared().await.create_dsn().await.unwrap();
    let settings = Settings::parse(&dsn, None).unwrap().with_pool(4, "nanomon-api-test");
    let store = Store::new(&settings).unwrap();
    store.migrate().await.unwrap();
    store
}

impl Api {
    pub async fn standalone() -> Self {
        let api = Self::with(ApiConfig::standalone(), fresh_store().await);
        api.runner().await;
        api
    }

    pub fn with(config: ApiConfig, store: Store) -> Self {
        let state = app_state(config, store.clone());
        Self { store, state: state.clone(), app: router(state) }
    }

    pub async fn send(&self, mut request: Request<Body>) -> Answer {
        let client: SocketAddr = "127.0.0.1:40000".parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(client));
        if !request.headers().contains_key(header::HOST) {
            request.headers_mut().insert(header::HOST, "localhost:8000".parse().unwrap());
        }
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, text: String::from_utf8_lossy(&bytes).into_owned() }
    }

    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send(Request::builder().method(method).uri(path).body(body).unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::PUT, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, None).await
    }

    /// Makes a monitor and answers its id.
    pub async fn make(&self, body: &Value) -> MonitorId {
        let answer = self.post("/api/monitors", body).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json()["id"].as_i64().unwrap() as MonitorId
    }

    /// Makes an HTTP monitor of the reference's form.
    pub async fn make_http(&self, name: &str) -> MonitorId {
        self.make(&http_form(name)).await
    }

    /// The names of all monitors, as the list shows them.
    pub async fn names(&self) -> Vec<String> {
        let list = self.get("/api/monitors").await;
        assert_eq!(list.status, StatusCode::OK, "{list:?}");
        list.json().as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap().to_owned()).collect()
    }

    /// A runner of the pool `default`.
    pub async fn runner(&self) -> RunnerId {
        let pool = self.store.pool_ensure("default").await.unwrap();
        self.store.runner_register("test", "runner-0", pool, "0.0.0").await.unwrap()
    }

    /// Stores a result of a monitor, `ago` before now.
    pub async fn store_result(&self, id: MonitorId, ago: Duration, status: Status, reason: Reason) -> Slot {
        let runner_id = self.runner().await;
        let row = self.store.monitor_get(id).await.unwrap().unwrap();
        let slot = (Timestamp::now().as_second() - ago.as_secs() as i64) as Slot;
        let mut outputs = Outputs::default();
        let value = (status != Status::Failed).then_some(12.5);
        if value.is_some() {
            outputs.set_number(OutputId::RESP_TIME, 12.5);
            outputs.set_number(OutputId::STATUS, 200.0);
            outputs.set_number(OutputId::BODY_LEN, 1024.0);
        }
        let result = NewResult {
            series_id: row.series[0].id,
            slot,
            verdict: Verdict::new(status),
            reason,
            value,
            start_ms: 250,
            runner_id,
            phases: Phases::from_outputs(&outputs),
            outputs: codec::encode(ProbeType::Http, &outputs, value),
        };
        let report = self.store.result_write_batch(&[result]).await.unwrap();
        assert_eq!(report.stored, [0], "{report:?}");
        slot
    }
}

/// A monitor in the reference's form.
pub fn http_form(name: &str) -> Value {
    json!({
        "name": name, "type": "http", "interval": "30s", "target": "http://127.0.0.1:9/", "rule": "status == 200",
        "enabled": true, "group": "web", "properties": {"timeout": "2s", "validateTLS": "false"}
    })
}

/// The same JSON with everything that differs from run to run replaced.
pub fn redacted(mut value: Value) -> Value {
    redact(&mut value);
    value
}

fn redact(value: &mut Value) {
    const VOLATILE: [&str; 9] =
        ["updated", "createdAt", "date", "since", "lastCheckTime", "t", "from", "uptimeSeconds", "version"];
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let is_duration = name == "uptime" && field.is_string();
                if !field.is_null() && (VOLATILE.contains(&name.as_str()) || is_duration) {
                    *field = json!(format!("[{name}]"));
                } else {
                    redact(field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
