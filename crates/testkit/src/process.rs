//! A program under test: ended with the test, also when the test process is killed.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// A running program. Its output goes to a file. Dropped, it is killed; a watchdog that holds the other end of a pipe does
/// the same when the test process dies in any way, SIGKILL included.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    watchdog: Child,
    pipe: Option<ChildStdin>,
    ended: Option<ExitStatus>,
}

/// Waits for the end of its input, then kills the process `$1` if it still is the one that was started (its start time `$2`).
const WATCHDOG: &str = r#"
read -r _
started=$(sed -n 's/^.*) //p' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20)
[ "$started" = "$2" ] && kill -KILL "$1"
"#;

impl Process {
    /// Starts a program with its output appended to this file.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(log)?;
        // A process group of its own: Ctrl-C at the terminal must not reach it before the tests have ended.
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("starting {}", command.get_program().display()))?;
        let mut guarded = Self {
            name: name.to_owned(),
            watchdog: watchdog(child.id())?,
            child,
            log: log.to_owned(),
            pipe: None,
            ended: None,
        };
        guarded.pipe = guarded.watchdog.stdin.take();
        Ok(guarded)
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it was called when it was started.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends a signal, by its name without `SIG`.
    pub fn signal(&self, signal: &str) -> Result<()> {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args([&format!("-{signal}"), &id]).status()?;
        ensure!(status.success(), "kill -{signal} {} ({id}): {status}", self.name);
        Ok(())
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait()?;
        }
        Ok(self.ended)
    }

    /// Waits for its end.
    pub async fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("{} has not ended within {limit:?}; its log ends with:\n{}", self.name, self.log_tail());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Asks it to end (SIGTERM) and waits until it has; it must do so with success.
    pub async fn leave(&mut self, limit: Duration) -> Result<()> {
        self.signal("TERM")?;
        let status = self.wait(limit).await?;
        ensure!(status.success(), "{} ended with {status}; its log ends with:\n{}", self.name, self.log_tail());
        Ok(())
    }

    /// Kills it (SIGKILL).
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.ended = Some(self.child.wait()?);
        Ok(())
    }

    /// The last lines of its output.
    pub fn log_tail(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing can be done about errors here: the watchdog comes next.
        let _ = self.kill();
        drop(self.pipe.take());
        let _ = self.watchdog.wait();
    }
}

fn watchdog(id: u32) -> Result<Child> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let started = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(19)).context("/proc/…/stat")?;
    Command::new("sh")
        .args(["-c", WATCHDOG, "nanomon-test-watchdog", &id.to_string(), started])
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("starting the watchdog")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(dir: &Path) -> Process {
        let mut command = Command::new("sleep");
        command.arg("1000");
        Process::start("sleeper", command, &dir.join("log")).unwrap()
    }

    /// The watchdog alone is what is left after SIGKILL: closing its pipe is what the kernel then does.
    #[tokio::test]
    async fn the_watchdog_ends_it_and_drop_does_too() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = sleeper(dir.path());
        first.signal("STOP").unwrap();
        drop(first.pipe.take());
        let status = first.wait(Duration::from_secs(20)).await.unwrap();
        assert_eq!(status.code(), None, "{status}");
        let second = sleeper(dir.path());
        let id = second.id();
        drop(second);
        assert!(!Path::new(&format!("/proc/{id}")).exists());
    }
}
