//! Version `v1alpha1` of the API. Within it schemas are only ever loosened.

pub mod monitor;
mod rules;
pub mod status;
