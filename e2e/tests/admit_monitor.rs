//! What a real API server takes and refuses, by field and sentence, and that the conversion judges alike.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod cases;

use std::collections::BTreeSet;

use anyhow::Result;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use kube::discovery::ApiResource;
use nanomon_crds::convert::convert;
use nanomon_crds::{Monitor, MonitorSpec};
use nanomon_e2e::ControlPlane;
use serde_json::{Value, json};

use cases::{accepted, refused};

/// A Monitor whose spec is this, unread by our types: the server must judge, not serde.
fn object(name: &str, spec: &Value) -> DynamicObject {
    let text =
        json!({"apiVersion": "nanomon.io/v1alpha1", "kind": "Monitor", "metadata": {"name": name}, "spec": spec});
    serde_json::from_value(text).unwrap()
}

fn api(plane: &ControlPlane, namespace: &str) -> Result<Api<DynamicObject>> {
    Ok(Api::namespaced_with(plane.client()?, namespace, &ApiResource::erase::<Monitor>(&())))
}

fn dry() -> PostParams {
    PostParams { dry_run: true, ..PostParams::default() }
}

/// `field: sentence` for each cause of a refusal; empty if the server takes the object.
async fn causes(api: &Api<DynamicObject>, spec: &Value) -> Vec<(String, String)> {
    match api.create(&dry(), &object("x", spec)).await {
        Ok(_) => vec![],
        Err(kube::Error::Api(status)) => {
            assert_eq!(status.code, 422, "{spec}: {status:?}");
            let causes = status.details.map(|details| details.causes).unwrap_or_default();
            causes.into_iter().map(|cause| (cause.field, cause.message)).collect()
        }
        Err(error) => panic!("{spec}: {error}"),
    }
}

#[tokio::test]
async fn good_specs_are_taken() {
    let plane = ControlPlane::shared().await;
    let namespace = plane.namespace("admit").await.unwrap();
    let api = api(plane, &namespace).unwrap();
    for spec in accepted() {
        assert_eq!(causes(&api, &spec).await, [], "{spec}");
        let typed: MonitorSpec = serde_json::from_value(spec.clone()).unwrap();
        if let Err(faults) = convert("x", &typed) {
            panic!("the server takes what the conversion refuses: {spec}: {faults}");
        }
    }
}

#[tokio::test]
async fn bad_specs_are_refused_with_field_and_sentence() {
    let plane = ControlPlane::shared().await;
    let namespace = plane.namespace("refuse").await.unwrap();
    let api = api(plane, &namespace).unwrap();
    for (spec, field, sentence) in refused() {
        let causes = causes(&api, &spec).await;
        let cut = spec.to_string().chars().take(300).collect::<String>();
        assert!(
            causes.iter().any(|(path, message)| path == field && message.contains(sentence)),
            "{cut}\nexpected {field}: {sentence}\nfound {causes:#?}"
        );
        // A file or an older schema does not pass the server: the conversion must refuse as well, at the same place.
        let Ok(typed) = serde_json::from_value::<MonitorSpec>(spec) else {
            continue;
        };
        let faults = convert("x", &typed).expect_err(&cut).0;
        assert!(
            faults.iter().any(|fault| field.starts_with(&fault.path) || fault.path.starts_with(field)),
            "{cut}\nthe conversion finds other faults: {faults:#?}"
        );
    }
}

