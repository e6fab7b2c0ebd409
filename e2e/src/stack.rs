//! The `nanomon` executable with a real PostgreSQL, from outside: started, asked over HTTP, judged by what is stored.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nanomon_core::MonitorDef;
use nanomon_core::monitor::{HttpTarget, Target as ProbeTarget};
use nanomon_core::slot::{self, Schedule, stable_uid};
use nanomon_sql::monitors::{MonitorWrite, Source};
use nanomon_sql::{MonitorId, Settings, Store};
use nanomon_testkit::light::Target;
use nanomon_testkit::postgres::{self, Options, Postgres};
use nanomon_testkit::process::Process;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::eventually;
use crate::judge::Stored;

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// An empty, migrated database and what runs on it. Dropped, everything ends.
#[derive(Debug)]
pub struct Stack {
    /// The server, to be stopped and killed.
    pub postgres: Postgres,
    /// The database's name.
    pub database: String,
    /// Its DSN, by the direct way.
    pub dsn: String,
    /// For writing definitions and looking.
    pub store: Store,
    logs: PathBuf,
    pub(crate) executable: PathBuf,
}

/// A monitor of the light target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// Under which the target logs it.
    pub number: u32,
    /// Its row.
    pub id: MonitorId,
    /// Its slots.
    pub schedule: Schedule,
    /// Its shard.
    pub bucket: u16,
}

/// A running `nanomon`.
#[derive(Debug)]
pub struct Program {
    /// The process, to be signalled.
    pub process: Process,
    metrics_port: u16,
    api_port: u16,
}

impl Stack {
    /// Starts a PostgreSQL of its own. The programs' logs go with it, unless `NANOMON_E2E_LOGS` names a folder for them.
    pub async fn start() -> Result<Self> {
        let executable = executable().await?;
        let postgres = Postgres::start_with(Options::default()).await?;
        let database = postgres.create_database().await?;
        let dsn = postgres.dsn(&database);
        let store = Store::new(&Settings::parse(&dsn, None)?.with_pool(4, "nanomon-e2e"))?;
        store.migrate().await?;
        // In the server's folder, which goes with it however this test ends.
        let logs = match std::env::var_os("NANOMON_E2E_LOGS") {
            Some(folder) => PathBuf::from(folder),
            None => postgres.socket_dir().parent().context("the server has no folder")?.to_owned(),
        };
        Ok(Self { postgres, database, dsn, store, logs, executable })
    }

    pub(crate) fn spawn(&self, name: &str, mut command: Command, ports: [u16; 2]) -> Result<Program> {
        for variable in ["POSTGRES_DSN", "POSTGRES_PASSWORD", "KUBERNETES_SERVICE_HOST", "NANOMON_POOL", "POD_UID"] {
            command.env_remove(variable);
        }
        command.env("LOG_LEVEL", "info").current_dir(&self.logs);
        let process = Process::start(name, command, &self.logs.join(format!("{name}.log")))?;
        let [metrics_port, api_port] = ports;
        Ok(Program { process, metrics_port, api_port })
    }

    /// Starts `nanomon runner` of a pool; it deals when nobody has for 10 s.
    pub async fn runner(&self, name: &str, pool: &str, dsn: &str) -> Result<Program> {
        let port = free_port()?;
        let mut command = Command::new(&self.executable);
        command.args(["runner", "--database-url", dsn, "--pool", pool, "--identity", name, "--name", name]);
        command.args(["--prometheus-port", &port.to_string()]).env("NANOMON_ADMIN_LISTEN", "127.0.0.1");
        let mut program = self.spawn(name, command, [port, port])?;
        program.up().await?;
        Ok(program)
    }

    /// Starts `nanomon standalone` on this database: dealer, runner and API.
    pub async fn standalone(&self, dsn: &str) -> Result<Program> {
        let [api, dashboard, metrics] = [free_port()?, free_port()?, free_port()?];
        let mut command = Command::new(&self.executable);
        command.args(["standalone", "--database-url", dsn, "--prometheus", "true"]);
        for (name, port) in [("--port", api), ("--frontend-port", dashboard), ("--prometheus-port", metrics)] {
            command.args([name, &port.to_string()]);
        }
        let mut program = self.spawn("standalone", command, [metrics, api])?;
        program.up().await?;
        Ok(program)
    }

