//! The REST API and the host of the single-page application.
//!
//! ```text
//!  request ─▶ router (guards) ─▶ routes ─▶ board (lists, states) ─▶ view ─▶ JSON
//!                                   │ └──▶ store (results, charts)
//!                                   └────▶ writer (database | Kubernetes)
//! ```
//!
//! It never dials a target: run now and drafts are rows that a runner takes.

pub mod auth;
pub mod board;
pub mod config;
pub mod definition;
pub mod error;
pub mod extract;
pub mod flight;
pub mod host_guard;
pub mod metrics;
pub mod openapi;
pub mod router;
pub mod routes;
pub mod server;
pub mod spa;
pub mod state;
pub mod view;
pub mod writer;

pub use config::{ApiConfig, AuthSettings, ClusterConfig, ConfigError, Mode};
pub use metrics::ApiMetrics;
pub use openapi::openapi_json;
pub use server::{ServeError, serve};