/// Each rule of the schema has a case above that only this rule's sentence answers.
#[test]
fn every_rule_of_the_schema_is_tried() {
    fn sentences(schema: &Value, found: &mut BTreeSet<String>) {
        match schema {
            Value::Object(members) => {
                for rule in members.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
                    found.insert(rule["message"].as_str().expect("each rule has a sentence").to_owned());
                }
                members.values().for_each(|member| sentences(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| sentences(item, found)),
            _ => {}
        }
    }
    let mut all = BTreeSet::new();
    sentences(&nanomon_crds::crd::monitor_crd(), &mut all);
    assert!(all.len() > 25, "{all:#?}");
    let tried: Vec<_> = refused().into_iter().map(|(_, _, sentence)| sentence).collect();
    for sentence in all {
        assert!(tried.iter().any(|tried| sentence.contains(tried)), "no case is refused with: {sentence}");
    }
}

#[tokio::test]
async fn unknown_fields_are_refused_when_asked() {
    let plane = ControlPlane::shared().await;
    let namespace = plane.namespace("strict").await.unwrap();
    let api = api(plane, &namespace).unwrap();
    let spec = json!({"http": {"url": "http://a.example", "validateTls": false}});
    let params =
        PatchParams { dry_run: true, field_manager: Some("e2e".into()), ..PatchParams::default() }.validation_strict();
    let error = api.patch("x", &params.force(), &Patch::Apply(&object("x", &spec))).await.unwrap_err();
    assert!(error.to_string().contains("spec.http.validateTls"), "{error}");
}

#[tokio::test]
async fn defaults_are_visible_and_status_starts_unobserved() {
    let plane = ControlPlane::shared().await;
    let namespace = plane.namespace("defaults").await.unwrap();
    let api = api(plane, &namespace).unwrap();
    let made =
        api.create(&PostParams::default(), &object("x", &json!({"http": {"url": "http://a.example"}}))).await.unwrap();
    assert_eq!(
        made.data["spec"],
        json!({
            "group": "default", "interval": "30s", "suspend": false, "runnerPools": ["default"],
            "http": {"url": "http://a.example", "method": "GET", "validateTLS": true, "followRedirects": true},
        })
    );
    assert_eq!(made.data["status"], json!({"observedGeneration": -1}));
    let ping = api.create(&dry(), &object("y", &json!({"ping": {"host": "a"}}))).await.unwrap();
    assert_eq!(ping.data["spec"]["ping"], json!({"host": "a", "count": 3, "interval": "150ms"}));
    let dns = api.create(&dry(), &object("y", &json!({"dns": {"name": "a"}}))).await.unwrap();
    assert_eq!(dns.data["spec"]["dns"], json!({"name": "a", "recordType": "A", "network": "ip"}));
}

#[tokio::test]
async fn columns_are_printed_by_the_server() {
    let plane = ControlPlane::shared().await;
    let namespace = plane.namespace("columns").await.unwrap();
    let api = api(plane, &namespace).unwrap();
    api.create(&PostParams::default(), &object("x", &json!({"interval": "45s", "tcp": {"address": "a.example:1"}})))
        .await
        .unwrap();
    let condition = json!({
        "type": "Ready", "status": "True", "reason": "Running", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    let status = json!({"status": {
        "state": "Error", "type": "tcp", "target": "a.example:1", "lastValue": "12.5", "failureReason": "rule_false",
        "since": "2026-01-01T00:00:00Z", "conditions": [condition],
    }});
    api.patch_status("x", &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();

    let request = http::Request::get(format!("/apis/nanomon.io/v1alpha1/namespaces/{namespace}/monitors"))
        .header("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
        .body(vec![])
        .unwrap();
    let table: Value = plane.client().unwrap().request(request).await.unwrap();
    let columns: Vec<(String, u64)> = table["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["name"].as_str().unwrap().to_uppercase(), c["priority"].as_u64().unwrap()))
        .collect();
    let names = |priority| columns.iter().filter(|c| c.1 == priority).map(|c| c.0.as_str()).collect::<Vec<_>>();
    assert_eq!(names(0), ["NAME", "STATE", "READY", "TYPE", "TARGET", "VALUE", "AGE"]);
    assert_eq!(names(1), ["INTERVAL", "REASON", "SINCE"]);
    let cells = table["rows"][0]["cells"].as_array().unwrap();
    assert_eq!(cells[..6], json!(["x", "Error", "True", "tcp", "a.example:1", "12.5"]).as_array().unwrap()[..]);
    assert_eq!(cells[7..9], json!(["45s", "rule_false"]).as_array().unwrap()[..]);

    let found =
        api.list(&kube::api::ListParams::default().fields("status.state=Error,spec.group=default")).await.unwrap();
    assert_eq!(found.items.len(), 1);
    let short = plane.client().unwrap().list_api_group_resources("nanomon.io/v1alpha1").await.unwrap();
    let monitors = short.resources.iter().find(|r| r.name == "monitors").unwrap();
    assert_eq!(monitors.short_names.as_deref(), Some(&["nmon".to_owned()][..]));
    assert_eq!(monitors.categories.as_deref(), Some(&["nanomon".to_owned()][..]));
}
