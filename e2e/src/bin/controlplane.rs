//! A control plane for the developer: starts one with our CustomResourceDefinitions and keeps it until Ctrl-C or the end of
//! its input.

#![expect(clippy::print_stdout, reason = "a tool of the command line")]

use nanomon_e2e::ControlPlane;
use tokio::io::AsyncReadExt as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let plane = ControlPlane::start().await?;
    if let Some(kubeconfig) = plane.kubeconfig() {
        println!("export KUBECONFIG={}", kubeconfig.display());
    }
    let mut ignored = Vec::new();
    let mut input = tokio::io::stdin();
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = input.read_to_end(&mut ignored) => {}
    }
    Ok(())
}
