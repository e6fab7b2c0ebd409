//! The flat form of a monitor that the REST API's older clients write and read:
//! `{name, type, interval, target, rule, enabled, group, properties: {name: text}}`.
//!
//! Reading is lenient where that costs nothing (an unknown property is noted and ignored, an empty one counts as absent,
//! a timeout that is too long is clamped), because a client of years ago cannot be asked to change.

mod read;
mod write;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::convert::FieldError;

pub use read::{Converted, to_spec};
pub use write::from_spec;

/// A monitor in the flat form. On reading, every member may be absent or null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegacyMonitor {
    /// Display name.
    #[serde(default, deserialize_with = "null_as_default")]
    pub name: String,
    /// `http`, `tcp`, `ping` or `dns`.
    #[serde(rename = "type", default, deserialize_with = "null_as_default")]
    pub probe_type: String,
    /// Go duration.
    #[serde(default, deserialize_with = "null_as_default")]
    pub interval: String,
    /// URL, `host:port`, host, or DNS name.
    #[serde(default, deserialize_with = "null_as_default")]
    pub target: String,
    /// Rule; empty for none.
    #[serde(default, deserialize_with = "null_as_default")]
    pub rule: String,
    /// False while suspended. Absent means true.
    #[serde(default = "yes", deserialize_with = "null_as_yes")]
    pub enabled: bool,
    /// Dashboard group; empty means `default`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub group: String,
    /// The type's settings as texts. Numbers and booleans are taken as their text.
    #[serde(default, deserialize_with = "texts")]
    pub properties: BTreeMap<String, String>,
}

/// Why a flat form is refused. Display is the sentence that clients know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LegacyError {
    /// No name.
    #[error("missing monitor name")]
    MissingName,
    /// No type.
    #[error("missing monitor type")]
    MissingType,
    /// Not one of the four.
    #[error("invalid monitor type")]
    InvalidType,
    /// No interval.
    #[error("missing monitor interval")]
    MissingInterval,
    /// No target.
    #[error("missing monitor target")]
    MissingTarget,
    /// No duration.
    #[error("invalid monitor interval")]
    InvalidInterval,
    /// Below the least interval, which itself is allowed.
    #[error("monitor interval must be greater than 1s")]
    ShortInterval,
    /// Above the longest.
    #[error("monitor interval must not be longer than 24h")]
    LongInterval,
    /// The rule does not compile.
    #[error("rule invalid: {0}")]
    Rule(String),
    /// The target is not of the type's form.
    #[error("monitor target invalid: {0}")]
    Target(String),
    /// A property's value.
    #[error("monitor property {name} invalid: {message}")]
    Property {
        /// The property's name.
        name: String,
        /// What is wrong with it.
        message: String,
    },
    /// Anything else that the API server would refuse too.
    #[error("monitor {0}")]
    Other(FieldError),
}

fn yes() -> bool {
    true
}

fn null_as_default<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_default())
}

fn null_as_yes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::<bool>::deserialize(deserializer)?.unwrap_or(true))
}

fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let map = Option::<BTreeMap<String, serde_json::Value>>::deserialize(deserializer)?.unwrap_or_default();
    let mut texts = BTreeMap::new();
    for (name, value) in map {
        let text = scalar_text(&value).ok_or_else(|| {
            serde::de::Error::custom(format!("property {name} must be a text, a number or a boolean"))
        })?;
        texts.insert(name, text);
    }
    Ok(texts)
}

/// The text of a scalar; null is empty.
fn scalar_text(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::Null => Some(String::new()),
        serde_json::Value::Bool(flag) => Some(flag.to_string()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Array(_) | serde_json::Value::Object(_) => None,
    }
}

#[cfg(test)]
#[path = "legacy/tests.rs"]
mod tests;
