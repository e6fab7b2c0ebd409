//! One run on the probe thread: probe, judge, hand over. Nothing here waits for PostgreSQL.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use nanomon_core::outcome::Outcome;
use nanomon_core::status::Phases;
use nanomon_core::{Outputs, Reason, Status, Verdict, codec, slot};
use nanomon_sql::results::NewResult;
use nanomon_sql::{RunnerId, Slot};
use tokio::sync::oneshot;

use crate::agenda::Due;
use crate::buffer::{Buffer, Pending};
use crate::clock::ServerClock;
use crate::config::Bounds;
use crate::judge::Judgement;
use crate::plan::{HostGate, Plan, Work};
use crate::stall::{Mark, Stalls};
use crate::stats::Stats;

/// How long a rule over a body may take.
const BODY_RULE_DEADLINE: Duration = Duration::from_millis(50);
/// How long it may wait for one of the two threads that do this.
const BODY_RULE_QUEUE: Duration = Duration::from_secs(2);

/// What all runs share.
#[derive(Debug)]
pub struct RunContext {
    /// Who runs.
    pub runner_id: RunnerId,
    /// PostgreSQL's clock.
    pub clock: Arc<ServerClock>,
    /// Where results go.
    pub buffer: Arc<Buffer>,
    /// Counters.
    pub stats: Arc<Stats>,
    /// This thread's stalls.
    pub stalls: Stalls,
    /// Bounds.
    pub bounds: Bounds,
}

/// Counts a run as in flight for as long as it lives, however it ends.
pub(crate) struct Ticket {
    context: Arc<RunContext>,
    host: Arc<HostGate>,
    weight: u64,
}

impl Ticket {
    /// `None` if the host has enough.
    pub(crate) fn take(context: &Arc<RunContext>, plan: &Plan) -> Option<Self> {
        if !plan.host.enter(context.bounds.per_host) {
            return None;
        }
        let weight = u64::from(plan.work.weight);
        context.stats.probe.in_flight.inc();
        context.stats.probe.in_flight_bytes.add(weight);
        Some(Self { context: context.clone(), host: plan.host.clone(), weight })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.host.leave();
        self.context.stats.probe.in_flight.sub(1);
        self.context.stats.probe.in_flight_bytes.sub(self.weight);
    }
}

/// A finished and judged run.
#[derive(Debug)]
pub struct Finished {
    /// Status, with the flag for unknown.
    pub verdict: Verdict,
    /// Why it is not OK.
    pub reason: Reason,
    /// Milliseconds.
    pub value: Option<f64>,
    /// Everything measured.
    pub outputs: Outputs,
}

impl Finished {
    fn judged(judgement: Judgement, outcome: Outcome) -> Self {
        let Outcome { value, outputs, reason: _, body: _, body_cut: _ } = outcome;
        Self { verdict: Verdict::new(judgement.status), reason: judgement.reason, value, outputs }
    }

    fn unknown(self, reason: Reason) -> Self {
        Self { verdict: self.verdict.with(Verdict::UNKNOWN), reason, ..self }
    }
}

/// Runs a slot and hands its result to the recorder.
pub(crate) async fn run_slot(ticket: Ticket, due: Due) {
    let context = ticket.context.clone();
    let started_ms = context.clock.now_ms();
    let finished = run_any(&context, &due.plan).await;
    drop(ticket);
    push(&context, &due, started_ms, finished);
}

/// A slot that could not start because too many runs against its host are in flight: nothing is known about the target.
pub(crate) fn record_host_limit(context: &RunContext, due: &Due) {
    let judgement = Judgement { status: Status::Failed, reason: Reason::SkippedHostLimit };
    let finished = Finished::judged(judgement, Outcome::failed(Reason::SkippedHostLimit));
    push(context, due, due.slot_ms, finished.unknown(Reason::SkippedHostLimit));
}

