//! Standalone's own PostgreSQL: found on the machine, initialised once, run as a direct child on a socket only, never as
//! root, and stopped with us.

mod account;
mod locate;
mod server;

pub use account::is_root;
pub use locate::locate;
pub use server::Server;
