//! The store against a real PostgreSQL: one throw-away instance per run, a database per test.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::large_futures,
    reason = "tests: helpers fail by panicking, and stacks are large"
)]

mod definitions;
mod faults;
mod figures;
mod histories;
mod membership;
mod reads;
mod results;
mod retention;
mod schema;
mod support;
mod tls;
mod verify;
