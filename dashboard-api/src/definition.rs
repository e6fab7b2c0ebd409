//! From a request's JSON to a valid definition. What is valid, and in which words it is not, is `nanomon_crds`'s.

use std::collections::BTreeMap;

use nanomon_core::MonitorDef;
use nanomon_crds::legacy::{self, LegacyError, LegacyMonitor};
use nanomon_crds::{API_VERSION, MonitorSpec, manifest, object_name_for};
use serde_json::{Map, Value, json};

use crate::error::{ApiError, ApiResult, FieldProblem};

/// Fields of the reference's form besides `name`; with one of them the form is meant.
const FORM_FIELDS: [&str; 7] = ["type", "interval", "target", "rule", "enabled", "group", "properties"];
/// Most labels that a request may set.
const LABELS: usize = 50;

/// A valid definition.
#[derive(Clone, Debug)]
pub struct Definition {
    /// As the user wrote it, defaults filled in.
    pub spec: MonitorSpec,
    /// What it means.
    pub def: MonitorDef,
}

impl Definition {
    /// The spec as it is stored.
    pub fn spec_json(&self) -> Value {
        serde_json::to_value(&self.spec).unwrap_or_default()
    }
}

/// A definition together with where it is to live.
#[derive(Clone, Debug)]
pub struct MonitorInput {
    /// What is to be probed.
    pub definition: Definition,
    /// The namespace, if the request names one.
    pub namespace: Option<String>,
    /// The object's name, if the request names one; else it is made from the display name.
    pub object_name: Option<String>,
    /// Labels, if the request sets them.
    pub labels: Option<BTreeMap<String, String>>,
}

/// What stands at present, for a request that replaces it.
#[derive(Clone, Copy, Debug)]
pub struct Current<'a> {
    /// The object's name.
    pub name: &'a str,
    /// Its spec.
    pub spec: &'a MonitorSpec,
}

/// The reference's form of a stored spec; of one that cannot be read only the name.
pub fn reference_form(name: &str, spec: &Value) -> LegacyMonitor {
    match serde_json::from_value::<MonitorSpec>(spec.clone()) {
        Ok(spec) => legacy::from_spec(name, &spec),
        Err(_) => LegacyMonitor {
            name: name.to_owned(),
            probe_type: String::new(),
            interval: String::new(),
            target: String::new(),
            rule: String::new(),
            enabled: true,
            group: String::new(),
            properties: BTreeMap::new(),
        },
    }
}

/// Reads a monitor from a request: `spec`, or the reference's `type`, `target`, `properties`. A client that sends back what
/// it got sends both; then the one that it changed is meant.
pub fn read_monitor(body: &Value, current: Option<Current<'_>>) -> ApiResult<MonitorInput> {
    let Value::Object(fields) = body else {
        return Err(ApiError::bad_request("a monitor must be a JSON object"));
    };
    let namespace = read_label(fields, "namespace")?;
    let object_name = read_label(fields, "objectName")?;
    let labels = read_labels(fields)?;
    let has_spec = fields.get("spec").is_some_and(|spec| !spec.is_null());
    let has_form = FORM_FIELDS.iter().any(|field| fields.contains_key(*field));
    let definition = if !has_spec {
        read_form(fields, current)?
    } else if !has_form {
        read_spec(fields, current)?
    } else {
        read_both(fields, current)?
    };
    Ok(MonitorInput { definition, namespace, object_name, labels })
}

fn read_form(fields: &Map<String, Value>, current: Option<Current<'_>>) -> ApiResult<Definition> {
    let form = parse_form(fields)?;
    let converted =
        legacy::to_spec(&form, current.map(|current| current.spec)).map_err(|fault| form_refused(&fault))?;
    Ok(Definition { spec: converted.spec, def: converted.def })
}

