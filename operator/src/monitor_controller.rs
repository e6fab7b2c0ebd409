//! From a Monitor in the API server to a row in PostgreSQL and back to its status. The folder is the pipeline.

pub(crate) mod status;
pub(crate) mod sync;
pub(crate) mod validate;
pub(crate) mod watch;
