//! A throw-away PostgreSQL: one instance per test process, a database per test.
//!
//! The server runs from a temporary folder, on a Unix socket and (if asked) a port of 127.0.0.1. It is stopped when
//! [`Postgres`] is dropped, and a watchdog stops it and removes the folder when the test process dies in any other way:
//! the watchdog waits for the end of a pipe that only the test process holds, so that SIGKILL is noticed too.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::sync::OnceCell;

/// How long a server may take to start or stop.
const DEADLINE: Duration = Duration::from_mins(1);

/// How an instance is made.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Also listen on a port of 127.0.0.1 (needed by a proxy of [`crate::pg_proxy`] only for TCP tests).
    pub tcp: bool,
    /// Survive a crash of the machine: off, because only the processes die in tests.
    pub fsync: bool,
    /// Further `name=value` settings.
    pub settings: Vec<String>,
    /// Certificate chain and key of the server, as PEM: then it speaks TLS over TCP.
    pub tls: Option<(String, String)>,
}

/// A running PostgreSQL. Its only superuser is `nanomon`, trusted without a password.
#[derive(Debug)]
pub struct Postgres {
    dir: PathBuf,
    bin: PathBuf,
    user: Option<RunAs>,
    port: u16,
    options: Options,
    server: Mutex<Option<Child>>,
    watchdog: Option<Watchdog>,
    databases: AtomicU32,
}

#[derive(Debug, Clone, Copy)]
struct RunAs {
    uid: u32,
    gid: u32,
}

#[derive(Debug)]
struct Watchdog {
    child: Child,
    pipe: ChildStdin,
}

/// Waits for the end of its input, then ends the server whose folder is `$1` (if it is still that server) and removes it.
const WATCHDOG: &str = r#"
read -r _
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
alive() { [ -n "$pid" ] && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF "$1"; }
if alive "$1"; then
  kill -CONT "$pid"; kill -QUIT "$pid"
  tries=0
  while alive "$1" && [ $tries -lt 200 ]; do sleep 0.05; tries=$((tries + 1)); done
  alive "$1" && kill -KILL "$pid"
fi
rm -rf "$1"
"#;

