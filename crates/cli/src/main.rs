//! The nanomon executable.
fn main() {}
