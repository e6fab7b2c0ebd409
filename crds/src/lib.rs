//! The Kubernetes API types of nanomon.io and their conversion into the domain.
//!
//! ```text
//!  YAML file ──manifest──▶ Monitor ──convert──▶ nanomon_core::MonitorDef
//!  REST form ──legacy────▶ MonitorSpec ──┘
//! ```
//!
//! [`v1alpha1`] holds the types and, beside each field, what the API server refuses. [`convert`] checks the same bounds
//! again (an object may have been stored under a looser schema, a file never saw an API server) and is the only way
//! from a spec to a definition that runs.

pub mod conditions;
pub mod convert;
pub mod crd;
mod grammar;
pub mod legacy;
pub mod manifest;
mod names;
pub mod owner;
pub mod v1alpha1;

pub use convert::{Fault, Faults, FieldError};
pub use names::object_name_for;
pub use v1alpha1::monitor::{Monitor, MonitorSpec};
pub use v1alpha1::status::MonitorStatus;

/// The API group of every kind here.
pub const GROUP: &str = "nanomon.io";
/// The version of every kind here.
pub const VERSION: &str = "v1alpha1";
/// `group/version`, as manifests write it.
pub const API_VERSION: &str = "nanomon.io/v1alpha1";
