//! An object that does not even have the shape of a Monitor is one object, not the end of the watch.

use std::time::Duration;

use kube::Api;
use kube::api::PostParams;
use kube::core::DynamicObject;
use kube::discovery::ApiResource;
use nanomon_crds::Monitor;
use nanomon_crds::conditions::types;
use nanomon_e2e::eventually;
use nanomon_e2e::stage::{PATIENCE, Stage};
use serde_json::json;

#[tokio::test]
async fn it_is_refused_and_the_others_work() {
    // The only test of this process: the definition of its control plane is exchanged.
    let stage = Stage::new().await.unwrap();
    let mut crd = nanomon_crds::crd::monitor_crd();
    let schema = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    schema["properties"]["spec"]["properties"]["http"] = json!({"x-kubernetes-preserve-unknown-fields": true});
    schema["properties"]["spec"]["x-kubernetes-validations"] = json!([]);
    stage.plane.apply(&[crd]).await.unwrap();
    let resource = ApiResource::erase::<Monitor>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(stage.plane.client().unwrap(), &stage.namespace, &resource);
    let object: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "nanomon.io/v1alpha1", "kind": "Monitor", "metadata": {"name": "odd"}, "spec": {"http": "text"},
    }))
    .unwrap();
    eventually("the looser definition is in force", Duration::from_secs(30), || async {
        Ok(api.create(&PostParams::default(), &object).await.ok())
    })
    .await
    .unwrap();

    let _operator = stage.operator.start().unwrap();
    stage.create("good").await.unwrap();
    stage.row_when("good", "there", |_| true).await.unwrap();
    let accepted = eventually("it is told", PATIENCE, || async {
        let odd = api.get("odd").await?;
        let conditions = odd.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
        Ok(conditions.into_iter().find(|c| c["type"] == types::ACCEPTED))
    })
    .await
    .unwrap();
    assert_eq!((accepted["status"].as_str(), accepted["reason"].as_str()), (Some("False"), Some("InvalidSpec")));
    assert!(accepted["message"].as_str().unwrap().starts_with("the object cannot be read"), "{accepted}");
}
