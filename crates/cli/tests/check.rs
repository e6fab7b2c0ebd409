//! `nanomon check`, `import` and `crds` as a pipeline uses them: by exit status and output.

mod common;

use common::{nanomon, text};
use nanomon_testkit::http::HttpServer;
use serde_json::Value;

fn monitor(name: &str, url: &str, rule: &str) -> String {
    format!(
        "apiVersion: nanomon.io/v1alpha1\nkind: Monitor\nmetadata:\n  name: {name}\nspec:\n  interval: 10s\n  http:\n    url: {url}\n  rule: {rule}\n---\n"
    )
}

fn examples() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples").to_owned()
}

#[test]
fn all_examples_are_valid() {
    let output = nanomon(&["check", "--offline", "-f", &examples()]);
    assert!(output.status.success(), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("monitors are valid, 0 faults"));
}

#[test]
fn all_examples_run_and_say_why_they_fail() {
    let output = nanomon(&["check", "-f", &examples(), "-o", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let results = report["results"].as_array().unwrap();
    assert_eq!(results.len() as u64, report["valid"].as_u64().unwrap());
    assert!(results.len() >= 8);
    for result in results {
        let ok = result["status"] == "OK";
        assert_eq!(ok, result["reason"] == "ok", "{result}");
        assert!(result["durationMs"].as_f64().unwrap() < 20_000.0, "{result}");
    }
    let loopback = results.iter().find(|r| r["name"] == "loopback").unwrap();
    assert_eq!(loopback["status"], "OK", "{loopback}");
    assert_eq!(loopback["outputs"]["packetsRecv"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_status_tells_ok_from_not_ok_from_faulty() {
    let server = HttpServer::start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let good = dir.path().join("good.yaml");
    let check = |extra: &[&str]| {
        let mut args = vec!["check", "-f", dir.path().to_str().unwrap()];
        args.extend(extra);
        nanomon(&args)
    };

    std::fs::write(&good, monitor("a", &server.url("/ok"), "status == 200")).unwrap();
    let output = check(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("1 of 1 monitors OK"));

    std::fs::write(&good, monitor("a", &server.url("/ok"), "status == 500")).unwrap();
    let output = check(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("rule_false"));

    // A bad file beside a good one: the good one runs, the bad one is named with its line.
    std::fs::write(&good, monitor("a", &server.url("/ok"), "status == 200")).unwrap();
    let bad = monitor("b", "ftp://x.example/", "status == 200").replace("---\n", "") + "  colour: red\n";
    std::fs::write(dir.path().join("bad.yaml"), bad).unwrap();
    let output = check(&[]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stdout);
    assert!(said.contains("1 of 1 monitors OK"), "{said}");
    assert!(said.contains("bad.yaml:10:") && said.contains("colour"), "{said}");

    // So is a file that is no text at all.
    std::fs::write(dir.path().join("bad.yaml"), b"\xff\xfe").unwrap();
    let output = check(&[]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stdout);
    assert!(said.contains("1 of 1 monitors OK"), "{said}");
    assert!(said.contains("bad.yaml:1:1: cannot be read"), "{said}");

    let hits = server.hits("/ok");
    let output = check(&["--offline"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(server.hits("/ok"), hits, "offline does not probe");
}

#[test]
fn a_missing_file_is_named() {
    let output = nanomon(&["check", "-f", "no-such-file.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no-such-file.yaml"));
}

#[test]
fn crds_are_those_of_the_chart() {
    let committed =
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../charts/nanomon/crds/monitors.yaml")).unwrap();
    assert_eq!(text(&nanomon(&["crds"]).stdout), text(&committed), "run `make generate`");
}

#[test]
fn import_writes_what_check_accepts() {
    let dir = tempfile::tempdir().unwrap();
    let (export, manifests) = (dir.path().join("export.json"), dir.path().join("monitors.yaml"));
    std::fs::write(
        &export,
        r#"[{"name":"Shop","type":"http","interval":"30s","target":"https://shop.example/","rule":"status == 200"}]"#,
    )
    .unwrap();
    let output = nanomon(&["import", export.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    std::fs::write(&manifests, &output.stdout).unwrap();
    let output = nanomon(&["check", "--offline", "-f", manifests.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stdout));
    let output = nanomon(&["import", "--namespace", "My Shop", export.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains(r#"namespace "My Shop""#), "{}", text(&output.stderr));
    assert!(output.stdout.is_empty());
}
