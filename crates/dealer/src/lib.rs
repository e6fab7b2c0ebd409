//! Who holds the dealer's lease row and writes the shard map.
//!
//! Operators and runners compete for the lease row `dealer` in PostgreSQL; who holds it looks at the runners' heartbeats once
//! a second, deals shards ([`nanomon_core::shard`]) under the lease's epoch, keeps partitions and retention, and looks for
//! monitors that fell silent. Everybody else only looks whether the lease is free.

mod judge;
mod round;

use std::time::Duration;

use nanomon_sql::retention::Retention;
use nanomon_sql::{Store, StoreError};
use tokio_util::sync::CancellationToken;

pub use judge::{DEAD_AFTER, Judge};

/// Name of the lease.
pub const LEASE: &str = "dealer";
/// For how long the lease is taken.
pub const LEASE_TTL: Duration = Duration::from_secs(5);
/// Time between two rounds.
pub const ROUND: Duration = Duration::from_secs(1);
/// A statement that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(4);

/// Settings of a competitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DealerConfig {
    /// What makes it one and the same: the pod's UID, or a stable name of the process.
    pub holder: String,
    /// How long nobody must have held the lease before it competes: zero for operators and standalone, 10 s for runners.
    pub takeover_after: Duration,
    /// What is kept.
    pub retention: Retention,
}

/// Competes and deals until `stop`, then gives the lease back.
pub async fn run(store: Store, config: DealerConfig, stop: CancellationToken) {
    let mut dealer = round::Dealer::new(store.clone(), config.clone());
    let mut was_away = false;
    while !stop.is_cancelled() {
        let pause = match within_patience(dealer.round()).await {
            Ok(pause) => {
                was_away = false;
                pause
            }
            Err(error) => {
                dealer.interrupted();
                if !std::mem::replace(&mut was_away, true) {
                    tracing::warn!(error = &error as &dyn std::error::Error, "dealing shards is interrupted");
                }
                ROUND
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => {}
        }
    }
    // Not given back in time, it runs out by itself.
    let _ = within_patience(dealer.release()).await;
}

async fn within_patience<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(result) => result,
        Err(elapsed) => Err(StoreError::Unavailable(Box::new(elapsed))),
    }
}
