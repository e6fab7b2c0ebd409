//! Watches Monitors, writes them to PostgreSQL, reports status.
//!
//! ```text
//!  API server ──watch──▶ Objects ──dirty──▶ sync ──batches──▶ PostgreSQL
//!                          │  ▲                                  │
//!        write_budget ◀─status  └──────────── health_feed ◀──────┘
//!             │
//!             └──▶ status patches and Events, while the lease is held
//! ```
//!
//! Every replica watches, so that a new leader starts warm; only the holder of the Kubernetes lease writes. Its writes of
//! definitions carry the epoch that it took when its term began, so that a frozen old leader changes nothing after it thaws.
//! Dealing shards is another matter (`nanomon-dealer`) and needs PostgreSQL alone.

pub mod config;
pub mod error;
mod events;
mod health_feed;
pub mod installation;
pub mod leader;
pub mod metrics;
mod monitor_controller;
mod objects;
mod resync;
mod run;
mod status_writer;
mod write_budget;

pub use config::OperatorConfig;
pub use error::OperatorError;
pub use run::run;
