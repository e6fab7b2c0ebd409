//! Real parts for tests: a throw-away PostgreSQL, faulty HTTP, TCP and DNS servers.

pub mod postgres;
