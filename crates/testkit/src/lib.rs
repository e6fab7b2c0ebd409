//! Real parts for tests: a throw-away PostgreSQL, faulty HTTP, TCP and DNS servers.

pub mod dns;
mod guard;
pub mod http;
pub mod postgres;
pub mod tcp;
pub mod tls;
