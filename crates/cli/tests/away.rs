//! What a process of a cluster does while what it needs is away: it lives, is not ready, and says why.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "fails by panicking, and is a client of ours")]

mod common;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};
use std::time::Duration;

use common::{NANOMON, free_port, request, wait_for};

const PATIENCE: Duration = Duration::from_secs(30);

/// The API of a cluster; killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Answers every request on this port with the namespace kube-system, for as long as the test runs.
fn answer_as_kubernetes(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            while lines.next().is_some_and(|line| !line.is_empty()) {}
            let body = r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"kube-system","uid":"7"}}"#;
            let _ = write!(
                &stream,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
}

#[test]
fn the_api_waits_for_kubernetes() {
    let folder = tempfile::tempdir().unwrap();
    let (kubernetes, admin) = (free_port(), free_port());
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(
        &kubeconfig,
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{kubernetes}'}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {{}}}}]\n"
        ),
    )
    .unwrap();
    // It ends with the test also when that is killed: the system sends it a signal.
    let mut api = Running(
        Command::new("setpriv")
            .args(["--pdeathsig", "TERM", NANOMON, "api", "--listen", "127.0.0.1", "--admin-listen", "127.0.0.1"])
            .env("KUBECONFIG", &kubeconfig)
            .env("POSTGRES_DSN", format!("postgres://nobody@127.0.0.1:{}/none?sslmode=disable", free_port()))
            .env("PORT", free_port().to_string())
            .env("PROMETHEUS_PORT", admin.to_string())
            .spawn()
            .unwrap(),
    );
    let ready = || TcpStream::connect(("127.0.0.1", admin)).ok().map(|_| request(admin, "GET", "/readyz", None));
    let (status, text) = wait_for("it says that Kubernetes is away", PATIENCE, || {
        ready().filter(|(_, text)| text.contains("kubernetes: reading the UID of namespace kube-system"))
    });
    assert_eq!(status, 503, "{text}");
    assert_eq!(request(admin, "GET", "/livez", None).0, 200);
    assert_eq!(api.0.try_wait().unwrap(), None);

    answer_as_kubernetes(kubernetes);
    let (status, text) =
        wait_for("Kubernetes is there", PATIENCE, || ready().filter(|(_, text)| !text.contains("kubernetes")));
    assert_eq!(status, 503);
    assert!(text.starts_with("database: "), "{text}");

    assert!(Command::new("kill").args(["-TERM", &api.0.id().to_string()]).status().unwrap().success());
    let ended = wait_for("it ends after a signal", PATIENCE, || api.0.try_wait().unwrap());
    assert!(ended.success(), "{ended}");
}
