//! PostgreSQL: migrations, the schema and every SQL statement of the product, as `noun_verb` methods of [`Store`].
//!
//! Wake-ups come by NOTIFY, correctness by polling ([`notify`]); definitions are followed by `heads.catalog_rev`
//! ([`monitors`]); results are written in batches that fold states and add rollups in the same transaction ([`results`]).

pub mod board;
mod dsn;
pub mod error;
pub mod heads;
mod health;
pub mod history;
mod kept;
pub mod leases;
pub mod metrics;
pub mod migrate;
pub mod monitors;
pub mod notify;
mod partitions;
pub mod pool;
pub mod probe_requests;
mod replay;
pub mod results;
pub mod retention;
pub mod rollups;
pub mod runners;
mod session;
pub mod settings;
pub mod shards;
mod tls;
pub mod verify;

pub use error::StoreError;
pub use pool::Store;
pub use settings::Settings;

/// `monitors.id`: what the API calls `id`. Never reused.
pub type MonitorId = i32;
/// `series.id`: a (monitor, pool).
pub type SeriesId = i32;
/// `pools.id`.
pub type PoolId = i16;
/// `runners.id`; reused only after raw retention.
pub type RunnerId = i16;
/// A whole Unix second: the key of a result.
pub type Slot = i32;
/// `heads.catalog_rev`: revision order is commit order.
pub type Revision = i64;
