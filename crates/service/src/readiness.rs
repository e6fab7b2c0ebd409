//! What a process still waits for: the text behind `/readyz`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Named conditions, each ready or waiting with a sentence. Cheap to clone; written by the part that owns the condition.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    waiting: Arc<Mutex<BTreeMap<&'static str, String>>>,
}

impl Readiness {
    /// The part waits, and says for what.
    pub fn wait(&self, part: &'static str, sentence: impl Into<String>) {
        self.lock().insert(part, sentence.into());
    }

    /// The part is ready.
    pub fn ready(&self, part: &'static str) {
        self.lock().remove(part);
    }

    /// What is waited for, one line each; `None` when everything is ready.
    pub fn waiting(&self) -> Option<String> {
        let waiting = self.lock();
        let lines: Vec<String> = waiting.iter().map(|(part, sentence)| format!("{part}: {sentence}")).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_only_when_nothing_waits() {
        let readiness = Readiness::default();
        assert_eq!(readiness.waiting(), None);
        readiness.wait("database", "not reachable");
        readiness.wait("schema", "version 1, needs 2");
        assert_eq!(readiness.waiting().as_deref(), Some("database: not reachable\nschema: version 1, needs 2"));
        readiness.ready("database");
        readiness.ready("schema");
        assert_eq!(readiness.waiting(), None);
    }
}
