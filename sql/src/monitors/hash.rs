//! Hashes by which definitions are compared.

use std::collections::BTreeMap;

use nanomon_core::MonitorDef;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

/// Hash of a spec with its keys sorted: rows differ by this, not by generation order.
pub fn spec_hash(spec: &Value) -> Vec<u8> {
    let mut text = String::new();
    write_sorted(spec, &mut text);
    xxh3_128(text.as_bytes()).to_be_bytes().to_vec()
}

/// Hash of all that is shown or run: the user's spec, what was made of it, and the labels.
pub(super) fn content_hash(spec: &Value, def: &Value, meta: &Value) -> Vec<u8> {
    let mut text = String::new();
    for part in [spec, def, meta] {
        write_sorted(part, &mut text);
        text.push('\n');
    }
    xxh3_128(text.as_bytes()).to_be_bytes().to_vec()
}

/// Hash of what makes a new activation.
pub(super) fn activation_hash(def: &MonitorDef) -> Vec<u8> {
    def.activation_hash().to_be_bytes().to_vec()
}

/// JSON with sorted keys; `serde_json`'s own order depends on a feature that any crate in the tree may switch on.
fn write_sorted(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            out.push('{');
            for (key, value) in members.iter().collect::<BTreeMap<_, _>>() {
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write_sorted(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write_sorted(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => out.push_str(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn order_of_keys_does_not_matter_and_everything_else_does() {
        let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let a = spec_hash(&parse(r#"{"a":{"x":1,"y":[1,2]},"b":"t"}"#));
        assert_eq!(a, spec_hash(&parse(r#"{"b":"t","a":{"y":[1,2],"x":1}}"#)));
        assert_eq!(a.len(), 16);
        for other in [json!({"a": {"x": 1, "y": [2, 1]}, "b": "t"}), json!({"a": {"x": 1, "y": [1, 2]}, "b": null})] {
            assert_ne!(a, spec_hash(&other));
        }
        let hash = |spec, meta| content_hash(&spec, &json!({}), &meta);
        assert_ne!(hash(json!([]), json!({})), hash(json!({}), json!([])));
    }
}
