//! A real control plane for tests: etcd and kube-apiserver on loopback, RBAC on, in a temporary folder.
//!
//! The programs are built once per machine by `controlplane/build.sh` (or come from `KUBEBUILDER_ASSETS`). With
//! `NANOMON_E2E_CLUSTER=existing` the cluster of the current `KUBECONFIG` is used instead; it is a wish of its own, since
//! the tests install the CustomResourceDefinitions there and make thousands of objects.
//!
//! What is started here is stopped when [`ControlPlane`] is dropped, and a watchdog does it when the test process dies in
//! any other way (it waits for the end of a pipe that only the test process holds).

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::pki::Authority;
use crate::wait::eventually;

/// How long a part may take to start or stop. Other work may hold both cores.
const DEADLINE: Duration = Duration::from_mins(2);

/// A running control plane.
pub struct ControlPlane {
    admin: Config,
    kubeconfig: Option<PathBuf>,
    local: Option<Local>,
}

/// The parts that we started.
struct Local {
    dir: PathBuf,
    authority: Authority,
    servers: Mutex<Servers>,
    watchdog: Child,
    /// Closed to tell the watchdog that we are gone.
    pipe: Option<ChildStdin>,
}

#[derive(Default)]
struct Servers {
    etcd: Option<Child>,
    apiserver: Option<Child>,
    ports: Ports,
}

#[derive(Clone, Copy, Default)]
struct Ports {
    etcd: u16,
    peer: u16,
    api: u16,
}

