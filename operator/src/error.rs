//! What can go wrong in the operator.

use nanomon_sql::StoreError;

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The Kubernetes API refused or did not answer. kube's text includes its causes.
    #[error("the Kubernetes API: {0}")]
    Kubernetes(Box<kube::Error>),
    /// PostgreSQL refused or did not answer.
    #[error("storing monitors")]
    Store(#[from] StoreError),
    /// A setting or an answer makes no sense.
    #[error("{0}")]
    Setting(String),
}

impl OperatorError {
    /// A stable word for metrics.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Kubernetes(_) => "kubernetes",
            Self::Store(error) => error.category(),
            Self::Setting(_) => "setting",
        }
    }
}

impl From<kube::Error> for OperatorError {
    fn from(error: kube::Error) -> Self {
        Self::Kubernetes(Box::new(error))
    }
}

/// Results of this crate.
pub type Result<T, E = OperatorError> = std::result::Result<T, E>;