impl Postgres {
    /// The instance that all tests of this process share, without TCP.
    ///
    /// # Panics
    /// If PostgreSQL cannot be started; the message says why.
    #[expect(clippy::panic, reason = "test support: the test must fail with this text")]
    pub async fn shared() -> &'static Postgres {
        static SHARED: OnceCell<Postgres> = OnceCell::const_new();
        SHARED
            .get_or_init(|| async {
                match Postgres::start_with(Options::default()).await {
                    Ok(postgres) => postgres,
                    Err(error) => panic!("PostgreSQL for tests: {error:#}"),
                }
            })
            .await
    }

    /// Whether this machine has PostgreSQL's programs; tests that need them are skipped with a reason otherwise.
    pub fn is_installed() -> bool {
        find_binaries().is_ok()
    }

    /// The folder of PostgreSQL's programs (`initdb`, `postgres`, perhaps `pg_dump`).
    pub fn binaries(&self) -> &Path {
        &self.bin
    }

    /// An instance of one's own, for tests that stop or pause it.
    pub async fn start_with(options: Options) -> Result<Postgres> {
        let bin = find_binaries()?;
        let user = run_as()?;
        // Not TempDir: the watchdog owns the removal, also when this process is killed.
        let dir = tempfile::Builder::new().prefix("nanomon-pg-").tempdir()?.keep();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755))?;
        let watchdog = Watchdog::start(&dir)?;
        let postgres = Postgres {
            port: if options.tcp { free_port()? } else { 5432 },
            dir,
            bin,
            user,
            options,
            server: Mutex::new(None),
            watchdog: Some(watchdog),
            databases: AtomicU32::new(0),
        };
        postgres.init()?;
        postgres.start().await?;
        Ok(postgres)
    }

    /// The folder that holds the Unix socket: `host` in a DSN.
    pub fn socket_dir(&self) -> PathBuf {
        self.dir.join("socket")
    }

    /// The port: of the Unix socket's name, and of 127.0.0.1 if [`Options::tcp`] is set.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The Unix socket itself.
    pub fn socket(&self) -> PathBuf {
        self.socket_dir().join(format!(".s.PGSQL.{}", self.port))
    }

    /// The DSN of a database over the Unix socket.
    pub fn dsn(&self, database: &str) -> String {
        format!("host={} port={} user=nanomon dbname={database}", self.socket_dir().display(), self.port)
    }

    /// The DSN of a database over TCP (with [`Options::tcp`]).
    pub fn dsn_tcp(&self, database: &str) -> String {
        format!("host=127.0.0.1 port={} user=nanomon dbname={database} sslmode=disable", self.port)
    }

    /// Makes an empty database and answers its name.
    pub async fn create_database(&self) -> Result<String> {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let client = connect(&self.dsn("postgres")).await?;
        client.batch_execute(&format!("create database {name}")).await?;
        Ok(name)
    }

    /// Makes an empty database and answers its DSN.
    pub async fn create_dsn(&self) -> Result<String> {
        Ok(self.dsn(&self.create_database().await?))
    }

    /// Starts the server after [`Self::stop`] or [`Self::kill`] and waits until it answers.
    pub async fn start(&self) -> Result<()> {
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.dir.join("data")).arg("-k").arg(self.socket_dir());
        command.arg("-p").arg(self.port.to_string());
        let listen = if self.options.tcp { "127.0.0.1" } else { "" };
        let mut settings = vec![
            format!("listen_addresses={listen}"),
            "max_connections=200".to_owned(),
            "shared_buffers=128MB".to_owned(),
            "timezone=UTC".to_owned(),
            "log_line_prefix=%m [%p] %d ".to_owned(),
        ];
        if !self.options.fsync {
            settings.extend(["fsync=off".to_owned(), "full_page_writes=off".to_owned()]);
        }
        if self.options.tls.is_some() {
            settings.push("ssl=on".to_owned());
        }
        settings.extend(self.options.settings.iter().cloned());
        for setting in settings {
            command.arg("-c").arg(setting);
        }
        // A process group of its own: Ctrl-C at the terminal must not reach it before the tests have ended.
        let log = fs::File::options().create(true).append(true).open(self.dir.join("log"))?;
        command.process_group(0).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        {
            let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
            ensure!(server.is_none(), "PostgreSQL runs already");
            *server = Some(command.spawn().with_context(|| format!("starting {}", self.bin.display()))?);
        }
        let deadline = Instant::now() + DEADLINE;
        while let Err(error) = connect(&self.dsn("postgres")).await {
            let exited = {
                let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
                server.as_mut().and_then(|child| child.try_wait().transpose()).transpose()?
            };
            if exited.is_some() || Instant::now() > deadline {
                bail!("PostgreSQL does not answer ({error:#}); its log ends with:\n{}", self.log_tail());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Stops the server in an orderly way: sessions are ended, what was committed stays.
    pub async fn stop(&self) -> Result<()> {
        self.end("INT").await
    }

    /// Kills the server at once (SIGQUIT), as a crash of PostgreSQL would; it recovers at the next [`Self::start`].
    pub async fn kill(&self) -> Result<()> {
        self.end("QUIT").await
    }

    /// Freezes the server and all its sessions (SIGSTOP), as a paused machine would. Undone by [`Self::resume`].
    pub fn pause(&self) -> Result<()> {
        self.signal_all("STOP")
    }

    /// Lets a frozen server go on.
    pub fn resume(&self) -> Result<()> {
        self.signal_all("CONT")
    }

    /// The process ids of the server and all its sessions and helpers, for measuring their CPU time.
    pub fn pids(&self) -> Result<Vec<u32>> {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        let parent = server.as_ref().context("PostgreSQL does not run")?.id();
        drop(server);
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
        let children = children.split_ascii_whitespace().filter_map(|pid| pid.parse().ok());
        Ok(std::iter::once(parent).chain(children).collect())
    }

    /// The last lines of the server's log.
    pub fn log_tail(&self) -> String {
        let log = fs::read(self.dir.join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn init(&self) -> Result<()> {
        for name in ["data", "socket"] {
            let dir = self.dir.join(name);
            fs::create_dir(&dir)?;
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))?;
            if let Some(user) = self.user {
                chown(&dir, Some(user.uid), Some(user.gid)).context("giving the folder to the server's user")?;
            }
        }
        let mut command = self.command("initdb");
        command.arg("-D").arg(self.dir.join("data"));
        command.args([
            "-A",
            "trust",
            "-U",
            "nanomon",
            "--no-sync",
            "--no-instructions",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        ]);
        let output = command.stdin(Stdio::null()).output().context("running initdb")?;
        ensure!(output.status.success(), "initdb failed: {}", String::from_utf8_lossy(&output.stderr));
        if let Some((certificate, key)) = &self.options.tls {
            for (name, text) in [("server.crt", certificate), ("server.key", key)] {
                let file = self.dir.join("data").join(name);
                fs::write(&file, text)?;
                fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
                if let Some(user) = self.user {
                    chown(&file, Some(user.uid), Some(user.gid))?;
                }
            }
        }
        Ok(())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.current_dir(&self.dir);
        if let Some(user) = self.user {
            command.uid(user.uid).gid(user.gid);
        }
        // PostgreSQL's programs must not take defaults from the developer's shell.
        for name in ["PGDATA", "PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGOPTIONS", "PGSERVICE"] {
            command.env_remove(name);
        }
        command
    }

    async fn end(&self, signal: &str) -> Result<()> {
        let mut child = {
            let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
            server.take().context("PostgreSQL does not run")?
        };
        send_signal(signal, &[child.id()])?;
        let deadline = Instant::now() + DEADLINE;
        while child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                child.kill()?;
                child.wait()?;
                bail!("PostgreSQL did not stop; its log ends with:\n{}", self.log_tail());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    fn signal_all(&self, signal: &str) -> Result<()> {
        send_signal(signal, &self.pids()?)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let server = self.server.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut child) = server {
            // A paused server takes SIGQUIT only after SIGCONT. Nothing can be done about errors here: the watchdog
            // comes next.
            let _ = send_signal("CONT", &[child.id()]);
            let _ = send_signal("QUIT", &[child.id()]);
            let _ = child.wait();
        }
        if let Some(Watchdog { mut child, pipe }) = self.watchdog.take() {
            drop(pipe);
            let _ = child.wait();
        }
    }
}

impl Watchdog {
    fn start(dir: &Path) -> Result<Self> {
        let mut child = Command::new("sh")
            .args(["-c", WATCHDOG, "nanomon-test-watchdog"])
            .arg(dir)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting the watchdog")?;
        let mut pipe = child.stdin.take().context("the watchdog has no input")?;
        pipe.flush()?;
        Ok(Self { child, pipe })
    }
}

/// Connects without a pool; the connection ends when the client is dropped.
pub async fn connect(dsn: &str) -> Result<tokio_postgres::Client> {
    let (client, connection) = tokio_postgres::connect(dsn, tokio_postgres::NoTls).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a test's connection ended");
        }
    });
    Ok(client)
}

