//! Rules: CEL over a run's outputs, in the reference's forms too.

use crate::monitor::ProbeType;
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

/// Why a rule gave no answer in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleFault {
    /// Evaluation failed (types do not fit these outputs), or the result is no boolean.
    Error,
}

/// A compiled rule. `Send + Sync`; evaluated many times.
pub struct Rule {
    _private: (),
}

impl Rule {
    /// Compiles a rule for runs of this type; refuses names that no such run can have.
    pub fn compile(_source: &str, _probe: ProbeType) -> Result<Self, RuleError> {
        todo!()
    }

    /// Whether the rule reads `body`; such rules run off the probe thread.
    pub fn reads_body(&self) -> bool {
        todo!()
    }

    /// Whether the rule holds. Outputs of the type that are absent in this run are null.
    pub fn holds(&self, _outcome: &Outcome) -> Result<bool, RuleFault> {
        todo!()
    }
}
