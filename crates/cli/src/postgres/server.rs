//! Running the server: initialise once, start as a direct child, stop with a fast shutdown.

use std::fs::{DirBuilder, File};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command as StdCommand, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::process::{Child, Command};

use super::account::{self, Account};
use super::locate::Programs;

/// Longest socket path that the kernel takes is 107 bytes; PostgreSQL adds `/.s.PGSQL.5432`.
const SOCKET_DIR_BYTES: usize = 90;
const READY_DEADLINE: Duration = Duration::from_mins(1);

/// A running PostgreSQL that belongs to us. Dropping it kills the server; [`Server::stop`] stops it in order.
pub struct Server {
    child: Child,
    socket_dir: PathBuf,
    /// Held while we own the data folder: a second standalone on the same folder is refused.
    _lock: File,
}

impl Server {
    /// Starts PostgreSQL on `data_dir`, making and initialising it if it is empty.
    pub async fn start(programs: &Programs, data_dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(data_dir).with_context(|| format!("making the data-dir {}", data_dir.display()))?;
        let data_dir = data_dir.canonicalize()?;
        let lock = File::create(data_dir.join("lock"))
            .with_context(|| format!("data-dir {} cannot be written", data_dir.display()))?;
        if lock.try_lock().is_err() {
            bail!("data-dir {} is in use by another nanomon standalone", data_dir.display());
        }
        let account = account::for_postgres()?;
        let cluster = data_dir.join("postgres");
        if let Some(account) = account {
            account::check_reachable(&cluster, account)?;
        }
        stop_orphan(&cluster).await?;
        if !cluster.join("PG_VERSION").exists() {
            initialise(programs, &cluster, account)?;
        }
        check_version(programs, &cluster)?;
        if let Some(account) = account {
            account::give(&cluster, account)?;
        }
        let socket_dir = socket_dir(&data_dir, account)?;
        let child = spawn(programs, &cluster, &socket_dir, account)?;
        let mut server = Self { child, socket_dir, _lock: lock };
        server.wait_until_ready(&cluster).await?;
        Ok(server)
    }

    /// How to connect.
    pub fn dsn(&self) -> String {
        format!("host={} user=nanomon dbname=nanomon sslmode=disable", self.socket_dir.display())
    }

    /// Fast shutdown: sessions are ended, everything is on disk.
    pub async fn stop(mut self) {
        if let Some(pid) = self.child.id() {
            signal(pid, "INT");
        }
        if tokio::time::timeout(Duration::from_secs(20), self.child.wait()).await.is_err() {
            tracing::warn!("PostgreSQL did not stop within 20 s");
        }
    }