fn form_refused(fault: &LegacyError) -> ApiError {
    let field = match &fault {
        LegacyError::MissingName => "name".to_owned(),
        LegacyError::MissingType | LegacyError::InvalidType => "type".to_owned(),
        LegacyError::MissingInterval
        | LegacyError::InvalidInterval
        | LegacyError::ShortInterval
        | LegacyError::LongInterval => "interval".to_owned(),
        LegacyError::MissingTarget | LegacyError::Target(_) => "target".to_owned(),
        LegacyError::Rule(_) => "rule".to_owned(),
        LegacyError::Property { name, .. } => format!("properties.{name}"),
        LegacyError::Other(error) => error.path.clone(),
    };
    ApiError::invalid_field(&field, fault.to_string())
}

/// The types of the form's fields are checked here, because serde would not name the field.
fn parse_form(fields: &Map<String, Value>) -> ApiResult<LegacyMonitor> {
    let mut faults = Vec::new();
    for field in ["name", "type", "interval", "target", "rule", "group"] {
        if fields.get(field).is_some_and(|value| !value.is_string() && !value.is_null()) {
            faults.push(FieldProblem::new(field, format!("{field} must be a text")));
        }
    }
    if fields.get("enabled").is_some_and(|value| !value.is_boolean() && !value.is_null()) {
        faults.push(FieldProblem::new("enabled", "enabled must be true or false"));
    }
    match fields.get("properties") {
        None | Some(Value::Null) => {}
        Some(Value::Object(properties)) => {
            for (name, value) in properties {
                if value.is_array() || value.is_object() {
                    let message = format!("property {name} must be a text, a number or a boolean");
                    faults.push(FieldProblem::new(format!("properties.{name}"), message));
                }
            }
        }
        Some(_) => faults.push(FieldProblem::new("properties", "properties must be an object of texts")),
    }
    if !faults.is_empty() {
        return Err(ApiError::invalid(faults));
    }
    serde_json::from_value(Value::Object(fields.clone())).map_err(|fault| ApiError::bad_request(fault.to_string()))
}

fn read_spec(fields: &Map<String, Value>, current: Option<Current<'_>>) -> ApiResult<Definition> {
    let name = match fields.get("name") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(name.as_str()),
        Some(_) => return Err(ApiError::invalid_field("name", "name must be a text")),
    };
    let mut spec = fields.get("spec").cloned().unwrap_or_default();
    let shown = spec.get("displayName").and_then(Value::as_str).map(str::to_owned);
    // `name` is the display name; a client that sends back what it got sends both.
    if let (Some(name), Value::Object(spec)) = (name, &mut spec) {
        let old = current.map(|c| c.spec.display_name.as_deref().unwrap_or(c.name));
        let name_is_new = old != Some(name);
        match &shown {
            None if name_is_new => {
                spec.insert("displayName".to_owned(), Value::from(name));
            }
            Some(shown) if shown != name && name_is_new => {
                if old != Some(shown) {
                    return Err(ApiError::invalid_field("name", "name and spec.displayName differ; send one of them"));
                }
                spec.insert("displayName".to_owned(), Value::from(name));
            }
            None | Some(_) => {}
        }
    }
    let object_name = match (current, fields.get("objectName").and_then(Value::as_str)) {
        (Some(current), _) => current.name.to_owned(),
        (None, Some(name)) => name.to_owned(),
        (None, None) => {
            let display = shown.as_deref().or(name).unwrap_or_default();
            if display.trim().is_empty() {
                return Err(ApiError::invalid_field("name", "missing monitor name"));
            }
            object_name_for(display)
        }
    };
    check_spec(&object_name, &spec)
}

