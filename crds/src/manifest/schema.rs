//! Judging a document by the schema that the API server gets: unknown fields, wrong types, missing fields.

use std::sync::LazyLock;

use serde_json::Value;

use super::ManifestError;
use super::node::{Node, Ordered, Tree};
use crate::crd;

static SCHEMA: LazyLock<Value> =
    LazyLock::new(|| crd::monitor_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"].take());

/// Fields of `metadata` that a file may have; the server's own are read and mean nothing.
const METADATA: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// The faults of a Monitor's document that the schema shows. `status` is not looked at.
pub(super) fn check(document: &Node) -> Vec<ManifestError> {
    let mut faults = Vec::new();
    let Tree::Map(members) = &document.tree else {
        return faults;
    };
    for (key, node) in members {
        match key.name.as_str() {
            "apiVersion" | "kind" | "status" => {}
            "metadata" => check_metadata(document, node, &mut faults),
            "spec" => check_value(document, node, &SCHEMA["properties"]["spec"], "spec", &mut faults),
            other => faults.push(document.fault(other, format!("{other} is no field of a Monitor"))),
        }
    }
    if document.get("metadata").is_none() {
        faults.push(document.fault("", "metadata is missing"));
    }
    if document.get("spec").is_none() {
        faults.push(document.fault("", "spec is missing"));
    }
    faults
}

fn check_metadata(document: &Node, metadata: &Node, faults: &mut Vec<ManifestError>) {
    let Tree::Map(members) = &metadata.tree else {
        return faults.push(document.fault("metadata", "metadata must be an object"));
    };
    for (key, _) in members {
        if !METADATA.contains(&key.name.as_str()) {
            let path = format!("metadata.{}", key.name);
            faults.push(document.fault(&path, format!("{} is no field of metadata", key.name)));
        }
    }
    match metadata.get("name").map(|node| (node.text(), node)) {
        None => faults.push(document.fault("metadata.name", "name is missing")),
        Some((Some(name), _)) if is_object_name(name) => {}
        Some(_) => faults.push(document.fault(
            "metadata.name",
            "name must consist of lower-case letters, digits, hyphens and dots, 253 characters at most, as in shop-home",
        )),
    }
    if let Some(node) = metadata.get("namespace")
        && !node.text().is_some_and(|text| crate::grammar::IS_POOL_NAME.matches(text))
    {
        faults.push(document.fault(
            "metadata.namespace",
            "namespace must consist of lower-case letters, digits and hyphens, 63 characters at most",
        ));
    }
    for field in ["labels", "annotations"] {
        let Some(map) = metadata.get(field) else { continue };
        let texts = match &map.tree {
            Tree::Map(members) => members.iter().all(|(_, node)| node.text().is_some()),
            _ => false,
        };
        if !texts {
            let path = format!("metadata.{field}");
            faults.push(document.fault(&path, format!("{field} must be an object of texts (numbers in quotes)")));
        }
    }
}

/// A DNS subdomain, what Kubernetes takes for an object's name.
fn is_object_name(name: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    name.len() <= 253
        && name.split('.').all(|label| {
            edge(label.chars().next())
                && edge(label.chars().last())
                && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        })
}

fn check_value(document: &Node, node: &Node, schema: &Value, path: &str, faults: &mut Vec<ManifestError>) {
    let field = path.rsplit('.').next().unwrap_or(path);
    let mut fault = |message: String| faults.push(document.fault(path, message));
    match (schema["type"].as_str().unwrap_or_default(), &node.tree) {
        ("object", Tree::Map(members)) => {
            let properties = &schema["properties"];
            for (key, member) in members {
                let path = format!("{path}.{}", key.name);
                let known = &properties[key.name.as_str()];
                if known.is_null() {
                    let near = nearest(&key.name, properties);
                    faults.push(document.fault(&path, format!("{} is no field of {field}{near}", key.name)));
                } else if !member.is_null() {
                    check_value(document, member, known, &path, faults);
                }
            }
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if node.get(name).is_none() {
                    faults.push(document.fault(path, format!("{name} is missing")));
                }
            }
        }
        ("array", Tree::List(items)) => {
            for (i, item) in items.iter().enumerate() {
                check_value(document, item, &schema["items"], &format!("{path}[{i}]"), faults);
            }
        }
        ("string", Tree::Scalar(Value::String(text))) => {
            let allowed: Vec<&str> =
                schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            if !allowed.is_empty() && !allowed.contains(&text.as_str()) {
                fault(format!("{field} must be one of {}", allowed.join(", ")));
            }
        }
        ("boolean", Tree::Scalar(Value::Bool(_))) => {}
        ("integer", Tree::Scalar(Value::Number(number)))
            if number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => {}
        (wanted, _) => {
            let wanted = match wanted {
                "object" => "an object",
                "array" => "a list",
                "string" => "a text (in quotes, if it looks like a number or true/false)",
                "boolean" => "true or false",
                _ => "a whole number",
            };
            fault(format!("{field} must be {wanted}"));
        }
    }
}

/// `; did you mean x?` if a field's name is nearly the written one.
fn nearest(written: &str, properties: &Value) -> String {
    let names = properties.as_object().into_iter().flat_map(|map| map.keys());
    names
        .map(|name| (distance(&written.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 2 && distance * 2 < name.len())
        .min()
        .map_or_else(String::new, |(_, name)| format!("; did you mean {name}?"))
}

/// Levenshtein's distance. Names are short: a longer one is never near.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 40 || b.len() > 40 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.chars().enumerate() {
            let substitute = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

/// Removes members of a spec that equal the schema's default; the interval stays, because people want to see it.
pub(super) fn drop_defaults(spec: &mut Value) {
    drop_defaults_in(spec, &SCHEMA["properties"]["spec"], true);
}

fn drop_defaults_in(value: &mut Value, schema: &Value, top: bool) {
    let Value::Object(members) = value else { return };
    members.retain(|name, member| {
        let known = &schema["properties"][name.as_str()];
        drop_defaults_in(member, known, false);
        (top && name == "interval") || known["default"].is_null() || known["default"] != *member
    });
}

/// The order in which a spec's members are written: who it is, how often, what, how it is judged.
const ORDER: [&str; 22] = [
    "displayName",
    "group",
    "interval",
    "suspend",
    "http",
    "tcp",
    "ping",
    "dns",
    "rule",
    "runnerPools",
    "url",
    "address",
    "host",
    "name",
    "value",
    "method",
    "recordType",
    "server",
    "network",
    "count",
    "timeout",
    "headers",
];

/// The spec with its members in the order of the documentation.
pub(super) fn in_schema_order(value: Value) -> Ordered {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(String, Value)> = members.into_iter().collect();
            members.sort_by_key(|(name, _)| ORDER.iter().position(|known| known == name).unwrap_or(ORDER.len()));
            Ordered::Object(members.into_iter().map(|(name, value)| (name, in_schema_order(value))).collect())
        }
        Value::Array(items) => Ordered::List(items.into_iter().map(in_schema_order).collect()),
        scalar => Ordered::Value(scalar),
    }
}