fn send_signal(signal: &str, pids: &[u32]) -> Result<()> {
    let status = Command::new("kill").arg(format!("-{signal}")).args(pids.iter().map(u32::to_string)).status()?;
    ensure!(status.success(), "kill -{signal} {pids:?} failed");
    Ok(())
}

/// `NANOMON_POSTGRES_BIN`, `pg_config --bindir`, then PATH, then the usual folders (the highest version of each kind).
fn find_binaries() -> Result<PathBuf> {
    let mut folders: Vec<PathBuf> = std::env::var_os("NANOMON_POSTGRES_BIN").map(PathBuf::from).into_iter().collect();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        folders.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    for (parent, prefix) in [("/usr/lib/postgresql", ""), ("/usr", "pgsql-")] {
        let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(parent)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let version = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
                Some((version, entry.path().join("bin")))
            })
            .collect();
        versions.sort();
        folders.extend(versions.into_iter().rev().map(|(_, path)| path));
    }
    // Both are needed, and side by side: a lone `postgres` in PATH may be a wrapper.
    folders
        .into_iter()
        .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
        .context("PostgreSQL's initdb and postgres are not on this machine (Debian: apt-get install postgresql)")
}

/// PostgreSQL refuses to run as root: then its own user is taken, else `nobody`.
fn run_as() -> Result<Option<RunAs>> {
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let passwd = fs::read_to_string("/etc/passwd")?;
    let user = |name: &str| {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some(RunAs { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    };
    let found = user("postgres").or_else(|| user("nobody"));
    Ok(Some(found.context("neither the user postgres nor nobody exists")?))
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alive(pid: u32) -> bool {
        fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
    }

    async fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !done() {
            assert!(Instant::now() < deadline, "{what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[tokio::test]
    async fn a_killed_server_recovers_what_was_committed_and_drop_leaves_nothing() {
        let postgres = Postgres::start_with(Options { tcp: true, ..Options::default() }).await.unwrap();
        let name = postgres.create_database().await.unwrap();
        let client = connect(&postgres.dsn_tcp(&name)).await.unwrap();
        client.batch_execute("create table t (a int); insert into t values (7)").await.unwrap();
        postgres.kill().await.unwrap();
        assert!(connect(&postgres.dsn(&name)).await.is_err());
        postgres.start().await.unwrap();
        let client = connect(&postgres.dsn(&name)).await.unwrap();
        assert_eq!(client.query_one("select a from t", &[]).await.unwrap().get::<_, i32>(0), 7);
        postgres.stop().await.unwrap();
        postgres.start().await.unwrap();

        let (dir, pids) = (postgres.dir.clone(), postgres.pids().unwrap());
        postgres.pause().unwrap();
        postgres.resume().unwrap();
        postgres.pause().unwrap();
        drop(postgres);
        assert!(!dir.exists());
        assert!(pids.iter().all(|&pid| !alive(pid)));
    }

    /// The watchdog is all that is left after SIGKILL: closing its pipe is what the kernel then does.
    #[tokio::test]
    async fn the_watchdog_alone_cleans_up() {
        let mut postgres = Postgres::start_with(Options::default()).await.unwrap();
        let (dir, pids) = (postgres.dir.clone(), postgres.pids().unwrap());
        let Watchdog { child, pipe } = postgres.watchdog.take().unwrap();
        let server = postgres.server.get_mut().unwrap().take();
        drop(pipe);
        wait_until("the folder is removed", || !dir.exists()).await;
        assert!(pids.iter().all(|&pid| !alive(pid)));
        for mut child in [Some(child), server].into_iter().flatten() {
            child.wait().unwrap();
        }
    }
}
