//! Parts of the measurements: the light target and its log, and what `/proc` says of a process tree.

pub mod proc;
pub mod stats;
pub mod target;
