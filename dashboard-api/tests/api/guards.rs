//! Who may write, for every route of the OpenAPI document: a new route cannot be forgotten.

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, StatusCode};
use nanomon_dashboard_api::{ApiConfig, AuthSettings, ClusterConfig, Mode};
use serde_json::Value;

use crate::support::{Answer, Api, fresh_store, http_form};

/// Every operation of the document, with placeholders filled in.
fn operations() -> Vec<(Method, String)> {
    let document: Value = serde_json::from_str(&nanomon_dashboard_api::openapi_json()).unwrap();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let path = path.replace("{id}", "1").replace("{uuid}", "00000000-0000-4000-8000-000000000000");
            assert!(!path.contains('{'), "{path}: fill in this placeholder too");
            operations.push((method, path));
        }
    }
    operations
}

fn is_read(method: &Method) -> bool {
    *method == Method::GET
}

/// Changes nothing and starts no probe, though it is a POST.
fn is_harmless(method: &Method, path: &str) -> bool {
    is_read(method) || path == "/api/rules/check"
}

/// A client of the Kubernetes API that must not be called.
fn unused_client() -> kube::Client {
    let service = tower::service_fn(|request: Request<kube::client::Body>| async move {
        Err::<http::Response<Body>, std::io::Error>(std::io::Error::other(format!("called: {}", request.uri())))
    });
    kube::Client::new(service, "default")
}

fn cluster(allow_anonymous_writes: bool) -> ApiConfig {
    let cluster =
        ClusterConfig { client: unused_client(), default_namespace: "nanomon".to_owned(), allow_anonymous_writes };
    ApiConfig { mode: Mode::Cluster(cluster), ..ApiConfig::standalone() }
}

async fn ask(api: &Api, method: &Method, path: &str, headers: &[(&'static str, &str)]) -> Answer {
    let body = if is_read(method) { String::new() } else { http_form("x").to_string() };
    let mut request = Request::builder().method(method).uri(path).body(Body::from(body)).unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, HeaderValue::from_str(value).unwrap());
    }
    api.send(request).await
}

#[tokio::test]
async fn in_a_cluster_without_sign_in_every_write_is_refused() {
    let api = Api::with(cluster(false), fresh_store().await);
    let mut refused = 0;
    for (method, path) in operations() {
        let answer = ask(&api, &method, &path, &[]).await;
        if is_harmless(&method, &path) {
            assert_ne!(answer.status, StatusCode::FORBIDDEN, "{method} {path}");
        } else {
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path} {answer:?}");
            assert!(answer.detail().contains("api.allowAnonymousWrites"), "{}", answer.detail());
            refused += 1;
        }
    }
    assert!(refused >= 8, "{refused}");
    let config = api.get("/config.json").await.json();
    assert_eq!(config["writable"], false);
    assert!(config["writeBlockedReason"].as_str().unwrap().contains("api.allowAnonymousWrites"));
    assert_eq!(config["mode"], "cluster");
}

