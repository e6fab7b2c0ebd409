//! The committed CustomResourceDefinitions are what this build generates.
//!
//! `NANOMON_REGENERATE=1 cargo test -p nanomon-crds --test crd_drift` writes them anew (so does `nanomon crds`).

use std::path::Path;

#[test]
fn committed_definitions_are_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/nanomon/crds/monitors.yaml");
    let yaml = nanomon_crds::crd::crd_yaml();
    if std::env::var_os("NANOMON_REGENERATE").is_some() {
        std::fs::write(&path, &yaml).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == yaml, "charts/nanomon/crds/monitors.yaml is stale: run `nanomon crds > {}`", path.display());
}

#[test]
fn definitions_stay_small() {
    assert!(nanomon_crds::crd::crd_yaml().len() < 200 * 1024);
}
