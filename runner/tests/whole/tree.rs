//! What a runner is made of.

use std::process::Command;

use anyhow::{Result, ensure};

/// A runner holds no Kubernetes credentials, so it needs no client for it either.
#[test]
fn a_runner_does_not_depend_on_kubernetes() -> Result<()> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--package", "nanomon-runner", "--edges", "normal", "--prefix", "none"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout)?;
    ensure!(tree.contains("nanomon-core"), "{tree}");
    for line in tree.lines() {
        let name = line.split(' ').next().unwrap_or_default();
        ensure!(!name.starts_with("kube") && !name.starts_with("k8s"), "{line}");
        ensure!(!name.starts_with("aws-lc") && name != "openssl" && name != "openssl-sys", "{line}");
    }
    Ok(())
}
