//! The dashboard's files, with and without a build.

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, StatusCode};

use crate::support::Api;

const DIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../frontend/dist");

#[tokio::test]
async fn pages_are_html_with_strict_headers() {
    let api = Api::standalone().await;
    for path in ["/", "/monitors/1", "/index.html", "/some/deep/link"] {
        let page = api.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(page.header("cache-control"), "no-cache");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        let policy = page.header("content-security-policy");
        for part in ["default-src 'self'", "frame-ancestors 'none'", "connect-src 'self'", "object-src 'none'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe-eval") && !policy.contains("script-src"), "{policy}");
    }
    // The API's answers carry them too.
    let answer = api.get("/api/monitors").await;
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn files_are_kept_by_name_and_pages_by_tag() {
    let api = Api::standalone().await;
    let built = std::path::Path::new(DIST).join("index.html").exists();
    let page = api.get("/").await;
    if !built {
        assert!(page.text.contains("The dashboard is not part of this build"), "{}", page.text);
        return;
    }
    let tag = page.header("etag").to_owned();
    assert!(tag.len() > 10, "{tag}");
    let mut request = Request::builder().uri("/").body(Body::empty()).unwrap();
    request.headers_mut().insert("if-none-match", HeaderValue::from_str(&tag).unwrap());
    assert_eq!(api.send(request).await.status, StatusCode::NOT_MODIFIED);
    let assets = std::fs::read_dir(std::path::Path::new(DIST).join("assets")).unwrap();
    for asset in assets {
        let name = asset.unwrap().file_name().into_string().unwrap();
        if name.rsplit_once('.').is_some_and(|(_, kind)| kind == "map") {
            continue;
        }
        let file = api.get(&format!("/assets/{name}")).await;
        assert_eq!(file.status, StatusCode::OK, "{name}");
        assert_eq!(file.header("cache-control"), "public, max-age=31536000, immutable");
        if name.rsplit_once('.').is_some_and(|(_, kind)| kind == "js") {
            assert!(file.header("content-type").starts_with("text/javascript"), "{}", file.header("content-type"));
        }
    }
}

#[tokio::test]
async fn what_is_no_page_is_not_answered_with_one() {
    let api = Api::standalone().await;
    for path in ["/assets/gone-abc.js", "/assets/../../Cargo.toml", "/assets/"] {
        assert_eq!(api.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let mut request = Request::builder().uri("/picture").body(Body::empty()).unwrap();
    request.headers_mut().insert("accept", HeaderValue::from_static("image/png"));
    assert_eq!(api.send(request).await.status, StatusCode::NOT_FOUND);
    let outside = api.get("/../../Cargo.toml").await;
    assert!(!outside.text.contains("[package]"), "{}", outside.text);
    let posted = api.call(Method::POST, "/", None).await;
    assert_eq!(posted.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn answers_are_compressed_when_the_client_takes_it() {
    let api = Api::standalone().await;
    let mut request = Request::builder().uri("/api/openapi.json").body(Body::empty()).unwrap();
    request.headers_mut().insert("accept-encoding", HeaderValue::from_static("gzip"));
    let answer = api.send(request).await;
    assert_eq!(answer.header("content-encoding"), "gzip");
    assert_eq!(answer.header("vary").to_lowercase(), "accept-encoding");
}
