//! Who owns an object: a tool that would undo whatever is changed behind its back.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Annotation by which an owner says that the dashboard may edit all the same.
const DASHBOARD_EDITS: &str = "nanomon.io/dashboard-edits";

/// Field managers of tools that write specs from elsewhere.
const MANAGERS: [(&str, &str); 4] = [
    ("argocd-controller", "Argo CD"),
    ("kustomize-controller", "Flux (kustomize-controller)"),
    ("helm-controller", "Flux (helm-controller)"),
    ("helm", "Helm"),
];

/// The owner of an object in words, if a tool owns it. `app.kubernetes.io/instance` and `managed-by` prove nothing, since
/// people write them by hand.
pub fn owner_of(metadata: &ObjectMeta) -> Option<String> {
    let annotation = |key: &str| metadata.annotations.as_ref()?.get(key).filter(|value| !value.is_empty());
    let label = |key: &str| metadata.labels.as_ref()?.get(key).filter(|value| !value.is_empty());
    if annotation(DASHBOARD_EDITS).is_some_and(|value| value == "allow") {
        return None;
    }
    if let Some(id) = annotation("argocd.argoproj.io/tracking-id") {
        // <application>:<group>/<kind>:<namespace>/<name>
        let application = id.split(':').next().unwrap_or(id);
        return Some(format!("the Argo CD application {application}"));
    }
    if let Some(name) = label("kustomize.toolkit.fluxcd.io/name") {
        return Some(format!("the Flux Kustomization {name}"));
    }
    if let Some(name) = label("helm.toolkit.fluxcd.io/name") {
        return Some(format!("the Flux HelmRelease {name}"));
    }
    if let Some(name) = annotation("meta.helm.sh/release-name") {
        return Some(format!("the Helm release {name}"));
    }
    let owner = metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    if let Some(owner) = owner {
        return Some(format!("the {} {}", owner.kind, owner.name));
    }
    metadata.managed_fields.iter().flatten().find_map(|fields| {
        let manager = fields.manager.as_deref()?;
        let (_, tool) = MANAGERS.iter().find(|(name, _)| *name == manager)?;
        let owns_spec = fields.fields_v1.as_ref().is_some_and(|fields| fields.0.get("f:spec").is_some());
        (owns_spec && fields.subresource.is_none()).then(|| (*tool).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn owner(metadata: serde_json::Value) -> Option<String> {
        owner_of(&serde_json::from_value(metadata).unwrap())
    }

    #[test]
    fn tools_are_recognised() {
        for (metadata, want) in [
            (
                json!({"annotations": {"argocd.argoproj.io/tracking-id": "shop:nanomon.io/Monitor:shop/home"}}),
                "the Argo CD application shop",
            ),
            (json!({"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}), "the Flux Kustomization apps"),
            (json!({"labels": {"helm.toolkit.fluxcd.io/name": "shop"}}), "the Flux HelmRelease shop"),
            (json!({"annotations": {"meta.helm.sh/release-name": "shop"}}), "the Helm release shop"),
            (
                json!({"ownerReferences": [{"apiVersion": "v1", "kind": "Shop", "name": "s", "uid": "1", "controller": true}]}),
                "the Shop s",
            ),
            (
                json!({"managedFields": [{"manager": "kustomize-controller", "fieldsV1": {"f:spec": {"f:interval": {}}}}]}),
                "Flux (kustomize-controller)",
            ),
        ] {
            assert_eq!(owner(metadata.clone()).as_deref(), Some(want), "{metadata}");
        }
    }

    #[test]
    fn lookalikes_are_editable() {
        for metadata in [
            json!({}),
            json!({"labels": {"app.kubernetes.io/instance": "shop", "app.kubernetes.io/managed-by": "Helm"}}),
            json!({"ownerReferences": [{"apiVersion": "v1", "kind": "Shop", "name": "s", "uid": "1"}]}),
            json!({"managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}]}),
            json!({"managedFields": [{"manager": "helm", "fieldsV1": {"f:metadata": {}}}]}),
            json!({"managedFields": [{"manager": "argocd-controller", "subresource": "status", "fieldsV1": {"f:spec": {}}}]}),
            json!({"annotations": {"meta.helm.sh/release-name": "shop", "nanomon.io/dashboard-edits": "allow"}}),
        ] {
            assert_eq!(owner(metadata.clone()), None, "{metadata}");
        }
    }
}
