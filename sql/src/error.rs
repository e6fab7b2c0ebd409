//! What can go wrong between us and PostgreSQL.

/// Why a statement or transaction failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection could be had, or it broke: try again later; the outcome of a transaction in flight is unknown.
    #[error("PostgreSQL is not reachable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A deadlock, serialisation failure or lock timeout: repeat the whole transaction.
    #[error("the transaction must be repeated")]
    Retry(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// PostgreSQL refused the data (SQLSTATE 22… or 23…): repeating does not help.
    #[error("PostgreSQL refused the data")]
    Data(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The caller's epoch is no longer the current one: somebody else has taken over.
    #[error("another instance has taken over")]
    Fenced,
    /// The schema is not one that this version can work with.
    #[error("{0}")]
    Schema(String),
    /// Any other answer of PostgreSQL; a fault of ours.
    #[error("PostgreSQL refused a statement")]
    Statement(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// A stable word for metrics and logs.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Retry(_) => "retry",
            Self::Data(_) => "data",
            Self::Fenced => "fenced",
            Self::Schema(_) => "schema",
            Self::Statement(_) => "statement",
        }
    }
}

/// Results of this crate.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;
