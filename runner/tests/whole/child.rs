//! A runner in a process of its own, so that it can be killed, stopped and continued like a pod.
//!
//! The process is this test program again, told by its environment to be a runner. It ends with its parent: its standard
//! input is a pipe that the parent holds.

use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use nanomon_runner::probe::ProbeConfig;
use nanomon_runner::{MetricsHandle, RunnerConfig};
use nanomon_sql::{Settings, Store};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::support::PATIENCE;

const DSN: &str = "NANOMON_TEST_RUNNER_DSN";
const NAME: &str = "NANOMON_TEST_RUNNER_NAME";
const DEALS: &str = "NANOMON_TEST_RUNNER_DEALS";

/// A runner process.
pub struct RunnerProcess {
    child: Child,
}

impl RunnerProcess {
    /// Starts one; `deals`: it competes for the dealer's lease as runners do.
    pub fn start(dsn: &str, name: &str, deals: bool) -> Result<Self> {
        let child = Command::new(std::env::current_exe()?)
            .args(["--exact", "child::be_a_runner", "--nocapture"])
            .env(DSN, dsn)
            .env(NAME, name)
            .env(DEALS, if deals { "yes" } else { "no" })
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self { child })
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let pid = self.child.id().context("it has ended")?.to_string();
        let status = std::process::Command::new("kill").args([&format!("-{signal}"), &pid]).status()?;
        anyhow::ensure!(status.success(), "kill -{signal} {pid}");
        Ok(())
    }

    /// SIGKILL.
    pub async fn kill(mut self) -> Result<()> {
        self.child.kill().await?;
        Ok(())
    }

    /// SIGSTOP.
    pub fn freeze(&self) -> Result<()> {
        self.signal("STOP")
    }

    /// SIGCONT.
    pub fn thaw(&self) -> Result<()> {
        self.signal("CONT")
    }

    /// Asks it to leave, and waits until it has.
    pub async fn leave(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.context("it does not leave")??;
        anyhow::ensure!(status.success(), "{status}");
        Ok(())
    }
}

/// Not a test by itself but the body of a runner process that other tests start: without their variables it has nothing to do.
#[test]
fn be_a_runner() -> Result<()> {
    let Ok(dsn) = std::env::var(DSN) else { return Ok(()) };
    let name = std::env::var(NAME)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async move {
        let settings = Settings::parse(&dsn, None)?;
        let store = Store::new(&settings.clone().with_pool(3, &name))?;
        let stop = CancellationToken::new();
        let stop_listening = CancellationToken::new();
        let _listening = stop_listening.clone().drop_guard();
        let mut config = RunnerConfig::new(&*name, &*name, ProbeConfig::default());
        config.wakeups = Some(nanomon_sql::notify::listen(&settings, stop_listening));
        if std::env::var(DEALS)? == "yes" {
            let mut dealer = super::support::dealer_config(&name);
            dealer.takeover_after = Duration::from_secs(10);
            config.dealer = Some(dealer);
        }
        let asked = stop.clone();
        // Reads until the parent closes the pipe or ends.
        std::thread::spawn(move || {
            let _ = std::io::stdin().read(&mut [0]);
            asked.cancel();
        });
        nanomon_runner::run(config, store, MetricsHandle::default(), stop).await?;
        Ok(())
    })
}
