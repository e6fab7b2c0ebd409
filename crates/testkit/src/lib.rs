//! Real parts for tests: a throw-away PostgreSQL and a faulty way to it, faulty HTTP, TCP and DNS servers, a light target, guarded
//! processes.

pub mod dns;
mod guard;
pub mod http;
pub mod light;
pub mod pg_proxy;
pub mod postgres;
pub mod process;
pub mod tcp;
pub mod tls;
