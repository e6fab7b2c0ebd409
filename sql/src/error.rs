//! What can go wrong between us and PostgreSQL.

use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::types::WrongType;

/// Why a statement or transaction failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection could be had, or it broke: try again later; the outcome of a transaction in flight is unknown.
    #[error("PostgreSQL is not reachable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A deadlock, serialisation failure, lock or statement timeout: repeat the whole transaction.
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

    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Retry(_))
    }

    /// Whether a row met a range for which there is no partition, of one of our tables.
    pub(crate) fn lacks_partition(&self) -> bool {
        let Self::Data(source) = self else { return false };
        source
            .downcast_ref::<tokio_postgres::Error>()
            .and_then(tokio_postgres::Error::as_db_error)
            .is_some_and(|db| *db.code() == SqlState::CHECK_VIOLATION && db.constraint().is_none())
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else {
            return classify_client(error);
        };
        match db.code().code() {
            // deadlock, serialisation, lock and statement timeouts; a plan or statement lost to a migration or pooler
            "40001" | "40P01" | "55P03" | "57014" | "26000" | "25P03" => Self::Retry(Box::new(error)),
            "0A000" if db.message().contains("cached plan") => Self::Retry(Box::new(error)),
            "25006" => Self::Unavailable(Box::new(error)),
            "42P01" | "42703" | "42883" | "3F000" => Self::Schema(schema_sentence(db)),
            code if code.starts_with("22") || code.starts_with("23") => Self::Data(Box::new(error)),
            code if ["08", "53", "57", "58", "28", "3D"].iter().any(|class| code.starts_with(class)) => {
                Self::Unavailable(Box::new(error))
            }
            _ => Self::Statement(Box::new(error)),
        }
    }
}

fn schema_sentence(db: &DbError) -> String {
    format!("the database's schema does not fit this version ({}): run `nanomon migrate`", db.message())
}

/// Errors without an answer of PostgreSQL. The driver does not show their kind but by text, hence by cause.
fn classify_client(error: tokio_postgres::Error) -> StoreError {
    let text = error.to_string();
    if std::error::Error::source(&error).is_some_and(<dyn std::error::Error>::is::<WrongType>) {
        // Our own parameter does not fit our own statement.
        StoreError::Statement(Box::new(error))
    } else if text.starts_with("error serializing parameter") {
        StoreError::Data(Box::new(error))
    } else if text.starts_with("error deserializing") || text.starts_with("invalid column") {
        StoreError::Statement(Box::new(error))
    } else {
        StoreError::Unavailable(Box::new(error))
    }
}

/// Whether the session that got this answer can be used on, and whether all others are doomed too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing happened to it.
    Usable,
    /// This session must go.
    Broken,
    /// The server changed its role or goes down: all idle sessions must go.
    AllBroken,
}

/// What an error means for the session.
pub(crate) fn session_fate(error: &tokio_postgres::Error) -> Fate {
    match error.code().map(SqlState::code) {
        Some("25006" | "57P01" | "57P02" | "57P03") => Fate::AllBroken,
        Some(code) if code.starts_with("08") => Fate::AllBroken,
        Some("26000" | "0A000" | "25P03") => Fate::Broken,
        Some(_) => Fate::Usable,
        None if error.is_closed() => Fate::AllBroken,
        None => Fate::Broken,
    }
}

/// Results of this crate.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;
