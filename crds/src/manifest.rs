//! Monitors as people write them in files: one or more YAML (or JSON) documents.
//!
//! [`read`] judges a file as the API server and the operator together would: unknown fields, wrong types and missing
//! fields by the schema, everything else by [`crate::convert`], each fault with the line and column of its field.

mod node;
mod schema;

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use nanomon_core::MonitorDef;
use serde_json::Value;

use crate::v1alpha1::monitor::{Monitor, MonitorSpec};
use crate::{API_VERSION, convert};
use node::{Node, Tree};

/// A place in a file; both counted from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// Line.
    pub line: u32,
    /// Column in characters.
    pub column: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A Monitor that was read and is valid.
#[derive(Clone, Debug)]
pub struct Document {
    /// The object; its namespace is as written, possibly none.
    pub monitor: Monitor,
    /// What it means.
    pub def: MonitorDef,
    /// Where it begins.
    pub location: Location,
}

impl Document {
    /// The object's name.
    pub fn name(&self) -> &str {
        self.monitor.metadata.name.as_deref().unwrap_or_default()
    }

    /// The object's namespace, `default` if none is written.
    pub fn namespace(&self) -> &str {
        self.monitor.metadata.namespace.as_deref().unwrap_or("default")
    }
}

/// A fault in a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{location}: {}{message}", prefix(path))]
pub struct ManifestError {
    /// Where the fault, or the object that has it, stands.
    pub location: Location,
    /// The field, such as `spec.http.url`; empty if the fault is not of one field.
    pub path: String,
    /// A sentence.
    pub message: String,
}

fn prefix(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}

/// What a file holds.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// The valid Monitors, in the order of the file.
    pub documents: Vec<Document>,
    /// All faults, in the order of the file. A document with a fault is not in `documents`.
    pub errors: Vec<ManifestError>,
}

/// Bytes of a file that are looked at; a larger one is refused.
pub const FILE_BYTES: usize = 16 * 1024 * 1024;

/// Reads a file's text. A file of comments only holds nothing and has no fault.
pub fn read(text: &str) -> Manifest {
    let mut manifest = Manifest::default();
    if text.len() > FILE_BYTES {
        manifest.errors.push(ManifestError {
            location: Location { line: 1, column: 1 },
            path: String::new(),
            message: format!("the file is larger than {} MiB", FILE_BYTES / 1024 / 1024),
        });
        return manifest;
    }
    match node::parse(text) {
        Ok(nodes) => nodes.into_iter().for_each(|node| read_object(node, &mut manifest)),
        Err(error) => manifest.errors.push(error),
    }
    refuse_twins(&mut manifest);
    manifest
}

/// Two objects of one name in one file are a slip: the later one would silently win.
fn refuse_twins(manifest: &mut Manifest) {
    let mut seen: BTreeMap<(String, String), Location> = BTreeMap::new();
    let errors = &mut manifest.errors;
    manifest.documents.retain(|document| {
        let key = (document.namespace().to_owned(), document.name().to_owned());
        if let Some(first) = seen.get(&key) {
            errors.push(ManifestError {
                location: document.location,
                path: "metadata.name".to_owned(),
                message: format!("Monitor {}/{} stands already at line {}", key.0, key.1, first.line),
            });
            return false;
        }
        seen.insert(key, document.location);
        true
    });
    errors.sort_by_key(|error| error.location);
}