    async fn wait_until_ready(&mut self, cluster: &Path) -> Result<()> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("PostgreSQL ended at start ({status}); its log is {}", log_path(cluster).display());
            }
            // The postmaster writes its state as the eighth line once it accepts connections.
            let pidfile = std::fs::read_to_string(cluster.join("postmaster.pid")).unwrap_or_default();
            if pidfile.lines().nth(7).is_some_and(|state| state.trim() == "ready") {
                return Ok(());
            }
            if started.elapsed() > READY_DEADLINE {
                bail!("PostgreSQL was not ready within 60 s; its log is {}", log_path(cluster).display());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn log_path(cluster: &Path) -> PathBuf {
    cluster.join("server.log")
}

/// A command that runs under the account and in a folder which that account may enter.
fn command(program: &Path, account: Option<Account>) -> StdCommand {
    let mut command = StdCommand::new(program);
    command.current_dir("/");
    if let Some(Account { uid, gid }) = account {
        command.uid(uid).gid(gid);
    }
    command
}

fn initialise(programs: &Programs, cluster: &Path, account: Option<Account>) -> Result<()> {
    // Initialised beside its place and renamed, so that a kill in between leaves nothing half-done.
    let fresh = cluster.with_extension("new");
    if fresh.exists() {
        std::fs::remove_dir_all(&fresh)?;
    }
    DirBuilder::new().mode(0o700).create(&fresh)?;
    if let Some(account) = account {
        account::give(&fresh, account)?;
    }
    let output = command(&programs.bin.join("initdb"), account)
        .arg("-D")
        .arg(&fresh)
        .args(["-U", "nanomon", "-A", "trust", "-E", "UTF8", "--locale=C"])
        .output()
        .context("running initdb")?;
    if !output.status.success() {
        bail!("initdb failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let mut single = command(&programs.bin.join("postgres"), account)
        .args(["--single", "-D"])
        .arg(&fresh)
        .arg("postgres")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("running postgres --single")?;
    if let Some(mut stdin) = single.stdin.take() {
        stdin.write_all(b"CREATE DATABASE nanomon;\n")?;
    }
    if !single.wait()?.success() {
        bail!("the database nanomon could not be created in {}", fresh.display());
    }
    std::fs::rename(&fresh, cluster)?;
    Ok(())
}

fn check_version(programs: &Programs, cluster: &Path) -> Result<()> {
    let text = std::fs::read_to_string(cluster.join("PG_VERSION")).context("reading PG_VERSION")?;
    let major: u32 = text.trim().parse().context("reading PG_VERSION")?;
    if major != programs.major {
        bail!(
            "the data in {} were written by PostgreSQL {major}, but the one found here is {}: name the right one with --postgres-bin",
            cluster.display(),
            programs.major
        );
    }
    Ok(())
}

/// `run` in the data folder, or a folder of our own under the system's temporary one where that path is too long.
fn socket_dir(data_dir: &Path, account: Option<Account>) -> Result<PathBuf> {
    let mut dir = data_dir.join("run");
    if dir.as_os_str().len() > SOCKET_DIR_BYTES {
        dir = std::env::temp_dir().join(format!("nanomon-{}", std::process::id()));
    }
    if !dir.exists() {
        DirBuilder::new().mode(0o700).create(&dir).with_context(|| format!("making {}", dir.display()))?;
    }
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700))?;
    if let Some(account) = account {
        account::give(&dir, account)?;
    }
    Ok(dir)
}

fn spawn(programs: &Programs, cluster: &Path, socket_dir: &Path, account: Option<Account>) -> Result<Child> {
    let log = File::options().create(true).append(true).open(log_path(cluster))?;
    if let Some(account) = account {
        account::give(&log_path(cluster), account)?;
    }
    let postgres = programs.bin.join("postgres");
    // With setpriv (util-linux) the server also ends when this process is killed; without it, the next start stops the orphan.
    let setpriv = ["/usr/bin/setpriv", "/bin/setpriv"].iter().map(Path::new).find(|path| path.exists());
    let mut std = match setpriv {
        Some(setpriv) => {
            let mut wrapped = StdCommand::new(setpriv);
            wrapped.current_dir("/").args(["--pdeathsig", "INT"]);
            if let Some(Account { uid, gid }) = account {
                wrapped.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()]);
            }
            wrapped.arg(&postgres);
            wrapped
        }
        None => command(&postgres, account),
    };
    std.arg("-D").arg(cluster).arg("-k").arg(socket_dir);
    for setting in [
        "listen_addresses=",
        "unix_socket_permissions=0700",
        "max_connections=40",
        "shared_buffers=64MB",
        "jit=off",
        "max_wal_size=512MB",
        "checkpoint_timeout=15min",
        "wal_compression=on",
        "timezone=UTC",
        "log_timezone=UTC",
        "password_encryption=scram-sha-256",
    ] {
        std.args(["-c", setting]);
    }
    // A group of its own: Ctrl-C reaches us, and we stop the server after everything that uses it.
    std.process_group(0).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let mut command = Command::from(std);
    command.kill_on_drop(true);
    command.spawn().with_context(|| format!("starting {}", postgres.display()))
}

/// A server left over from a killed standalone still holds the data folder: we own the lock, so it is ours to stop.
async fn stop_orphan(cluster: &Path) -> Result<()> {
    let Ok(pidfile) = std::fs::read_to_string(cluster.join("postmaster.pid")) else { return Ok(()) };
    let Some(pid) = pidfile.lines().next().and_then(|line| line.trim().parse::<u32>().ok()) else { return Ok(()) };
    let is_postgres = || {
        std::fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&*cluster.to_string_lossy()))
    };
    if !is_postgres() {
        return Ok(());
    }
    tracing::warn!("stopping the PostgreSQL that an earlier run left behind (process {pid})");
    signal(pid, "INT");
    let started = Instant::now();
    while is_postgres() {
        if started.elapsed() > Duration::from_secs(30) {
            bail!("the PostgreSQL that an earlier run left behind (process {pid}) does not stop");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn signal(pid: u32, name: &str) {
    // The shell's own `kill`: the program of that name is missing on small systems, and this crate has no unsafe code for the
    // system call.
    let _ = StdCommand::new("sh").args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &pid.to_string()]).status();
}
