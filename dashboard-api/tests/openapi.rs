//! The committed OpenAPI document is the one that this code makes.

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
