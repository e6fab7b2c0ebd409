//! Probes targets at their slots, judges outcomes, stores results.

pub mod probe;
