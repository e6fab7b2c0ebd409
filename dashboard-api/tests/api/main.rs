//! The API against a real PostgreSQL.

mod bad_input;
mod board;
mod guards;
mod kubernetes;
mod openapi;
mod reference_client;
mod routes;
mod spa;
mod support;
