//! The domain of NanoMon: what a monitor is, what a run of it found, and what follows from that.
//!
//! ```text
//!  MonitorDef ──slot──▶ (run, by the runner) ──▶ Outcome ──rule──▶ Verdict ──fold──▶ SeriesState, Transition
//!      │                                            │                │
//!   shard (who runs it)                       codec (bytes)     rollup (uptime)
//! ```
//!
//! Everything here is pure: no I/O, no clock, no async. `now` is always an argument.

pub mod codec;
pub mod duration;
pub mod monitor;
pub mod outcome;
pub mod reason;
pub mod rollup;
pub mod rule;
pub mod shard;
pub mod slot;
pub mod status;
pub mod verdict;

pub use monitor::{MonitorDef, ProbeType, Target};
pub use outcome::{Outcome, OutputId, OutputValue, Outputs};
pub use reason::Reason;
pub use verdict::{Status, Verdict};
