//! Events for people: at most one per object and reason in five minutes.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::EventType;

/// A second Event with the same object and reason within this time says nothing new.
const SPACING: Duration = Duration::from_mins(5);

/// An Event that waits to be written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Note {
    pub about: ObjectReference,
    pub warning: bool,
    pub reason: String,
    pub action: &'static str,
    pub text: String,
}

impl Note {
    pub(crate) fn to_event(&self) -> kube::runtime::events::Event {
        kube::runtime::events::Event {
            type_: if self.warning { EventType::Warning } else { EventType::Normal },
            reason: self.reason.clone(),
            note: Some(self.text.chars().take(1000).collect()),
            action: self.action.to_owned(),
            secondary: None,
        }
    }
}

/// Who was told what lately.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    told: HashMap<(String, String), Instant>,
}

impl Recent {
    /// Whether this is news; if so it is remembered.
    pub(crate) fn is_news(&mut self, note: &Note, now: Instant) -> bool {
        if self.told.len() > 10_000 {
            self.told.retain(|_, at| now.duration_since(*at) < SPACING);
        }
        let about = note.about.uid.clone().or_else(|| note.about.name.clone()).unwrap_or_default();
        let key = (about, note.reason.clone());
        if self.told.get(&key).is_some_and(|at| now.duration_since(*at) < SPACING) {
            return false;
        }
        self.told.insert(key, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_news_is_none() {
        let note = |uid: &str, reason: &str| Note {
            about: ObjectReference { uid: Some(uid.into()), ..ObjectReference::default() },
            warning: true,
            reason: reason.into(),
            action: "Probe",
            text: String::new(),
        };
        let (mut recent, start) = (Recent::default(), Instant::now());
        assert!(recent.is_news(&note("a", "Failed"), start));
        assert!(!recent.is_news(&note("a", "Failed"), start + SPACING / 2));
        assert!(recent.is_news(&note("a", "OK"), start));
        assert!(recent.is_news(&note("b", "Failed"), start));
        assert!(recent.is_news(&note("a", "Failed"), start + SPACING));
    }
}
