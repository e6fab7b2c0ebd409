//! Probes targets at their slots, judges outcomes, stores results.
//!
//! [`run::run`] is a runner from start to end; [`probe`] are the probes alone, as `nanomon check` uses them.

pub mod agenda;
pub mod buffer;
pub mod catalog;
pub mod clock;
pub mod compiler;
pub mod config;
pub mod histogram;
pub mod judge;
pub mod meter;
pub mod metrics;
pub mod pacer;
pub mod plan;
pub mod probe;
pub mod recorder;
pub mod registry;
pub mod requests;
pub mod run;
pub mod scheduler;
pub mod stall;
pub mod stats;
pub mod steward;
pub mod window;
pub mod worker;

pub use config::{Bounds, RunnerConfig};
pub use metrics::MetricsHandle;
pub use run::{RunError, run};
