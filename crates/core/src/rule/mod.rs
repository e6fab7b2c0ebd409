//! Rules: CEL over a run's outputs, in the reference's forms too.
//!
//! ```text
//!  source ──lexer──▶ tokens ──parser──▶ tree, at most 24 levels nested ──eval(Outcome)──▶ true | false | RuleFault
//!                              │ names of the probe type, kinds, patterns: each refusal has its position
//! ```
//!
//! A rule is bounded by its form: there are no loops but one level of `exists` and its like over a written list, no
//! recursion deeper than the tree, no regular expression that is not a literal, no joining of bodies, and a budget for
//! the text that one evaluation looks at. What is CEL here and what the reference adds is listed in [`parser`]; what
//! null, mixed kinds and numbers mean, in [`eval`].

mod ascii;
mod ast;
mod eval;
mod functions;
mod intern;
mod lexer;
mod operand;
mod parser;
mod pattern;
mod types;

use std::fmt;

pub use intern::RuleInterner;
pub use pattern::{BodyRegex, RegexTimeout};

use crate::Reason;
use crate::monitor::{ProbeType, limits};
use crate::outcome::Outcome;

/// Why a rule is refused when it is saved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RuleError {
    /// Character offset in the rule's source where the fault begins.
    pub position: usize,
    /// A sentence for the author.
    pub message: String,
}

impl RuleError {
    fn new(position: usize, message: impl Into<String>) -> Self {
        Self { position, message: message.into() }
    }
}

/// Why a rule gave no answer in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleFault {
    /// Kinds do not fit these outputs: `regexMatch > 5` where a word was found.
    Error,
    /// More text would have to be searched than one evaluation may, or a regular expression is too slow on this text.
    Timeout,
}

impl RuleFault {
    /// The reason that a run with this fault gets.
    pub fn reason(self) -> Reason {
        match self {
            Self::Error => Reason::RuleError,
            Self::Timeout => Reason::RuleTimeout,
        }
    }
}

/// A compiled rule. `Send + Sync`; evaluated many times.
pub struct Rule {
    source: Box<str>,
    node: ast::Node,
    reads_body: bool,
}

impl Rule {
    /// Compiles a rule for runs of this type; refuses names that no such run can have. A blank rule is refused: who has no
    /// rule does not compile one.
    pub fn compile(source: &str, probe: ProbeType) -> Result<Self, RuleError> {
        Self::compile_with(source, probe, &mut |pattern| pattern::Pattern::compile(pattern).map(Into::into))
    }

    fn compile_with(source: &str, probe: ProbeType, patterns: &mut parser::Patterns<'_>) -> Result<Self, RuleError> {
        let count = source.chars().count();
        if count > limits::RULE_CHARS {
            let sentence = format!("the rule has {count} characters; at most {} are allowed", limits::RULE_CHARS);
            return Err(RuleError::new(limits::RULE_CHARS, sentence));
        }
        let chars: Vec<char> = source.chars().collect();
        let parser::Parsed { node, reads_body } = parser::parse(lexer::split(&chars)?, probe, patterns)?;
        Ok(Self { source: source.into(), node, reads_body })
    }

    /// The rule as its author wrote it.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the rule reads `body`; such rules run off the probe thread.
    pub fn reads_body(&self) -> bool {
        self.reads_body
    }

    /// Whether the rule holds. Outputs of the type that are absent in this run are null: an ordering with null, and a
    /// search in it, is false.
    pub fn holds(&self, outcome: &Outcome) -> Result<bool, RuleFault> {
        eval::holds(&self.node, outcome)
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rule").field(&self.source).finish()
    }
}