fn read_object(node: Node, manifest: &mut Manifest) {
    let Tree::Map(_) = &node.tree else {
        return manifest
            .errors
            .push(node.fault("", "the document must be an object with apiVersion, kind, metadata and spec"));
    };
    let text = |field: &str| node.get(field).and_then(Node::text).unwrap_or_default();
    match (text("apiVersion"), text("kind")) {
        ("v1", "List") => {
            let fault = node.fault("items", "items must be a list of Monitors");
            match node.take("items").map(|items| items.tree) {
                Some(Tree::List(items)) => items.into_iter().for_each(|item| read_object(item, manifest)),
                Some(_) | None => manifest.errors.push(fault),
            }
        }
        (API_VERSION, "Monitor") => match read_monitor(&node) {
            Ok(document) => manifest.documents.push(document),
            Err(errors) => manifest.errors.extend(errors),
        },
        (_, "") => manifest.errors.push(node.fault("kind", format!("kind is missing; {EXPECTED}"))),
        ("", _) => manifest.errors.push(node.fault("apiVersion", format!("apiVersion is missing; {EXPECTED}"))),
        (version, "Monitor") => {
            let message = format!("apiVersion {version:?} is unknown for a Monitor; {EXPECTED}");
            manifest.errors.push(node.fault("apiVersion", message));
        }
        (version, kind) => {
            let message = format!("kind {kind:?} of {version:?} is not read here; {EXPECTED}");
            manifest.errors.push(node.fault("kind", message));
        }
    }
}

const EXPECTED: &str = "expected is kind: Monitor with apiVersion: nanomon.io/v1alpha1";

fn read_monitor(node: &Node) -> Result<Document, Vec<ManifestError>> {
    let mut errors = schema::check(node);
    if !errors.is_empty() {
        errors.sort_by_key(|error| error.location);
        return Err(errors);
    }
    let typed = |field: &str| node.get(field).map(Node::to_json).unwrap_or_default();
    let metadata: ObjectMeta =
        serde_json::from_value(typed("metadata")).map_err(|error| vec![node.fault("metadata", error.to_string())])?;
    let spec: MonitorSpec =
        serde_json::from_value(typed("spec")).map_err(|error| vec![node.fault("spec", error.to_string())])?;
    let name = metadata.name.clone().unwrap_or_default();
    let def = convert::convert(&name, &spec)
        .map_err(|faults| faults.0.into_iter().map(|e| node.fault(&e.path, e.message)).collect::<Vec<_>>())?;
    Ok(Document { monitor: Monitor { metadata, spec, status: None }, def, location: node.location })
}

/// Writes Monitors as YAML documents that [`read`] and `kubectl apply` take, without status, server-set metadata and
/// fields that have their default.
pub fn write<'a>(monitors: impl IntoIterator<Item = &'a Monitor>) -> String {
    let mut text = String::new();
    for monitor in monitors {
        if !text.is_empty() {
            text.push_str("---\n");
        }
        text.push_str(&serde_saphyr::to_string(&written_form(monitor)).unwrap_or_default());
    }
    text
}

fn written_form(monitor: &Monitor) -> node::Ordered {
    let ObjectMeta { name, namespace, labels, annotations, .. } = &monitor.metadata;
    let mut metadata = vec![("name", Value::from(name.clone().unwrap_or_default()))];
    if let Some(namespace) = namespace {
        metadata.push(("namespace", Value::from(namespace.clone())));
    }
    for (field, map) in [("labels", labels), ("annotations", annotations)] {
        let kept: serde_json::Map<String, Value> = map
            .iter()
            .flatten()
            .filter(|(key, _)| *key != "kubectl.kubernetes.io/last-applied-configuration")
            .map(|(key, value)| (key.clone(), Value::from(value.clone())))
            .collect();
        if !kept.is_empty() {
            metadata.push((field, Value::Object(kept)));
        }
    }
    let mut spec = serde_json::to_value(&monitor.spec).unwrap_or_default();
    schema::drop_defaults(&mut spec);
    node::Ordered::object([
        ("apiVersion", node::Ordered::from(Value::from(API_VERSION))),
        ("kind", node::Ordered::from(Value::from("Monitor"))),
        ("metadata", node::Ordered::object(metadata.into_iter().map(|(k, v)| (k, v.into())))),
        ("spec", schema::in_schema_order(spec)),
    ])
}

#[cfg(test)]
#[path = "manifest/tests.rs"]
mod tests;