fn push(context: &RunContext, due: &Due, started_ms: i64, finished: Finished) {
    let Finished { verdict, reason, value, outputs } = finished;
    let plan = &due.plan;
    let key: Slot = slot::key(due.slot_ms);
    let verdict = if due.initial { verdict.with(Verdict::EXTRA) } else { verdict };
    let value = value.map(|value| value as f32);
    let row = NewResult {
        series_id: plan.series_id,
        slot: key,
        verdict,
        reason,
        value,
        start_ms: (started_ms - i64::from(key) * 1000).clamp(0, i64::from(i16::MAX)) as i16,
        runner_id: context.runner_id,
        phases: Phases::from_outputs(&outputs),
        outputs: codec::encode(plan.work.probe, &outputs, value),
    };
    let urgent = plan.meter.differs(verdict);
    context.buffer.push(Pending { row, meter: plan.meter.clone() }, urgent);
}

/// Who holds the work, so that a judging thread can hold it too.
trait HasWork: Send + Sync + 'static {
    fn work(&self) -> &Work;
}

impl HasWork for Plan {
    fn work(&self) -> &Work {
        &self.work
    }
}

impl HasWork for Work {
    fn work(&self) -> &Work {
        self
    }
}

/// Runs work once that belongs to no monitor's schedule.
pub(crate) async fn run_once(context: &RunContext, work: &Arc<Work>) -> Finished {
    run_any(context, work).await
}

async fn run_any<W: HasWork>(context: &RunContext, holder: &Arc<W>) -> Finished {
    let mark = context.stalls.mark(Instant::now());
    let work = holder.work();
    let outcome = AssertUnwindSafe(async { work.run.run().await }).catch_unwind().await.unwrap_or_else(|_| {
        context.stats.probe.panics.inc();
        Outcome::failed(Reason::Internal)
    });
    let finished = judge(holder, outcome).await;
    set_aside_if_stalled(context, mark, finished)
}

async fn judge<W: HasWork>(holder: &Arc<W>, mut outcome: Outcome) -> Finished {
    if outcome.body.is_none() || !holder.work().judge.reads_body() {
        let judgement = holder.work().judge.judge(&mut outcome);
        return Finished::judged(judgement, outcome);
    }
    judge_body(holder.clone(), outcome).await
}

/// Judges on one of two threads, so that a slow rule or regex holds up neither this thread nor more than two others.
async fn judge_body<W: HasWork>(holder: Arc<W>, mut outcome: Outcome) -> Finished {
    let kept = Outcome {
        reason: outcome.reason,
        value: outcome.value,
        outputs: outcome.outputs.clone(),
        body: None,
        body_cut: outcome.body_cut,
    };
    let (begun, has_begun) = oneshot::channel();
    let mut job = tokio::task::spawn_blocking(move || {
        // The receiver may have given up.
        let _ = begun.send(());
        let start = Instant::now();
        let judgement = holder.work().judge.judge(&mut outcome);
        (Finished::judged(judgement, outcome), start.elapsed())
    });
    if tokio::time::timeout(BODY_RULE_QUEUE, has_begun).await.is_err() {
        job.abort();
        // Others' rules hold both threads: this says nothing about the target.
        return Finished::judged(Judgement::error(Reason::RuleTimeout), kept).unknown(Reason::RunnerStalled);
    }
    match tokio::time::timeout(BODY_RULE_DEADLINE, &mut job).await {
        Ok(Ok((finished, took))) if took <= BODY_RULE_DEADLINE => finished,
        Ok(Ok(_)) | Err(_) => Finished::judged(Judgement::error(Reason::RuleTimeout), kept),
        Ok(Err(_)) => Finished::judged(Judgement::error(Reason::Internal), kept),
    }
}

fn set_aside_if_stalled(context: &RunContext, mark: Mark, finished: Finished) -> Finished {
    if finished.verdict.status() != Status::Ok && context.stalls.spoiled(mark, Instant::now()) {
        context.stats.probe.runs_stalled.inc();
        return finished.unknown(Reason::RunnerStalled);
    }
    finished
}
