//! The store against a real PostgreSQL: one throw-away instance per run, a database per test.

mod definitions;
mod figures;
mod histories;
mod membership;
mod results;
mod retention;
mod support;
