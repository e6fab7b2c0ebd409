//! A document as a tree whose every value knows its place in the file.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::Value;
use serde_saphyr::Spanned;

use super::{Location, ManifestError};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) tree: Tree,
    pub(super) location: Location,
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Tree {
    /// Null, a boolean, a number or a text.
    Scalar(Value),
    List(Vec<Node>),
    /// Members with the place of each key.
    Map(Vec<(Key, Node)>),
}

/// A member's name and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) location: Location,
}

/// Parses all documents of a text; empty ones are left out.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, ManifestError> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| ManifestError {
        location: error.location().map_or(Location { line: 1, column: 1 }, Location::from),
        path: String::new(),
        message: format!("this is not valid YAML: {}", without_location(&error.to_string())),
    })
}

/// The reader's sentence without its own way to write the place, which is given already.
fn without_location(message: &str) -> &str {
    let line = message.lines().next().unwrap_or_default();
    let line = line.split_once(" at line ").map_or(line, |(sentence, _)| sentence);
    line.trim_start_matches("error: ").trim_end_matches([':', ' '])
}

impl From<serde_saphyr::Location> for Location {
    fn from(location: serde_saphyr::Location) -> Self {
        Self { line: location.line() as u32, column: location.column() as u32 }
    }
}

impl Node {
    /// A member of a map, null counting as absent.
    pub(super) fn get(&self, name: &str) -> Option<&Node> {
        let Tree::Map(members) = &self.tree else { return None };
        members.iter().find(|(key, _)| key.name == name).map(|(_, node)| node).filter(|node| !node.is_null())
    }

    /// Takes a member out of a map.
    pub(super) fn take(self, name: &str) -> Option<Node> {
        let Tree::Map(members) = self.tree else { return None };
        members.into_iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.tree {
            Tree::Scalar(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.tree, Tree::Scalar(Value::Null))
    }

    /// The value without places; members that are null are left out, as the API server does.
    pub(super) fn to_json(&self) -> Value {
        match &self.tree {
            Tree::Scalar(value) => value.clone(),
            Tree::List(items) => items.iter().map(Node::to_json).collect(),
            Tree::Map(members) => members
                .iter()
                .filter(|(_, node)| !node.is_null())
                .map(|(key, node)| (key.name.clone(), node.to_json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }

    /// A fault at the field of this path (such as `spec.http.headers[2].name`), or at the nearest one around it.
    pub(super) fn fault(&self, path: &str, message: impl Into<String>) -> ManifestError {
        let mut location = self.location;
        let mut node = self;
        for part in path.split('.').filter(|part| !part.is_empty()) {
            let (name, index) = match part.strip_suffix(']').and_then(|part| part.split_once('[')) {
                Some((name, index)) => (name, index.parse::<usize>().ok()),
                None => (part, None),
            };
            let Tree::Map(members) = &node.tree else { break };
            let Some((key, member)) = members.iter().find(|(key, _)| key.name == name) else {
                break;
            };
            location = key.location;
            node = member;
            if let (Tree::List(items), Some(index)) = (&node.tree, index) {
                let Some(item) = items.get(index) else { break };
                location = item.location;
                node = item;
            }
        }
        ManifestError { location, path: path.to_owned(), message: message.into() }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Tree>::deserialize(deserializer)?;
        Ok(Self { tree: spanned.value, location: spanned.referenced.into() })
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some(key) = access.next_key::<Spanned<String>>()? {
            members.push((Key { name: key.value, location: key.referenced.into() }, access.next_value()?));
        }
        Ok(Tree::Map(members))
    }
}

/// A value whose members are written in a chosen order.
#[derive(Clone, Debug)]
pub(super) enum Ordered {
    Value(Value),
    List(Vec<Ordered>),
    Object(Vec<(String, Ordered)>),
}

impl Ordered {
    pub(super) fn object<'a>(members: impl IntoIterator<Item = (&'a str, Ordered)>) -> Self {
        Self::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

impl From<Value> for Ordered {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

impl Serialize for Ordered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => value.serialize(serializer),
            Self::List(items) => items.serialize(serializer),
            Self::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}
