//! The parts of a cluster as processes, each with the rights of its own `rbac.yaml` and nothing more.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use kube::{Client, Config};
use serde_json::json;

use crate::operator::rights;
use crate::stack::{Program, Stack, free_port};
use crate::{ControlPlane, eventually};

/// The release's namespace and the accounts of its parts.
#[derive(Debug)]
pub struct Release {
    namespace: String,
    operator: PathBuf,
    api: PathBuf,
    dir: tempfile::TempDir,
}

impl Release {
    /// Makes the namespace, the accounts and their rights.
    pub async fn prepare(plane: &ControlPlane) -> Result<Self> {
        let namespace = plane.namespace("release").await?;
        plane.apply(&rights(include_str!("../../operator/rbac.yaml"), &namespace)?).await?;
        plane.apply(&rights(include_str!("../../dashboard-api/rbac.yaml"), &namespace)?).await?;
        let dir = tempfile::tempdir()?;
        let mut release = Self { namespace, operator: PathBuf::new(), api: PathBuf::new(), dir };
        release.operator = release.account(plane, "nanomon-operator").await?;
        release.api = release.account(plane, "nanomon-api").await?;
        Ok(release)
    }

    /// A kubeconfig of the account, once its rights have reached the authorizer.
    async fn account(&self, plane: &ControlPlane, name: &str) -> Result<PathBuf> {
        let config = plane.config_of_account(&self.namespace, name).await?;
        let client = Client::try_from(config.clone())?;
        eventually("the account may read kube-system", Duration::from_secs(20), || async {
            let read = nanomon_operator::installation::read(client.clone(), &self.namespace, "nanomon").await;
            Ok(read.ok())
        })
        .await?;
        let path = self.dir.path().join(name);
        std::fs::write(&path, kubeconfig(&config)?)?;
        Ok(path)
    }

    /// Starts `nanomon operator` for these namespaces.
    pub async fn operator(&self, stack: &Stack, namespaces: &str) -> Result<Program> {
        let port = free_port()?;
        let mut command = self.part(stack, "operator", &self.operator, port);
        command.args(["--watch-namespaces", namespaces, "--name", "operator-0"]);
        let mut program = stack.spawn("operator", command, [port, port])?;
        program.up().await?;
        Ok(program)
    }

    /// Starts `nanomon api`, with writes allowed to everybody.
    pub async fn api(&self, stack: &Stack) -> Result<Program> {
        let [admin, port] = [free_port()?, free_port()?];
        let mut command = self.part(stack, "api", &self.api, admin);
        command.args(["--listen", "127.0.0.1", "--port", &port.to_string(), "--allow-anonymous-writes"]);
        let mut program = stack.spawn("api", command, [admin, port])?;
        program.up().await?;
        Ok(program)
    }

    fn part(&self, stack: &Stack, name: &str, kubeconfig: &PathBuf, admin: u16) -> Command {
        let mut command = Command::new(&stack.executable);
        command.args([name, "--database-url", &stack.dsn, "--release-namespace", &self.namespace]);
        command.args(["--prometheus-port", &admin.to_string(), "--admin-listen", "127.0.0.1"]);
        command.env("KUBECONFIG", kubeconfig);
        command
    }
}

/// The configuration as a file that `nanomon` and kubectl read.
fn kubeconfig(config: &Config) -> Result<String> {
    use std::fmt::Write as _;
    let mut authority = String::new();
    for der in config.root_cert.as_deref().unwrap_or_default() {
        write!(authority, "{}", pem(der))?;
    }
    let token =
        serde_json::to_value(&config.auth_info)?["token"].as_str().context("an account has a token")?.to_owned();
    let cluster =
        json!({ "server": config.cluster_url.to_string(), "certificate-authority-data": base64(authority.as_bytes()) });
    let file = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{ "name": "test", "cluster": cluster }],
        "users": [{ "name": "test", "user": { "token": token } }],
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
    });
    Ok(file.to_string())
}

fn pem(der: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", base64(der))
}

/// Standard base64 with padding; a library for these few lines would be the harness's only use of it.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().chain([0, 0].iter()).take(3).fold(0u32, |word, byte| word << 8 | u32::from(*byte));
        for place in 0..4 {
            let letter = ALPHABET[(word >> (18 - 6 * place) & 63) as usize] as char;
            text.push(if place <= chunk.len() { letter } else { '=' });
        }
    }
    text
}
