//! The pool of connections and [`Store`], the handle that everybody holds.

use crate::error::Result;
use crate::settings::Settings;

/// A cheap, cloneable handle to the database. Connections are bounded per process; a session that PostgreSQL declares
/// unusable (25006, 57P01, 08*) drops the pool.
#[derive(Clone)]
pub struct Store {
    _private: (),
}

impl Store {
    /// Makes the pool; connects lazily, so it does not fail when PostgreSQL is away.
    pub fn new(_settings: &Settings) -> Result<Self> {
        todo!()
    }

    /// One round trip.
    pub async fn ping(&self) -> Result<()> {
        todo!()
    }

    /// Whether the last statement or ping reached PostgreSQL.
    pub fn is_up(&self) -> bool {
        todo!()
    }

    /// Closes all connections; later calls fail with `Unavailable`.
    pub fn close(&self) {
        todo!()
    }
}
