//! The API against a real PostgreSQL.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]
#![expect(clippy::needless_pass_by_value, reason = "json!(…) reads better than &json!(…) in tables")]

mod bad_input;
mod board;
mod guards;
mod kubernetes;
mod openapi;
mod reference_client;
mod routes;
mod server;
mod spa;
mod support;
