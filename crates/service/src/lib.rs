//! Process plumbing shared by all parts: telemetry, the admin port, readiness and ordered shutdown.

pub mod admin;
pub mod exposition;
pub mod readiness;
pub mod shutdown;
pub mod telemetry;

pub use exposition::{Exposition, MetricsSource};
pub use readiness::Readiness;
