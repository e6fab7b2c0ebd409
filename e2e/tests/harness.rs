//! The harness leaves nothing behind, however the test process ends.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use nanomon_e2e::eventually;

#[tokio::test]
async fn a_killed_test_leaves_nothing() {
    if std::env::var("NANOMON_E2E_CLUSTER").is_ok() {
        return;
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_controlplane"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let kubeconfig =
        lines.map_while(Result::ok).find_map(|line| line.split_once("KUBECONFIG=").map(|(_, path)| path.to_owned()));
    let kubeconfig = std::path::PathBuf::from(kubeconfig.expect("the child says where"));
    let dir = kubeconfig.parent().unwrap().to_owned();
    let pids: Vec<String> =
        ["etcd", "apiserver"].map(|name| std::fs::read_to_string(dir.join(format!("{name}.pid"))).unwrap()).into();
    let runs = |pid: &String| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&*dir.to_string_lossy())
    };
    assert!(pids.iter().all(runs));
    // SIGKILL: nothing in the child can tidy up.
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("its servers and folder are gone", Duration::from_secs(30), || async {
        Ok((!dir.exists() && !pids.iter().any(runs)).then_some(()))
    })
    .await
    .unwrap();
}
