//! Parts of the measurements: what `/proc` says of a process tree. The light target is the tests' too: `nanomon_testkit::light`.

pub mod proc;
