//! The store against a real PostgreSQL: one throw-away instance per run, a database per test.

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
mod verify;