#[tokio::test]
async fn anonymous_writes_can_be_allowed() {
    let api = Api::with(cluster(true), fresh_store().await);
    for (method, path) in operations() {
        let answer = ask(&api, &method, &path, &[]).await;
        assert_ne!(answer.status, StatusCode::FORBIDDEN, "{method} {path}");
    }
    let answer = ask(&api, &Method::DELETE, "/api/monitors", &[]).await;
    assert_eq!(
        (answer.status, answer.detail().as_str()),
        (StatusCode::BAD_REQUEST, "namespace must be given: ?namespace= says whose are deleted")
    );
    let answer = ask(&api, &Method::DELETE, "/api/results", &[]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn pages_of_other_sites_write_nothing() {
    let api = Api::standalone().await;
    for (method, path) in operations() {
        for headers in [
            vec![("origin", "https://evil.example")],
            vec![("origin", "null")],
            vec![("origin", "http://localhost:3000")],
            vec![("sec-fetch-site", "cross-site")],
        ] {
            let answer = ask(&api, &method, &path, &headers).await;
            if is_read(&method) {
                assert_ne!(answer.status, StatusCode::FORBIDDEN, "{method} {path}");
            } else {
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path} {headers:?}");
                assert!(answer.detail().contains("CORS_ORIGINS"), "{}", answer.detail());
            }
            assert!(answer.headers.get("access-control-allow-origin").is_none());
        }
    }
    assert!(api.names().await.is_empty());
    let own = ask(&api, &Method::POST, "/api/monitors", &[("origin", "http://localhost:8000")]).await;
    assert_eq!(own.status, StatusCode::OK);
}

#[tokio::test]
async fn strange_hosts_are_refused_everywhere() {
    let api = Api::standalone().await;
    for (method, path) in operations() {
        let answer = ask(&api, &method, &path, &[("host", "evil.example")]).await;
        assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST, "{method} {path}");
        assert!(answer.detail().contains("ALLOWED_HOSTS"), "{}", answer.detail());
    }
    for path in ["/", "/api/docs/", "/api/nothing", "/monitors/1"] {
        assert_eq!(
            ask(&api, &Method::GET, path, &[("host", "evil.example")]).await.status,
            StatusCode::MISDIRECTED_REQUEST
        );
    }
    assert_eq!(ask(&api, &Method::GET, "/api/monitors", &[("host", "192.0.2.1:8000")]).await.status, StatusCode::OK);
    let config = ApiConfig { allowed_hosts: vec!["mon.example".into()], ..ApiConfig::standalone() };
    let named = Api::with(config, api.store.clone());
    assert_eq!(ask(&named, &Method::GET, "/api/monitors", &[("host", "mon.example")]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn cors_is_for_configured_origins_only() {
    let origin = "https://shop.example";
    let config = ApiConfig { cors_origins: vec![origin.into()], ..ApiConfig::standalone() };
    let api = Api::with(config, fresh_store().await);
    let allowed = |answer: &Answer| answer.header("access-control-allow-origin").to_owned();
    let read = ask(&api, &Method::GET, "/api/monitors", &[("origin", origin)]).await;
    assert_eq!((read.status, allowed(&read).as_str()), (StatusCode::OK, origin));
    let write = ask(&api, &Method::POST, "/api/monitors", &[("origin", origin)]).await;
    assert_eq!((write.status, allowed(&write).as_str()), (StatusCode::OK, origin));
    let asked = [("origin", origin), ("access-control-request-method", "PUT")];
    let preflight = ask(&api, &Method::OPTIONS, "/api/monitors/1", &asked).await;
    assert_eq!(preflight.status, StatusCode::OK);
    assert!(preflight.header("access-control-allow-methods").contains("PUT"));
    let foreign = ask(&api, &Method::GET, "/api/monitors", &[("origin", "https://evil.example")]).await;
    assert_eq!(allowed(&foreign), "");
}

#[test]
fn settings_that_would_protect_nobody_are_refused() {
    let refused = |config: ApiConfig| config.check().unwrap_err().to_string();
    let auth = AuthSettings { client_id: "abc".into(), ..AuthSettings::default() };
    let text = refused(ApiConfig { auth, ..ApiConfig::standalone() });
    assert!(text.starts_with("AUTH_CLIENT_ID is set, but this version cannot verify access tokens yet"), "{text}");
    let auth = AuthSettings { issuer: "https://i.example".into(), ..AuthSettings::default() };
    assert!(refused(ApiConfig { auth, ..ApiConfig::standalone() }).starts_with("AUTH_ISSUER is set"));
    for origin in ["*", "shop.example", "https://shop.example/", "ftp://shop.example", "https://SHOP.example"] {
        let text = refused(ApiConfig { cors_origins: vec![origin.into()], ..ApiConfig::standalone() });
        assert!(text.starts_with("CORS_ORIGINS holds"), "{text}");
    }
    for host in ["", ".", "a b", "http://a"] {
        let text = refused(ApiConfig { allowed_hosts: vec![host.into()], ..ApiConfig::standalone() });
        assert!(text.starts_with("ALLOWED_HOSTS holds"), "{text}");
    }
    for endpoint in ["", "api", "ftp://a.example/api", "javascript:alert(1)"] {
        let text = refused(ApiConfig { api_endpoint: endpoint.into(), ..ApiConfig::standalone() });
        assert!(text.starts_with("API_ENDPOINT is"), "{text}");
    }
    assert_eq!(ApiConfig::standalone().check(), Ok(()));
}
