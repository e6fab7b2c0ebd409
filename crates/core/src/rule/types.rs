//! What kinds of value an expression can have, as far as that is known when the rule is saved.

use std::ops::BitOr;

use crate::outcome::OutputKind;
use crate::{OutputId, ProbeType};

/// A set of kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Type {
    kinds: u8,
    /// Kinds of the elements if it can be a list.
    items: u8,
}

const NULL: u8 = 1;
const BOOL: u8 = 2;
const NUMBER: u8 = 4;
const TEXT: u8 = 8;
/// Text that may be as long as a body; such texts cannot be joined, so that a rule cannot fill the memory.
const LONG_TEXT: u8 = 16;
const LIST: u8 = 32;

impl Type {
    pub(super) const NULL: Type = Type { kinds: NULL, items: 0 };
    pub(super) const BOOL: Type = Type { kinds: BOOL, items: 0 };
    pub(super) const NUMBER: Type = Type { kinds: NUMBER, items: 0 };
    pub(super) const TEXT: Type = Type { kinds: TEXT, items: 0 };
    pub(super) const NOTHING: Type = Type { kinds: 0, items: 0 };

    /// The values that an output takes; any output can be absent.
    pub(super) fn of_output(id: OutputId) -> Type {
        let kinds = match id.kind() {
            OutputKind::Millis | OutputKind::Count | OutputKind::Number => NUMBER,
            OutputKind::Text if id == OutputId::BODY => LONG_TEXT,
            OutputKind::Text => TEXT,
            OutputKind::Either => NUMBER | TEXT,
        };
        Type { kinds: kinds | NULL, items: 0 }
    }

    /// A list of such elements.
    pub(super) fn list_of(item: Type) -> Type {
        Type { kinds: LIST, items: item.kinds }
    }

    /// What the elements of this list are.
    pub(super) fn item(self) -> Type {
        Type { kinds: self.items, items: 0 }
    }

    /// It is one of `allowed` or null, whatever the run's outputs.
    fn only(self, allowed: u8) -> bool {
        self.kinds & !(allowed | NULL) == 0
    }

    /// It is true or false in every run.
    pub(super) fn is_bool(self) -> bool {
        self.kinds == BOOL
    }

    /// It can be a number or absent.
    pub(super) fn may_be_number(self) -> bool {
        self.kinds & NUMBER != 0 || self.only(0)
    }

    /// It can be a text or absent.
    pub(super) fn may_be_text(self) -> bool {
        self.kinds & (TEXT | LONG_TEXT) != 0 || self.only(0)
    }

    /// It can be a text that is too long to be joined.
    pub(super) fn may_be_long(self) -> bool {
        self.kinds & LONG_TEXT != 0
    }

    pub(super) fn may_be_list(self) -> bool {
        self.kinds & LIST != 0
    }

    /// It is a list in every run.
    pub(super) fn is_list(self) -> bool {
        self.kinds == LIST
    }

    pub(super) fn may_be_null(self) -> bool {
        self.kinds & NULL != 0
    }

    /// It is null in every run.
    pub(super) fn is_null(self) -> bool {
        self.kinds == NULL
    }

    /// Whether `<` can order values of the two: two numbers or two texts.
    pub(super) fn can_be_ordered_with(self, other: Type) -> bool {
        let text = |t: Type| t.kinds & (TEXT | LONG_TEXT) != 0;
        let number = |t: Type| t.kinds & NUMBER != 0;
        (text(self) && text(other)) || (number(self) && number(other))
    }

    /// The same, perhaps absent.
    pub(super) fn or_null_if(self, absent: bool) -> Type {
        if absent { self | Type::NULL } else { self }
    }

    /// For the author: `a number`, `a number or a text`, `true or false`. Says `null` only of what is nothing else.
    pub(super) fn describe(self) -> String {
        let mut words = Vec::new();
        for (kind, word) in
            [(BOOL, "true or false"), (NUMBER, "a number"), (TEXT | LONG_TEXT, "a text"), (LIST, "a list")]
        {
            if self.kinds & kind != 0 {
                words.push(word);
            }
        }
        if words.is_empty() { "null".to_owned() } else { words.join(" or ") }
    }
}

impl BitOr for Type {
    type Output = Type;

    fn bitor(self, other: Type) -> Type {
        Type { kinds: self.kinds | other.kinds, items: self.items | other.items }
    }
}

/// Resolves a variable; the error is the sentence for the author.
pub(super) fn output_named(name: &str, probe: ProbeType) -> Result<OutputId, String> {
    let word = probe.as_str();
    if let Some(id) = OutputId::from_name(name) {
        if id.belongs_to(probe) {
            return Ok(id);
        }
        let owners: Vec<&str> =
            ProbeType::ALL.into_iter().filter(|other| id.belongs_to(*other)).map(ProbeType::as_str).collect();
        let owners = owners.join(", ");
        return Err(format!("`{name}` is an output of {owners} monitors, not of {word}; {}", names_of(probe)));
    }
    let near = all_names(probe).into_iter().find(|known| is_near(known, name));
    let hint = near.map(|known| format!("did you mean `{known}`? ")).unwrap_or_default();
    Err(format!("unknown name `{name}`; {hint}{}", names_of(probe)))
}

fn all_names(probe: ProbeType) -> Vec<String> {
    OutputId::of(probe).iter().map(|id| id.name().into_owned()).collect()
}

fn names_of(probe: ProbeType) -> String {
    let mut names = all_names(probe);
    if probe == ProbeType::Dns {
        names.push(format!("result1 to result{}", crate::monitor::limits::DNS_ANSWERS));
    }
    format!("the outputs of {} monitors are {}", probe.as_str(), names.join(", "))
}

/// Equal but for case, or one letter changed, missing, extra or swapped with its neighbour.
fn is_near(known: &str, given: &str) -> bool {
    let (known, given) = (known.to_ascii_lowercase().into_bytes(), given.to_ascii_lowercase().into_bytes());
    let prefix = known.iter().zip(&given).take_while(|(k, g)| k == g).count();
    let (known, given) = (&known[prefix..], &given[prefix..]);
    let suffix = known.iter().rev().zip(given.iter().rev()).take_while(|(k, g)| k == g).count();
    match (&known[..known.len() - suffix], &given[..given.len() - suffix]) {
        ([] | [_], [] | [_]) => true,
        (known @ [_, _], given @ [_, _]) => known[0] == given[1] && known[1] == given[0],
        _ => false,
    }
}
