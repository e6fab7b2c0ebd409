//! The executable from outside: run it, or keep a standalone running.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "each test binary uses its part, fails by panicking, and is a client of ours"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

pub const NANOMON: &str = env!("CARGO_BIN_EXE_nanomon");

/// Runs a subcommand to its end.
pub fn nanomon(args: &[&str]) -> Output {
    Command::new(NANOMON).args(args).env_remove("POSTGRES_DSN").output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Polls until the closure has an answer.
pub fn wait_for<T>(what: &str, deadline: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < deadline, "{what}: not within {deadline:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A running standalone on free ports; stopped when dropped.
pub struct Standalone {
    pub child: Child,
    pub api: u16,
    pub web: u16,
    pub metrics: u16,
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Standalone {
    /// Starts it and waits for its line on stdout.
    pub fn start(data_dir: &Path, monitors: Option<&Path>) -> Self {
        let (api, web, metrics) = (free_port(), free_port(), free_port());
        // It ends with the test also when that is killed: the system sends it a signal.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", NANOMON, "standalone", "--data-dir"]).arg(data_dir);
        if let Some(monitors) = monitors {
            command.arg("--monitors").arg(monitors);
        }
        let mut child = command
            .env("PORT", api.to_string())
            .env("FRONTEND_PORT", web.to_string())
            .env("PROMETHEUS_PORT", metrics.to_string())
            .env("PROMETHEUS_ENABLE", "true")
            .env_remove("POSTGRES_DSN")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let running = Self { child, api, web, metrics };
        assert!(line.starts_with("NanoMon is running"), "said {line:?}");
        running
    }

    pub fn signal(&self, name: &str) {
        assert!(
            Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status().unwrap().success()
        );
    }

    /// A request to the API; (status, body).
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let (status, text) = request(self.api, method, path, body.map(Value::to_string).as_deref());
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub fn get(&self, path: &str) -> Value {
        let (status, body) = self.call("GET", path, None);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// The monitor of this object name, as the list shows it.
    pub fn monitor(&self, name: &str) -> Option<Value> {
        self.get("/api/monitors").as_array().unwrap().iter().find(|m| m["objectName"] == name).cloned()
    }
}

impl Drop for Standalone {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            self.signal("TERM");
            let _ = self.child.wait();
        }
    }
}

/// One HTTP/1.1 request to loopback; (status, body).
pub fn request(port: u16, method: &str, path: &str, body: Option<&str>) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let body = body.unwrap_or_default();
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}
