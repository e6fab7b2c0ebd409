//! What the outage tests share: the stage, waiting by hits, and the closing judgement.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::time::{Duration, Instant};

use anyhow::Result;
use nanomon_e2e::eventually;
use nanomon_e2e::judge::{Judgement, now_us};
use nanomon_e2e::stack::{PATIENCE, Program, Stack, Subject};
use nanomon_e2e::witness::Witness;
use nanomon_testkit::light::{Behaviour, Target};

/// Monitors, each run once a second.
pub const MONITORS: u32 = 100;
pub const SECOND: Duration = Duration::from_secs(1);

/// A database, a healthy target and a witness of the machine.
pub struct Stage {
    pub stack: Stack,
    pub target: Target,
    pub witness: Witness,
    pub subjects: Vec<Subject>,
}

impl Stage {
    pub async fn new() -> Result<Self> {
        Self::with(Behaviour::default()).await
    }

    pub async fn with(behaviour: Behaviour) -> Result<Self> {
        let stack = Stack::start().await?;
        let target = Target::start(1, behaviour)?;
        let monitors: Vec<(u32, u32)> = (0..MONITORS).map(|n| (n, n)).collect();
        // Before the runners come, so that the shards are dealt by the rates that they will have.
        let subjects = stack.write(&target, &monitors, SECOND).await?;
        Ok(Self { stack, target, witness: Witness::start(), subjects })
    }

    /// Starts a runner, watched.
    pub async fn runner(&self, name: &str, pool: &str, dsn: &str) -> Result<Program> {
        self.watched(self.stack.runner(name, pool, dsn).await?).await
    }

    /// Starts a standalone, watched.
    pub async fn standalone(&self, dsn: &str) -> Result<Program> {
        self.watched(self.stack.standalone(dsn).await?).await
    }

    async fn watched(&self, program: Program) -> Result<Program> {
        eventually("it has its probe thread", PATIENCE, || async {
            Ok((program.metric("nanomon_loop_ticks_total").await? > 0.0).then_some(()))
        })
        .await?;
        self.witness.watch(program.process.id());
        Ok(program)
    }

    /// Waits until each monitor has been hit twice.
    pub async fn all_run(&self) -> Result<()> {
        eventually("each monitor has run twice", PATIENCE, || async {
            let log = self.target.log()?;
            let count = (0..MONITORS).filter(|n| log.hits.get(n).is_some_and(|hits| hits.len() >= 2)).count();
            Ok((count == MONITORS as usize).then_some(()))
        })
        .await
    }

    /// Waits for this many seconds of the schedule, by the target's count.
    pub async fn pass(&self, seconds: u64) -> Result<()> {
        self.pass_part(seconds, 1.0).await
    }

    /// The same while only this part of the monitors runs.
    pub async fn pass_part(&self, seconds: u64, part: f64) -> Result<()> {
        let wanted = self.target.hits_total() + (seconds as f64 * f64::from(MONITORS) * part) as u64;
        let limit = Duration::from_secs(seconds) + PATIENCE;
        eventually("probing goes on", limit, || async { Ok((self.target.hits_total() >= wanted).then_some(())) }).await
    }

    /// Compares the log with the rows, but for the last `leave_out`.
    pub async fn judge(&self, leave_out: Duration) -> Result<Judgement> {
        let until = now_us() - leave_out.as_micros() as i64;
        let log = self.target.log()?;
        let rows = self.stack.rows().await?;
        Ok(Judgement::of(&self.subjects, &log, &rows, until))
    }

    /// Waits until each slot hit so far is a row; answers how long that took.
    pub async fn caught_up(&self, limit: Duration) -> Result<Duration> {
        let (asked, log) = (Instant::now(), self.target.log()?);
        eventually("each slot hit is a row", limit, || async {
            let rows = self.stack.rows().await?;
            let judgement = Judgement::of(&self.subjects, &log, &rows, i64::MAX);
            let lost = &judgement.lost;
            anyhow::ensure!(lost.is_empty(), "{} slots hit are no rows: {:?}", lost.len(), &lost[..lost.len().min(8)]);
            Ok(Some(()))
        })
        .await?;
        Ok(asked.elapsed())
    }

    /// The same but for slots between these two moments (Unix milliseconds), whose results died with a runner.
    pub async fn caught_up_but(&self, from_ms: i64, to_ms: i64) -> Result<()> {
        let log = self.target.log()?;
        eventually("each slot hit is a row, but for a kill", PATIENCE, || async {
            let mut judgement = Judgement::of(&self.subjects, &log, &self.stack.rows().await?, i64::MAX);
            judgement.lost.retain(|(_, slot)| !(from_ms..to_ms).contains(slot));
            let lost = &judgement.lost;
            anyhow::ensure!(lost.is_empty(), "{} slots hit are no rows: {:?}", lost.len(), &lost[..lost.len().min(8)]);
            Ok(Some(()))
        })
        .await
    }

    /// The closing judgement, when everything has ended: rows against hits, then `nanomon verify`.
    pub async fn close(&self, what: &str) -> Result<Judgement> {
        let judgement = self.judge(Duration::ZERO).await?;
        println!("{what}: {judgement}; the machine {}", self.witness);
        judgement.ensure_exact()?;
        println!("{what}: nanomon verify: {}", self.stack.verify().await?);
        Ok(judgement)
    }
}