    /// Writes monitors of the target with these numbers, all with this interval. A number's row stays the same when it is
    /// written again for another `path`, the number under which the target logs it.
    pub async fn write(&self, target: &Target, monitors: &[(u32, u32)], interval: Duration) -> Result<Vec<Subject>> {
        let writes: Vec<MonitorWrite> =
            monitors.iter().map(|&(number, path)| definition(number, &target.url(path), interval)).collect();
        let written = self.store.monitor_write_batch("e2e", None, &writes).await?;
        let mut subjects = Vec::with_capacity(writes.len());
        for ((write, written), (_, path)) in writes.iter().zip(&written).zip(monitors) {
            let hash = slot::hash(write.uid.as_bytes());
            let schedule = Schedule::new(hash, interval.as_millis() as u32);
            subjects.push(Subject { number: *path, id: written.id, schedule, bucket: slot::bucket(hash) });
        }
        Ok(subjects)
    }

    /// Everything in `results`.
    pub async fn rows(&self) -> Result<Vec<Stored>> {
        let client = postgres::connect(&self.dsn).await?;
        let sql = "select s.monitor_id, r.slot, r.start_ms, r.verdict, r.runner_id from results r \
             join series s on s.id = r.series_id order by r.series_id, r.slot";
        let stored = |row: tokio_postgres::Row| Stored {
            monitor: row.get(0),
            slot: row.get(1),
            start_ms: row.get(2),
            verdict: row.get(3),
            runner: row.get(4),
        };
        Ok(client.query(sql, &[]).await?.into_iter().map(stored).collect())
    }

    /// A number from the database.
    pub async fn count(&self, sql: &str) -> Result<i64> {
        Ok(postgres::connect(&self.dsn).await?.query_one(sql, &[]).await?.get(0))
    }

    /// Who owns each shard of the pool `default`, by name, when none is on its way; `None` while some are.
    pub async fn owners(&self) -> Result<Option<Vec<String>>> {
        let client = postgres::connect(&self.dsn).await?;
        let sql = "select r.name, s.next is null from shards s join pools p on p.id = s.pool_id and p.name = 'default' \
             left join runners r on r.id = s.owner order by s.bucket";
        let rows = client.query(sql, &[]).await?;
        let owner = |row: &tokio_postgres::Row| row.get::<_, Option<String>>(0).filter(|_| row.get(1));
        let owners: Option<Vec<String>> = rows.iter().map(owner).collect();
        Ok(owners.filter(|owners| !owners.is_empty()))
    }

    /// Waits until these runners, and no others, share the shards of the pool `default`; answers the owner of each shard.
    pub async fn settled(&self, runners: &[&str]) -> Result<Vec<String>> {
        eventually(&format!("{runners:?} share the shards"), PATIENCE, || async {
            Ok(self.owners().await?.filter(|owners| {
                runners.iter().all(|runner| owners.iter().any(|owner| owner == runner))
                    && owners.iter().all(|owner| runners.contains(&owner.as_str()))
            }))
        })
        .await
    }

    /// Who holds the dealer's lease.
    pub async fn dealer(&self) -> Result<Option<String>> {
        let client = postgres::connect(&self.dsn).await?;
        let sql = "select holder from leases where name = 'dealer' and until > clock_timestamp()";
        Ok(client.query_opt(sql, &[]).await?.and_then(|row| row.get(0)))
    }

    /// Runs `nanomon verify`: state, incidents and rollups are what the rows say. Answers its last line.
    pub async fn verify(&self) -> Result<String> {
        let mut command = tokio::process::Command::new(&self.executable);
        let output = command.args(["verify", "--database-url", &self.dsn]).kill_on_drop(true).output().await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "nanomon verify: {}\n{text}{error}", output.status);
        let last = text.lines().last().unwrap_or_default().to_owned();
        ensure!(!last.starts_with("0 results"), "nanomon verify has looked at nothing: {last}");
        Ok(last)
    }
}

