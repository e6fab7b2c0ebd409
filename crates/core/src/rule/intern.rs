//! Equal rules and expressions compiled once: thousands of monitors share a handful of them.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};

use super::pattern::{BodyRegex, Pattern};
use super::{Rule, RuleError};
use crate::ProbeType;

/// Hands out compiled rules and body expressions, each compiled once while anybody holds it. It holds nothing alive itself.
#[derive(Debug, Default)]
pub struct RuleInterner {
    rules: Table<(ProbeType, Box<str>), Rule>,
    patterns: Table<Box<str>, Pattern>,
    body_regexes: Table<Box<str>, BodyRegex>,
}

impl RuleInterner {
    /// See [`Rule::compile`].
    pub fn rule(&mut self, source: &str, probe: ProbeType) -> Result<Arc<Rule>, RuleError> {
        let patterns = &mut self.patterns;
        self.rules.get_or_make((probe, source.into()), || {
            Rule::compile_with(source, probe, &mut |pattern| {
                patterns.get_or_make(pattern.into(), || Pattern::compile(pattern))
            })
        })
    }

    /// See [`BodyRegex::compile`].
    pub fn body_regex(&mut self, pattern: &str) -> Result<Arc<BodyRegex>, String> {
        self.body_regexes.get_or_make(pattern.into(), || BodyRegex::compile(pattern))
    }

    /// How many compiled things are known, those that nobody holds any more included until they are swept.
    pub fn len(&self) -> usize {
        self.rules.known.len() + self.patterns.known.len() + self.body_regexes.known.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Weak references by key; dead ones are swept whenever the table has doubled.
#[derive(Debug)]
struct Table<K, V> {
    known: HashMap<K, Weak<V>>,
    sweep_at: usize,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { known: HashMap::new(), sweep_at: 64 }
    }
}

impl<K: Eq + Hash, V> Table<K, V> {
    fn get_or_make<E>(&mut self, key: K, make: impl FnOnce() -> Result<V, E>) -> Result<Arc<V>, E> {
        if let Some(known) = self.known.get(&key).and_then(Weak::upgrade) {
            return Ok(known);
        }
        let made = Arc::new(make()?);
        if self.known.len() >= self.sweep_at {
            self.known.retain(|_, value| value.strong_count() > 0);
            self.sweep_at = (self.known.len() * 2).max(64);
        }
        self.known.insert(key, Arc::downgrade(&made));
        Ok(made)
    }
}