/// Waits for the end of its input, then ends the processes whose ids are in `$1/*.pid` (if they are still those) and
/// removes the folder.
const WATCHDOG: &str = r#"
read -r _
for file in "$1"/*.pid; do
  pid=$(cat "$file" 2>/dev/null) || continue
  if tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF "$1"; then kill -CONT "$pid"; kill -KILL "$pid"; fi
done
tries=0
while [ $tries -lt 100 ]; do rm -rf "$1" 2>/dev/null && break; sleep 0.05; tries=$((tries + 1)); done
"#;

impl ControlPlane {
    /// The control plane that all tests of this process share.
    ///
    /// # Panics
    /// If it cannot be started; the message says why.
    #[expect(clippy::panic, reason = "test support: the test must fail with this text")]
    pub async fn shared() -> &'static ControlPlane {
        static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
        SHARED
            .get_or_init(|| async {
                match ControlPlane::start().await {
                    Ok(plane) => plane,
                    Err(error) => panic!("control plane for tests: {error:#}"),
                }
            })
            .await
    }

    /// A control plane of one's own, for tests that stop it, with our CustomResourceDefinitions installed.
    pub async fn start() -> Result<Self> {
        let plane = if std::env::var("NANOMON_E2E_CLUSTER").is_ok_and(|value| value == "existing") {
            let admin = Config::infer().await.context("reading KUBECONFIG")?;
            Self { admin, kubeconfig: std::env::var_os("KUBECONFIG").map(PathBuf::from), local: None }
        } else {
            let programs = tokio::task::spawn_blocking(programs).await??;
            let local = Local::create()?;
            local.start(&programs).await?;
            let kubeconfig = local.kubeconfig("admin", "kubernetes-admin", &["system:masters"])?;
            let admin = config_of(&kubeconfig).await?;
            Self { admin, kubeconfig: Some(kubeconfig), local: Some(local) }
        };
        plane.install_definitions().await?;
        Ok(plane)
    }

    /// A client with all rights. Each call makes a new one, since a client lives no longer than its test's runtime.
    pub fn client(&self) -> Result<Client> {
        Ok(Client::try_from(self.admin.clone())?)
    }

    /// The configuration of [`Self::client`].
    pub fn config(&self) -> Config {
        self.admin.clone()
    }

    /// A kubeconfig file with all rights, for `kubectl`.
    pub fn kubeconfig(&self) -> Option<&Path> {
        self.kubeconfig.as_deref()
    }

    /// A configuration that acts as a service account by a real token of it; the account is made if it is absent.
    pub async fn config_of_account(&self, namespace: &str, name: &str) -> Result<Config> {
        use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
        use k8s_openapi::api::core::v1::ServiceAccount;
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client()?, namespace);
        let account: ServiceAccount = serde_json::from_value(json!({"metadata": {"name": name}}))?;
        match accounts.create(&PostParams::default(), &account).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
            other => {
                other?;
            }
        }
        let request = TokenRequest {
            spec: TokenRequestSpec { expiration_seconds: Some(3600 * 6), ..TokenRequestSpec::default() },
            ..TokenRequest::default()
        };
        let token = accounts.create_token_request(name, &PostParams::default(), &request).await?;
        let token = token.status.context("the token request has no status")?.token;
        let mut config = self.admin.clone();
        config.auth_info = serde_json::from_value(json!({"token": token}))?;
        Ok(config)
    }

    /// Makes a namespace with a name of its own.
    pub async fn namespace(&self, prefix: &str) -> Result<String> {
        let namespaces: Api<Namespace> = Api::all(self.client()?);
        let wanted: Namespace = serde_json::from_value(json!({"metadata": {"generateName": format!("{prefix}-")}}))?;
        let made = namespaces.create(&PostParams::default(), &wanted).await?;
        made.metadata.name.context("the namespace has no name")
    }

    /// Applies objects of any kind as the administrator.
    pub async fn apply(&self, objects: &[Value]) -> Result<()> {
        let client = self.client()?;
        let discovery = kube::discovery::Discovery::new(client.clone()).run().await?;
        for object in objects {
            let object: kube::api::DynamicObject = serde_json::from_value(object.clone())?;
            let types = object.types.clone().context("an object without kind")?;
            let gvk = kube::api::GroupVersionKind::try_from(&types)?;
            let (resource, capabilities) =
                discovery.resolve_gvk(&gvk).with_context(|| format!("unknown kind {}", types.kind))?;
            let api: Api<kube::api::DynamicObject> = match object.metadata.namespace.as_deref() {
                Some(namespace) if capabilities.scope == kube::discovery::Scope::Namespaced => {
                    Api::namespaced_with(client.clone(), namespace, &resource)
                }
                _ => Api::all_with(client.clone(), &resource),
            };
            let name = object.metadata.name.clone().context("an object without name")?;
            api.patch(&name, &PatchParams::apply("nanomon-e2e").force(), &Patch::Apply(&object)).await?;
        }
        Ok(())
    }

    /// Stops the API server; etcd keeps the objects.
    pub async fn stop_apiserver(&self) -> Result<()> {
        let local = self.local.as_ref().context("an existing cluster is not stopped")?;
        let child = local.servers().apiserver.take();
        end(child.context("the API server does not run")?).await
    }

    /// Starts the API server again.
    pub async fn start_apiserver(&self) -> Result<()> {
        let local = self.local.as_ref().context("an existing cluster is not started")?;
        let programs = tokio::task::spawn_blocking(programs).await??;
        local.start_apiserver(&programs)?;
        local.wait_ready().await
    }

    /// Installs our CustomResourceDefinitions and waits until they are served.
    pub async fn install_definitions(&self) -> Result<()> {
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client()?);
        let crd = nanomon_crds::crd::monitor_crd();
        let name = crd["metadata"]["name"].as_str().context("a definition without name")?.to_owned();
        definitions.patch(&name, &PatchParams::apply("nanomon-e2e").force(), &Patch::Apply(&crd)).await?;
        let monitors: Api<nanomon_crds::Monitor> = Api::all(self.client()?);
        eventually("Monitors are served", DEADLINE, || async {
            let established = definitions.get(&name).await?.status.is_some_and(|status| {
                status.conditions.iter().flatten().any(|c| c.type_ == "Established" && c.status == "True")
            });
            monitors.list(&ListParams::default().limit(1)).await?;
            Ok(established.then_some(()))
        })
        .await
    }

    /// Deletes all Monitors of a namespace.
    pub async fn delete_monitors(&self, namespace: &str) -> Result<()> {
        let monitors: Api<nanomon_crds::Monitor> = Api::namespaced(self.client()?, namespace);
        monitors.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
        Ok(())
    }
}

async fn config_of(kubeconfig: &Path) -> Result<Config> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    Ok(Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)
}

/// The folder of the programs; builds what is missing.
fn programs() -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("controlplane/build.sh");
    let output = Command::new(&script).stderr(Stdio::inherit()).output().context("running controlplane/build.sh")?;
    ensure!(output.status.success(), "controlplane/build.sh failed: {}", output.status);
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

impl Local {
    fn create() -> Result<Self> {
        // Not TempDir: the watchdog owns the removal, also when this process is killed.
        let dir = tempfile::Builder::new().prefix("nanomon-cp-").tempdir()?.keep();
        let mut watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "nanomon-e2e-watchdog"])
            .arg(&dir)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting the watchdog")?;
        let pipe = watchdog.stdin.take();
        let authority = Authority::create(&dir)?;
        authority.server("apiserver", &["127.0.0.1", "::1", "localhost", "kubernetes.default.svc"])?;
        authority.token_keys("accounts")?;
        Ok(Self { dir, authority, servers: Mutex::default(), watchdog, pipe })
    }

    fn servers(&self) -> std::sync::MutexGuard<'_, Servers> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.servers().ports.api)
    }

    /// Starts both servers. A free port may be taken by somebody else before its server binds it, hence the tries.
    async fn start(&self, programs: &Path) -> Result<()> {
        let mut last = None;
        for _ in 0..3 {
            let ports = Ports { etcd: free_port()?, peer: free_port()?, api: free_port()? };
            self.servers().ports = ports;
            self.start_etcd(programs)?;
            self.start_apiserver(programs)?;
            self.kubeconfig("probe", "kubernetes-admin", &["system:masters"])?;
            match self.wait_ready().await {
                Ok(()) => return Ok(()),
                Err(error) => last = Some(error),
            }
            let (etcd, apiserver) = {
                let mut servers = self.servers();
                (servers.etcd.take(), servers.apiserver.take())
            };
            for child in [etcd, apiserver].into_iter().flatten() {
                end(child).await?;
            }
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("not tried")))
    }

    fn start_etcd(&self, programs: &Path) -> Result<()> {
        let Ports { etcd, peer, .. } = self.servers().ports;
        let mut command = Command::new(programs.join("etcd"));
        command
            .arg(format!("--data-dir={}", self.dir.join("etcd").display()))
            .arg(format!("--listen-client-urls=http://127.0.0.1:{etcd}"))
            .arg(format!("--advertise-client-urls=http://127.0.0.1:{etcd}"))
            .arg(format!("--listen-peer-urls=http://127.0.0.1:{peer}"))
            .arg(format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"))
            .arg(format!("--initial-cluster=default=http://127.0.0.1:{peer}"))
            .args(["--unsafe-no-fsync", "--log-level=warn"]);
        let child = self.spawn("etcd", command)?;
        self.servers().etcd = Some(child);
        Ok(())
    }

    fn start_apiserver(&self, programs: &Path) -> Result<()> {
        let Ports { etcd, api, .. } = self.servers().ports;
        let file = |name: &str| self.dir.join(name).display().to_string();
        let mut command = Command::new(programs.join("kube-apiserver"));
        command
            .arg(format!("--etcd-servers=http://127.0.0.1:{etcd}"))
            .arg(format!("--secure-port={api}"))
            .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none"])
            .arg(format!("--cert-dir={}", file("")))
            .arg(format!("--tls-cert-file={}", file("apiserver.crt")))
            .arg(format!("--tls-private-key-file={}", file("apiserver.key")))
            .arg(format!("--client-ca-file={}", file("ca.crt")))
            .arg(format!("--service-account-key-file={}", file("accounts.pub")))
            .arg(format!("--service-account-signing-key-file={}", file("accounts.key")))
            .arg("--service-account-issuer=https://kubernetes.default.svc")
            .args(["--authorization-mode=RBAC,Node", "--service-cluster-ip-range=10.96.0.0/16", "--v=1"]);
        let child = self.spawn("apiserver", command)?;
        self.servers().apiserver = Some(child);
        Ok(())
    }

    /// Starts a program with its log in the folder and its id in a file that the watchdog reads.
    fn spawn(&self, name: &str, mut command: Command) -> Result<Child> {
        let log = fs::File::options().create(true).append(true).open(self.dir.join(format!("{name}.log")))?;
        // A process group of its own: Ctrl-C at the terminal must not reach it before the tests have ended.
        let child = command
            .process_group(0)
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", command.get_program().display()))?;
        fs::write(self.dir.join(format!("{name}.pid")), child.id().to_string())?;
        Ok(child)
    }

    async fn wait_ready(&self) -> Result<()> {
        let client = Client::try_from(config_of(&self.dir.join("probe.kubeconfig")).await?)?;
        let deadline = Instant::now() + DEADLINE;
        loop {
            let request = http::Request::get("/readyz").body(Vec::new())?;
            let answer = tokio::time::timeout(Duration::from_secs(5), client.request_text(request)).await;
            let error = match answer {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer within 5 s".to_owned(),
            };
            let exited = {
                let mut servers = self.servers();
                let Servers { etcd, apiserver, ports: _ } = &mut *servers;
                [etcd, apiserver].into_iter().flatten().any(|child| matches!(child.try_wait(), Ok(Some(_))))
            };
            if exited || Instant::now() > deadline {
                bail!(
                    "the API server is not ready ({error}); etcd's log ends with:\n{}\nits own with:\n{}",
                    self.log_tail("etcd"),
                    self.log_tail("apiserver")
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn log_tail(&self, name: &str) -> String {
        let log = fs::read(self.dir.join(format!("{name}.log"))).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// Writes `<file>.kubeconfig` for a user known by certificate.
    fn kubeconfig(&self, file: &str, user: &str, groups: &[&str]) -> Result<PathBuf> {
        self.authority.client(file, user, groups)?;
        let path = self.dir.join(format!("{file}.kubeconfig"));
        let entry = |name: &str| self.dir.join(name).display().to_string();
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "e2e",
            "clusters": [{"name": "e2e", "cluster": {"server": self.url(), "certificate-authority": entry("ca.crt")}}],
            "users": [{"name": user, "user": {
                "client-certificate": entry(&format!("{file}.crt")), "client-key": entry(&format!("{file}.key")),
            }}],
            "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": user}}],
        });
        fs::write(&path, serde_json::to_vec_pretty(&config)?)?;
        Ok(path)
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        let servers = std::mem::take(self.servers.get_mut().unwrap_or_else(PoisonError::into_inner));
        for mut child in [servers.apiserver, servers.etcd].into_iter().flatten() {
            // Errors have no taker here: the watchdog comes next.
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Some(mut pipe) = self.pipe.take() {
            let _ = pipe.flush();
        }
        let _ = self.watchdog.wait();
    }
}

/// Ends a server in an orderly way, or else by force.
async fn end(mut child: Child) -> Result<()> {
    let _ = Command::new("kill").arg(child.id().to_string()).status()?;
    let deadline = Instant::now() + Duration::from_secs(20);
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