impl Program {
    /// Waits until its metrics answer.
    pub(crate) async fn up(&mut self) -> Result<()> {
        let deadline = std::time::Instant::now() + PATIENCE;
        while let Err(error) = request(self.metrics_port, "GET", "/livez", "").await {
            let ended = self.process.ended()?;
            if ended.is_some() || std::time::Instant::now() > deadline {
                bail!("{} is not up ({error:#}):\n{}", self.process.name(), self.process.log_tail());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Sum of a metric's samples whose line begins with this name (and labels).
    pub async fn metric(&self, name: &str) -> Result<f64> {
        let (status, text) = request(self.metrics_port, "GET", "/metrics", "").await?;
        ensure!(status == 200, "/metrics answers {status}");
        let value = |line: &str| line.strip_prefix(name)?.trim_start_matches(|c| c != ' ').trim().parse::<f64>().ok();
        let values: Vec<f64> = text.lines().filter_map(value).collect();
        ensure!(!values.is_empty(), "there is no metric {name}");
        Ok(values.iter().sum())
    }

    /// A request to the API: status and body.
    pub async fn api(&self, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
        request(self.api_port, method, path, body).await
    }

    /// SIGTERM, and waits for its orderly end.
    pub async fn leave(mut self) -> Result<()> {
        self.process.leave(PATIENCE).await
    }
}

/// One HTTP request to a port of this machine, without a library: status and body.
#[expect(clippy::disallowed_methods, reason = "asks the program under test")]
async fn request(port: u16, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
    let exchange = async {
        let mut stream = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        let head = format!(
            "{method} {path} HTTP/1.0\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no HTTP status")?;
        anyhow::Ok((status, body.to_owned()))
    };
    tokio::time::timeout(Duration::from_secs(30), exchange).await.with_context(|| format!("{method} {path}"))?
}

/// A definition whose uid, and so whose slots, follow from its number.
fn definition(number: u32, url: &str, interval: Duration) -> MonitorWrite {
    let name = format!("m{number}");
    let timeout = interval.mul_f64(0.8).min(Duration::from_secs(5));
    let def = MonitorDef {
        display_name: name.clone(),
        group: "default".to_owned(),
        interval,
        suspended: false,
        target: ProbeTarget::Http(HttpTarget {
            url: url.to_owned(),
            method: "GET".to_owned(),
            timeout,
            headers: vec![],
            body: String::new(),
            body_regex: None,
            validate_tls: true,
            follow_redirects: true,
        }),
        rule: Some("status == 200".to_owned()),
        pools: vec!["default".to_owned()],
    };
    MonitorWrite {
        id: None,
        uid: Uuid::from_bytes(stable_uid("e2e", &name)),
        namespace: "e2e".to_owned(),
        name,
        source: Source::Api,
        spec: serde_json::json!({ "interval": format!("{}s", interval.as_secs_f64()), "http": { "url": url } }),
        def,
        generation: 1,
        meta: serde_json::json!({}),
    }
}

/// The executable beside this test's own folder; built if it is not there (`make test` builds the workspace first).
async fn executable() -> Result<PathBuf> {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    let build = || async {
        let test = std::env::current_exe()?;
        // target/<profile>/deps/<test>
        let folder = test.parent().and_then(|deps| deps.parent()).context("this test lies in no target folder")?;
        let path = folder.join("nanomon");
        if !path.is_file() {
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let mut command = tokio::process::Command::new(cargo);
            command.args(["build", "--quiet", "--locked", "-p", "nanomon"]);
            if folder.ends_with("release") {
                command.arg("--release");
            }
            let status = command.current_dir(env!("CARGO_MANIFEST_DIR")).status().await?;
            ensure!(status.success(), "cargo build -p nanomon: {status}");
        }
        Ok(path)
    };
    BUILT.get_or_try_init(build).await.cloned()
}

pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
