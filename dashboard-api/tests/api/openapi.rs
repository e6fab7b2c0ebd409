//! The committed OpenAPI document is the one that this code makes, and the browsable page asks nobody else.

use crate::support::Api;

#[test]
fn the_committed_document_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let made = nanomon_dashboard_api::openapi_json();
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == made,
        "dashboard-api/openapi.json is stale; write it anew with `nanomon openapi > dashboard-api/openapi.json`"
    );
}

#[tokio::test]
async fn the_document_is_served() {
    let api = Api::standalone().await;
    let answer = api.get("/api/openapi.json").await;
    assert_eq!(answer.text, nanomon_dashboard_api::openapi_json());
}

/// The page works without the internet: what it loads is relative, and the initialiser points at our own document.
#[tokio::test]
async fn the_browsable_page_asks_no_third_party() {
    let api = Api::standalone().await;
    let page = api.get("/api/docs/").await;
    assert_eq!(page.status, 200, "{page:?}");
    let loads = |text: &str| -> Vec<String> {
        let attributes = text.split(['<', ' ', '\n']).filter_map(|word| {
            let rest = word.strip_prefix("src=\"").or_else(|| word.strip_prefix("href=\""))?;
            rest.split('"').next().map(str::to_owned)
        });
        attributes.collect()
    };
    let parts = loads(&page.text);
    assert!(parts.len() >= 4, "{parts:?}");
    for part in &parts {
        assert!(!part.contains("//"), "{part}");
        let name = part.trim_start_matches("./");
        let answer = api.get(&format!("/api/docs/{name}")).await;
        assert_eq!(answer.status, 200, "{part}");
    }
    let script = api.get("/api/docs/swagger-initializer.js").await;
    assert!(script.text.contains("/api/openapi.json"), "{}", script.text);
    assert!(!script.text.contains("petstore"), "{}", script.text);
    assert!(script.text.contains(r#""validatorUrl": "none""#), "{}", script.text);
    assert!(page.header("content-security-policy").contains("default-src 'self'"));
}
