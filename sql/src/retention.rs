//! Partitions ahead and on demand; retention by days and bytes. Driven by the holder of the lease `dealer`.

use crate::Store;
use crate::error::Result;

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Days of raw results (default 30).
    pub raw_days: u32,
    /// Days of 5-minute rollups (default 8).
    pub five_minute_days: u32,
    /// Days of hourly rollups (default 396).
    pub hour_days: u32,
    /// Days of daily rollups (default 1,827).
    pub day_days: u32,
    /// Days until a tombstone's history goes (default 7).
    pub tombstone_days: u32,
    /// Bytes of the database after which the oldest raw day goes first; `None`: no bound.
    pub max_bytes: Option<u64>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { raw_days: 30, five_minute_days: 8, hour_days: 396, day_days: 1827, tombstone_days: 7, max_bytes: None }
    }
}

/// What a round of maintenance did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Partitions made.
    pub created: Vec<String>,
    /// Partitions dropped.
    pub dropped: Vec<String>,
    /// Days for which a raw partition exists ahead of now.
    pub days_ahead: i32,
    /// Tombstones removed for good.
    pub tombstones_purged: u64,
}

impl Store {
    /// Makes partitions 7 days ahead, drops what retention no longer keeps, purges old tombstones and probe requests.
    pub async fn maintain(&self, _retention: &Retention) -> Result<Maintained> {
        todo!()
    }
}