/// Judges a spec as the API server and the operator together would: unknown fields and wrong types included.
pub fn check_spec(object_name: &str, spec: &Value) -> ApiResult<Definition> {
    let object = json!({"apiVersion": API_VERSION, "kind": "Monitor", "metadata": {"name": object_name}, "spec": spec});
    let read = manifest::read(&object.to_string());
    if !read.errors.is_empty() {
        return Err(ApiError::invalid(
            read.errors.into_iter().map(|error| FieldProblem::new(error.path, error.message)).collect(),
        ));
    }
    let document = read.documents.into_iter().next().ok_or_else(|| ApiError::invalid_field("spec", "spec is empty"))?;
    Ok(Definition { spec: document.monitor.spec, def: document.def })
}

fn read_both(fields: &Map<String, Value>, current: Option<Current<'_>>) -> ApiResult<Definition> {
    let form = parse_form(fields)?;
    let from_spec = read_spec(fields, current);
    let object_name = current.map_or("", |current| current.name);
    if let Ok(definition) = &from_spec
        && form_agrees(fields, &form, &legacy::from_spec(object_name, &definition.spec))
    {
        return from_spec;
    }
    if let Some(current) = current {
        if form_agrees(fields, &form, &legacy::from_spec(current.name, current.spec)) {
            return from_spec;
        }
        let unchanged = serde_json::to_value(current.spec).unwrap_or_default();
        if from_spec.as_ref().is_ok_and(|d| d.spec_json() == unchanged) || fields.get("spec") == Some(&unchanged) {
            return read_form(fields, Some(current));
        }
    }
    from_spec?;
    Err(ApiError::invalid_field(
        "spec",
        "spec and the fields type, interval, target, rule, enabled, group, properties say different things; send one of them",
    ))
}

/// Whether what the request says in the reference's form is what a spec says.
fn form_agrees(fields: &Map<String, Value>, form: &LegacyMonitor, other: &LegacyMonitor) -> bool {
    let said = |field: &str| fields.get(field).is_some_and(|value| !value.is_null());
    (!said("name") || form.name == other.name)
        && (!said("type") || form.probe_type == other.probe_type)
        && (!said("interval") || form.interval == other.interval)
        && (!said("target") || form.target == other.target)
        && (!said("rule") || form.rule == other.rule)
        && (!said("enabled") || form.enabled == other.enabled)
        && (!said("group") || form.group == other.group)
        && (!said("properties") || form.properties == other.properties)
}

/// Whether a text can name an object or a namespace.
pub fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// The sentence for a text that is no [`is_label`].
pub fn label_sentence(field: &str) -> String {
    format!("{field} must be 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends")
}

fn read_label(fields: &Map<String, Value>, field: &str) -> ApiResult<Option<String>> {
    match fields.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if is_label(text) => Ok(Some(text.clone())),
        Some(_) => Err(ApiError::invalid_field(field, label_sentence(field))),
    }
}

fn read_labels(fields: &Map<String, Value>) -> ApiResult<Option<BTreeMap<String, String>>> {
    let fault = |message: String| ApiError::invalid_field("labels", message);
    let labels = match fields.get("labels") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(labels)) => labels,
        Some(_) => return Err(fault("labels must be an object of texts".to_owned())),
    };
    if labels.len() > LABELS {
        return Err(fault(format!("labels must not hold more than {LABELS} labels")));
    }
    let mut read = BTreeMap::new();
    for (key, value) in labels {
        let Some(value) = value.as_str().filter(|value| value.is_empty() || is_label_text(value)) else {
            return Err(fault(format!(
                "the value of label {key:?} must be at most 63 letters, digits, '-', '_' and '.'"
            )));
        };
        let name = match key.split_once('/') {
            Some((prefix, name)) if prefix.len() <= 253 && prefix.split('.').all(is_label) => name,
            Some(_) => "",
            None => key,
        };
        if !is_label_text(name) {
            return Err(fault(format!("{key:?} cannot be a label")));
        }
        read.insert(key.clone(), value.to_owned());
    }
    Ok(Some(read))
}

fn is_label_text(text: &str) -> bool {
    let ends = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && ends(bytes.first())
        && ends(bytes.last())
}
