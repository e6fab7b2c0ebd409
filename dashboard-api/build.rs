//! Rebuilds when the dashboard's build changes: its files are compiled in, and new ones are seen only by the folder.

#![expect(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]

fn main() {
    println!("cargo:rerun-if-changed=../frontend/dist");
}
