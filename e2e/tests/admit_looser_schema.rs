//! Objects that were stored under a looser schema still take status patches under today's: no rule may error, and none
//! may stand where a status write runs it again.

mod cases;

use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use kube::discovery::ApiResource;
use nanomon_crds::{Monitor, MonitorSpec};
use nanomon_e2e::{ControlPlane, eventually};
use serde_json::{Value, json};
use std::time::Duration;

/// Today's definition without any bound on the spec.
fn looser() -> Value {
    fn loosen(schema: &mut Value) {
        match schema {
            Value::Object(members) => {
                members.retain(|keyword, value| {
                    let bound = ["maxLength", "minLength", "maxItems", "minItems", "minimum", "maximum", "enum"];
                    // A property may be called like a keyword; a keyword's value is no schema.
                    let keyword_of_schema = !value.is_object();
                    let removed = bound.contains(&keyword.as_str()) || keyword.starts_with("x-kubernetes-");
                    !(keyword_of_schema && removed)
                });
                members.values_mut().for_each(loosen);
            }
            Value::Array(items) => items.iter_mut().for_each(loosen),
            _ => {}
        }
    }
    let mut crd = nanomon_crds::crd::monitor_crd();
    loosen(&mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]);
    crd
}

#[tokio::test]
async fn status_patches_pass_whatever_the_spec_holds() {
    // Its own control plane: the definition is exchanged under way.
    let plane = ControlPlane::start().await.unwrap();
    plane.apply(&[looser()]).await.unwrap();
    let namespace = plane.namespace("looser").await.unwrap();
    let resource = ApiResource::erase::<Monitor>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(plane.client().unwrap(), &namespace, &resource);

    // Only what our own types can hold: a looser schema of ours has the same shape.
    let specs: Vec<Value> = cases::refused()
        .into_iter()
        .map(|(spec, ..)| spec)
        .chain(cases::accepted())
        .filter(|spec| serde_json::from_value::<MonitorSpec>(spec.clone()).is_ok())
        .collect();
    assert!(specs.len() > 100);
    let object = |n: usize, spec: &Value| -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "nanomon.io/v1alpha1", "kind": "Monitor", "metadata": {"name": format!("m{n}")}, "spec": spec,
        }))
        .unwrap()
    };
    eventually("the looser definition is in force", Duration::from_secs(30), || async {
        Ok(api.create(&PostParams { dry_run: true, ..PostParams::default() }, &object(0, &json!({}))).await.ok())
    })
    .await
    .unwrap();
    for (n, spec) in specs.iter().enumerate() {
        api.create(&PostParams::default(), &object(n, spec)).await.unwrap_or_else(|e| panic!("{spec}: {e}"));
    }

    plane.install_definitions().await.unwrap();
    eventually("today's definition is in force", Duration::from_secs(30), || async {
        Ok(api.create(&PostParams { dry_run: true, ..PostParams::default() }, &object(9999, &json!({}))).await.err())
    })
    .await
    .unwrap();
    let mut failures = vec![];
    for (n, spec) in specs.iter().enumerate() {
        let name = format!("m{n}");
        let condition = json!({
            "type": "Accepted", "status": "False", "reason": "InvalidSpec", "message": "x", "observedGeneration": 1,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        });
        let status = json!({"status": {"observedGeneration": 1, "state": "Unknown", "conditions": [condition]}});
        if let Err(error) = api.patch_status(&name, &PatchParams::default(), &Patch::Merge(&status)).await {
            failures.push(format!("{spec}: {error}"));
        }
        // So do edits of something else, which is how a fault is labelled or annotated.
        let label = json!({"metadata": {"labels": {"seen": "true"}}});
        if let Err(error) = api.patch(&name, &PatchParams::default(), &Patch::Merge(&label)).await {
            failures.push(format!("label: {spec}: {error}"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    let listed = api.list(&ListParams::default().labels("seen=true")).await.unwrap();
    assert_eq!(listed.items.len(), specs.len());
}
