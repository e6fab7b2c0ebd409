//! The whole product in one process, used as its users do: manifests in a folder, the API, signals.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{NANOMON, Standalone, request, wait_for};
use nanomon_testkit::http::HttpServer;
use serde_json::json;

const SOON: Duration = Duration::from_secs(20);

struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("nm").tempdir().unwrap();
        // PostgreSQL runs under another user when the tests run as root.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::create_dir(dir.path().join("monitors")).unwrap();
        Self { dir }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn monitors(&self) -> PathBuf {
        self.dir.path().join("monitors")
    }

    fn start(&self) -> Standalone {
        Standalone::start(&self.data(), Some(&self.monitors()))
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.monitors().join(file), text).unwrap();
    }
}

fn manifest(name: &str, url: &str) -> String {
    format!(
        "apiVersion: nanomon.io/v1alpha1\nkind: Monitor\nmetadata: {{name: {name}}}\nspec:\n  interval: 1s\n  http: {{url: \"{url}\"}}\n  rule: status == 200\n---\n"
    )
}

fn state(running: &Standalone, name: &str) -> Option<String> {
    Some(running.monitor(name)?["state"]["status"].as_str()?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_becomes_results_and_outlives_restarts() {
    let target = HttpServer::start().await.unwrap();
    let home = Home::new();
    home.write("a.yaml", &manifest("a", &target.url("/ok")));
    let began = Instant::now();
    let running = home.start();
    wait_for("the first result", SOON, || (state(&running, "a")? == "OK").then_some(()));
    println!("empty data folder to first stored result: {:.2} s", began.elapsed().as_secs_f64());
    let id = running.monitor("a").unwrap()["id"].as_i64().unwrap();
    let results = running.get(&format!("/api/monitors/{id}/results"));
    assert_eq!(results[0]["status"], 0);
    assert_eq!(results[0]["outputs"]["status"], 200);

    // A second file is taken up live; a faulty one is passed over; a removed one ends its monitor.
    home.write("b.yaml", &manifest("b", &target.url("/status/500")));
    home.write("broken.yaml", "apiVersion: nanomon.io/v1alpha1\nkind: Monitor\nspec: {");
    wait_for("the state of b", SOON, || (state(&running, "b")? == "Error").then_some(()));
    std::fs::remove_file(home.monitors().join("b.yaml")).unwrap();
    wait_for("b to go", SOON, || running.monitor("b").is_none().then_some(()));

    // The predecessor's form through the API, beside the folder.
    let (status, created) = running.call(
        "POST",
        "/api/monitors",
        Some(&json!({"name": "Port", "type": "tcp", "interval": "1s", "target": target.addr().to_string()})),
    );
    assert_eq!(status, 200, "{created}");
    let created = created["id"].as_i64().unwrap();
    wait_for("its result", SOON, || {
        running.get(&format!("/api/monitors/{created}/results")).as_array()?.first().map(|_| ())
    });

    let (_, metrics) = request(running.metrics, "GET", "/metrics", None);
    assert!(metrics.contains("nanomon_up{"), "{metrics}");
    assert!(metrics.contains(r#"result="_status""#), "{metrics}");
    let (status, page) = request(running.web, "GET", "/", None);
    assert_eq!(status, 200, "{page}");

    // Killed without warning, PostgreSQL included or left behind: the next start finds everything.
    let mut running = running;
    running.child.kill().unwrap();
    running.child.wait().unwrap();
    let again = home.start();
    let before = again.monitor("a").unwrap();
    assert_eq!(before["id"].as_i64(), Some(id));
    wait_for("new results", SOON, || {
        let newest = again.get(&format!("/api/monitors/{id}/results?max=1"))[0]["date"].as_str()?.to_owned();
        (newest.as_str() > results[0]["date"].as_str()?).then_some(())
    });
    assert!(again.monitor("port").is_some());

    // Stopped in order, nothing is left running.
    let mut again = again;
    again.signal("TERM");
    let ended = wait_for("the end", Duration::from_secs(30), || again.child.try_wait().unwrap());
    assert!(ended.success(), "{ended}");
    assert!(!home.data().join("postgres/postmaster.pid").exists(), "PostgreSQL was stopped in order");
}

#[test]
fn a_data_folder_serves_one_process() {
    let home = Home::new();
    let first = home.start();
    let second = Command::new(NANOMON)
        .args(["standalone", "--port", "0", "--frontend-port", "0", "--data-dir"])
        .arg(home.data())
        .stdout(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(2));
    let said = common::text(&second.stderr);
    assert!(said.contains("in use by another nanomon standalone"), "{said}");
    drop(first);
}

#[test]
fn bad_settings_are_named() {
    for (args, field) in [
        (vec!["standalone", "--monitors", "no-such-folder"], "no-such-folder"),
        (vec!["standalone", "--port", "70000"], "--port"),
        (vec!["standalone", "--database-url", "host=x colour=red"], "colour"),
        (vec!["standalone", "--port", "0", "--frontend-port", "0", "--postgres-bin", "/nowhere"], "postgres-bin"),
        // An empty one counts as absent, so that the fault is another.
        (vec!["standalone", "--postgres-bin", "", "--monitors", "no-such-folder"], "no-such-folder"),
        (vec!["operator", "--writes-per-second=-1"], "--writes-per-second"),
    ] {
        let output = common::nanomon(&args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let said = common::text(&output.stderr);
        assert!(said.contains(field), "{args:?}: {said}");
    }
}
