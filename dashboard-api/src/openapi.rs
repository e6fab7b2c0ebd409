//! The OpenAPI document: made from the handlers and, for `MonitorSpec`, from the CustomResourceDefinition.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::{FieldProblem, Problem};
use crate::routes::{import, manifest, monitors, probes, results, rules, series, system};
use crate::state::AppState;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "NanoMon",
        description = "Monitors, their results and their present state. Every refusal is a problem document (RFC 9457)."
    ),
    components(schemas(Problem, FieldProblem)),
    tags(
        (name = "monitors", description = "Definitions and present state"),
        (name = "results", description = "What runs found, over time"),
        (name = "probes", description = "Run now and drafts"),
        (name = "rules", description = "Help for authors of rules"),
        (name = "system", description = "Health, configuration and this document")
    )
)]
struct Document;

/// A monitor on write: either `spec`, or the reference's `type`, `target` and `properties`. A client may send back what it
/// got; then the form that it changed is meant.
#[derive(ToSchema)]
#[schema(as = MonitorInput)]
#[expect(dead_code, reason = "its fields are read one by one, so that a fault names its field")]
pub struct MonitorInputDoc {
    /// The display name.
    #[schema(nullable = false)]
    name: Option<String>,
    /// The namespace; else `?namespace=`, else the default namespace.
    #[schema(nullable = false)]
    namespace: Option<String>,
    /// The object's name; made from `name` if absent. Cannot be changed.
    #[schema(rename = "objectName", nullable = false)]
    object_name: Option<String>,
    /// Labels of the object; those that stand are kept if absent.
    #[schema(nullable = false)]
    labels: Option<BTreeMap<String, String>>,
    /// The definition in the form that `kubectl apply` takes.
    #[schema(schema_with = monitor_spec_ref, required = false)]
    spec: Option<Value>,
    /// `http`, `tcp`, `ping` or `dns`.
    #[schema(rename = "type", nullable = false)]
    kind: Option<String>,
    /// Time between two runs, such as `30s`.
    #[schema(nullable = false)]
    interval: Option<String>,
    /// URL, `host:port`, host or name.
    #[schema(nullable = false)]
    target: Option<String>,
    /// The rule.
    #[schema(nullable = false)]
    rule: Option<String>,
    /// False: suspended.
    #[schema(nullable = false)]
    enabled: Option<bool>,
    /// Group on the dashboard.
    #[schema(nullable = false)]
    group: Option<String>,
    /// The type's other settings, as texts.
    #[schema(nullable = false)]
    properties: Option<BTreeMap<String, String>>,
}

/// The schema of a spec stands in the document once.
pub fn monitor_spec_ref() -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name("MonitorSpec"))
}

/// All routes of the API, with their documentation.
pub fn api_router() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(monitors::list_monitors, monitors::create_monitor, monitors::delete_monitors))
        .routes(routes!(monitors::get_monitor, monitors::replace_monitor, monitors::delete_monitor))
        .routes(routes!(results::list_monitor_results))
        .routes(routes!(series::get_series))
        .routes(routes!(series::get_uptime))
        .routes(routes!(manifest::get_manifest))
        .routes(routes!(results::list_results, results::delete_results))
        .routes(routes!(probes::run_monitor))
        .routes(routes!(probes::probe_draft))
        .routes(routes!(probes::get_probe))
        .routes(routes!(rules::check_rule))
        .routes(routes!(rules::list_outputs))
        .routes(routes!(system::get_overview))
        .routes(routes!(system::get_health))
        .routes(routes!(system::get_status))
        .routes(routes!(system::get_config))
        .routes(routes!(system::get_openapi))
}

/// The route that takes large bodies.
pub fn import_router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(import::import_monitors))
}

/// The document as JSON with a line's end, the same for the same build.
pub fn openapi_json() -> String {
    let document = api_router().merge(import_router()).into_openapi();
    let mut document = serde_json::to_value(document).unwrap_or_default();
    document["info"]["version"] = json!("v1");
    if let Some(info) = document["info"].as_object_mut() {
        info.remove("contact");
        info.insert("license".to_owned(), json!({"name": "Apache-2.0"}));
    }
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.insert("MonitorSpec".to_owned(), monitor_spec_schema());
        let mut sorted: Map<String, Value> = Map::new();
        let mut names: Vec<String> = schemas.keys().cloned().collect();
        names.sort();
        for name in names {
            if let Some(schema) = schemas.remove(&name) {
                sorted.insert(name, schema);
            }
        }
        *schemas = sorted;
    }
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

/// The CRD's schema of `spec`, without Kubernetes' extensions.
fn monitor_spec_schema() -> Value {
    let crd = nanomon_crds::crd::monitor_crd();
    let mut schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone();
    plain_json_schema(&mut schema);
    schema
}

fn plain_json_schema(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.retain(|name, _| !name.starts_with("x-kubernetes-"));
            // OpenAPI 3.1 has no `nullable`; our API takes an absent field for it.
            fields.remove("nullable");
            fields.values_mut().for_each(plain_json_schema);
        }
        Value::Array(items) => items.iter_mut().for_each(plain_json_schema),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
