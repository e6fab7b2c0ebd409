//! Rebuilds when the dashboard's build changes: its files are compiled in, and new ones are seen only by the folder.

fn main() {
    println!("cargo:rerun-if-changed=../frontend/dist");
}
