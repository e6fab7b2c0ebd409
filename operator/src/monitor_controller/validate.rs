//! Judging an object: pure.

use nanomon_core::MonitorDef;
use nanomon_crds::conditions::reasons;
use nanomon_crds::{Fault, Monitor, MonitorStatus, convert, owner};
use serde_json::{Value, json};
use uuid::Uuid;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::objects::Key;

/// Annotation with the id that the API drew before it made the object.
pub(crate) const ID: &str = "nanomon.io/id";
/// Annotation whose change asks for a run at once.
pub(crate) const RUN_NOW: &str = "nanomon.io/run-now";

/// A Monitor as far as the operator needs it.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub key: Key,
    pub uid: Uuid,
    pub generation: i64,
    /// What the spec means, or why it is refused.
    pub judged: Result<Valid, Refusal>,
    /// An id drawn before, to be believed only if it was.
    pub id_hint: Option<i32>,
    /// What the API shows beside the spec.
    pub meta: Value,
    /// The token of the annotation [`RUN_NOW`].
    pub run_now: Option<String>,
    /// The status in the API server.
    pub status: MonitorStatus,
    /// The resource version that carries it.
    pub version: u64,
}

/// A spec that can run.
#[derive(Clone, Debug)]
pub(crate) struct Valid {
    pub spec: Value,
    pub def: MonitorDef,
}

/// Why a spec cannot run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The reason of the conditions.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
}

/// Judges a Monitor; `None` for one without name, namespace or uid, which the API server never sends.
pub(crate) fn judge(monitor: &Monitor) -> Option<Object> {
    let spec = &monitor.spec;
    let name = monitor.metadata.name.as_deref()?;
    let judged = match convert::convert(name, spec) {
        Ok(def) => serde_json::to_value(spec)
            .map(|spec| Valid { spec, def })
            .map_err(|error| Refusal { reason: reasons::INVALID_SPEC, message: error.to_string() }),
        Err(faults) => {
            let reason = match faults.fault() {
                Fault::Invalid => reasons::INVALID_SPEC,
                Fault::InvalidRule => reasons::INVALID_RULE,
            };
            Err(Refusal { reason, message: faults.to_string() })
        }
    };
    object(&monitor.metadata, judged, monitor.status.clone().unwrap_or_default())
}

/// An object that does not even have the shape of a Monitor (stored under another schema).
pub(crate) fn judge_malformed(metadata: &ObjectMeta, error: &str) -> Option<Object> {
    let message = format!("the object cannot be read: {}", error.chars().take(500).collect::<String>());
    object(metadata, Err(Refusal { reason: reasons::INVALID_SPEC, message }), MonitorStatus::default())
}

fn object(metadata: &ObjectMeta, judged: Result<Valid, Refusal>, status: MonitorStatus) -> Option<Object> {
    let annotation = |key: &str| metadata.annotations.as_ref()?.get(key).filter(|value| !value.is_empty());
    let owner = owner::owner_of(metadata).map_or_else(|| json!({}), |owner| json!({"owner": owner}));
    Some(Object {
        key: Key { namespace: metadata.namespace.clone()?, name: metadata.name.clone()? },
        uid: metadata.uid.as_deref()?.parse().ok()?,
        generation: metadata.generation.unwrap_or_default(),
        judged,
        id_hint: annotation(ID).and_then(|text| text.parse().ok()),
        meta: json!({"labels": metadata.labels.clone().unwrap_or_default(), "managedBy": owner}),
        run_now: annotation(RUN_NOW).map(|token| token.chars().take(128).collect()),
        status,
        version: crate::status_writer::version(metadata.resource_version.as_deref()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "json!(…) reads better at the call")]
    fn monitor(spec: Value) -> Monitor {
        let metadata = json!({
            "name": "shop-home", "namespace": "shop", "uid": "6b5a3c1e-0000-4000-8000-000000000001", "generation": 3,
            "labels": {"team": "web"}, "annotations": {"nanomon.io/id": "17", "meta.helm.sh/release-name": "shop"},
        });
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    #[test]
    fn a_good_monitor_is_ready_to_be_stored() {
        let object = judge(&monitor(json!({"ping": {"host": "a.example"}}))).unwrap();
        assert_eq!((object.generation, object.id_hint), (3, Some(17)));
        assert_eq!(object.meta, json!({"labels": {"team": "web"}, "managedBy": {"owner": "the Helm release shop"}}));
        assert_eq!(object.judged.unwrap().def.display_name, "shop-home");
    }

    #[test]
    fn faults_have_their_reason() {
        let refusal = |spec| judge(&monitor(spec)).unwrap().judged.unwrap_err();
        let rule = refusal(json!({"ping": {"host": "a.example"}, "rule": "avgRtt <"}));
        assert_eq!(rule.reason, "InvalidRule");
        assert!(rule.message.starts_with("spec.rule: rule does not compile"), "{}", rule.message);
        let spec = refusal(json!({"interval": "1ms", "ping": {"host": "a.example"}, "rule": "avgRtt <"}));
        assert_eq!(spec.reason, "InvalidSpec");
        assert!(spec.message.contains("spec.interval: interval must be between 1s and 24h"), "{}", spec.message);
    }
}
