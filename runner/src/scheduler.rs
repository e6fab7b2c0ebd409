//! The probe thread: starts what is due, in ticks, and nothing else.
//!
//! Starts are gathered in ticks of 100 ms, of 10 ms where more than 500 runs a second are asked for; a slot starts at the
//! first tick at or after it, so that intervals which are multiples of 100 ms are exact. At most 16 runs start between two
//! looks at the sockets, so that answers are read when they come and the first ones do not wait for the last connects; under
//! overload that also bounds how much is begun.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nanomon_sql::SeriesId;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use crate::agenda::{Agenda, Due, Seed};
use crate::pacer::Pacer;
use crate::plan::{HostGate, Plan, Work};
use crate::window::Window;
use crate::worker::{self, Finished, RunContext, Ticket};

/// Starts between two looks at the sockets.
const STARTS_PER_POLL: usize = 16;
/// Ticks while few runs are asked for: each wake-up costs more than the runs it starts.
const COARSE_TICK_MS: i64 = 100;
/// Ticks while many are.
const FINE_TICK_MS: i64 = 10;
/// Runs per second above which ticks become fine, and below which they become coarse again.
const FINE_ABOVE: u64 = 500;
const COARSE_BELOW: u64 = 350;
/// Longest step of this thread.
const STEP: Duration = Duration::from_millis(2);
/// Handling commands and starting runs stops for a look at everything else after this time.
const TURN: Duration = Duration::from_millis(20);

/// What the rest of the runner tells the probe thread.
pub enum Command {
    /// Monitors that are new or have a new form.
    Put(Vec<(Arc<Plan>, Seed)>),
    /// Series that are no longer run here.
    Remove(Vec<SeriesId>),
    /// Shards whose slots are ours, or no longer.
    Windows(Vec<(u16, Window)>),
    /// A run outside every schedule.
    Once(Arc<Work>, oneshot::Sender<Finished>),
    /// Start nothing more, wait for what runs, at most until then.
    Finish(Instant),
}

/// The loop's state.
pub struct Scheduler {
    context: Arc<RunContext>,
    commands: mpsc::UnboundedReceiver<Command>,
    agenda: Agenda,
    /// Due runs that wait for their host, by the address of its gate.
    held: HashMap<usize, VecDeque<Due>>,
    /// Bounds starts after a stall or a takeover; far above what the schedule asks for.
    pacer: Pacer,
    initial_pacer: Pacer,
    fine: bool,
    jumps: u64,
    running: TaskTracker,
    finish: Option<Instant>,
}

impl Scheduler {
    /// A loop with nothing to do.
    pub fn new(context: Arc<RunContext>, commands: mpsc::UnboundedReceiver<Command>) -> Self {
        let now = Instant::now();
        let jumps = context.clock.jumps();
        let catch_up = context.bounds.catch_up_per_second;
        Self {
            context,
            commands,
            agenda: Agenda::default(),
            held: HashMap::new(),
            pacer: Pacer::new(now),
            initial_pacer: Pacer::with_rate(now, catch_up),
            fine: false,
            jumps,
            running: TaskTracker::new(),
            finish: None,
        }
    }

    /// Runs until told to finish, or until nobody is left to tell.
    pub async fn run(mut self) {
        while self.finish.is_none() {
            self.sleep_until_tick().await;
            while self.turn().await {
                self.look_around().await;
            }
            if self.commands.is_closed() && self.commands.is_empty() {
                break;
            }
        }
        self.running.close();
        let deadline = self.finish.unwrap_or_else(Instant::now);
        let wait = deadline.saturating_duration_since(Instant::now());
        // What is still running then has no result; the runtime ends it.
        let _ = tokio::time::timeout(wait, self.running.wait()).await;
    }

    async fn sleep_until_tick(&self) {
        let tick = if self.fine { FINE_TICK_MS } else { COARSE_TICK_MS };
        let clock = &self.context.clock;
        let next = (clock.now_ms().div_euclid(tick) + 1) * tick;
        // Never longer than a tick, whatever the clock does meanwhile.
        let pause = clock.until(next).min(Duration::from_millis(tick as u64));
        let back = Instant::now() + pause;
        self.context.stalls.expect(back);
        tokio::time::sleep_until(back.into()).await;
        self.came_back();
    }

    /// Lets tasks run and looks at the sockets.
    async fn look_around(&self) {
        self.context.stalls.expect(Instant::now());
        tokio::task::yield_now().await;
        // The second time what the first look has woken has run too: starts do not outrun answers.
        tokio::task::yield_now().await;
        self.came_back();
    }

    fn came_back(&self) {
        let late = self.context.stalls.back(Instant::now());
        let stats = &self.context.stats.probe;
        // A millisecond is the timer's grain.
        if late > STEP + Duration::from_millis(1) {
            stats.stalls.inc();
            if late > crate::stall::GRAIN {
                stats.stalled_ms.add(late.as_millis() as u64);
            }
        }
    }

    /// One look at everything; answers whether there is more to do at once.
    async fn turn(&mut self) -> bool {
        let began = Instant::now();
        self.context.stats.probe.ticks.inc();
        if !self.obey(began) {
            return true;
        }
        let now_ms = self.context.clock.now_ms();
        if self.jumps != self.context.clock.jumps() {
            self.jumps = self.context.clock.jumps();
            self.agenda.replan(now_ms);
        }
        self.choose_ticks(began);
        self.release_held(now_ms);
        let more = self.start_due(began).await;
        self.note();
        more
    }

    /// Handles waiting commands; answers whether all were.
    fn obey(&mut self, began: Instant) -> bool {
        while let Ok(command) = self.commands.try_recv() {
            let now_ms = self.context.clock.now_ms();
            match command {
                Command::Put(plans) => {
                    for (plan, seed) in plans {
                        self.agenda.put(plan, seed, now_ms);
                    }
                }
                Command::Remove(series) => {
                    for id in series {
                        self.agenda.remove(id);
                    }
                }
                Command::Windows(windows) => self.agenda.set_windows(&windows, now_ms),
                Command::Once(work, answer) => {
                    let context = self.context.clone();
                    self.running.spawn(async move {
                        let finished = worker::run_once(&context, &work).await;
                        // Who asked may have gone.
                        let _ = answer.send(finished);
                    });
                }
                Command::Finish(deadline) => {
                    self.finish = Some(deadline);
                    return true;
                }
            }
            if began.elapsed() > STEP / 2 {
                return false;
            }
        }
        true
    }

    fn choose_ticks(&mut self, now: Instant) {
        let rate = self.agenda.rate_micro() / 1_000_000;
        self.fine = if self.fine { rate >= COARSE_BELOW } else { rate > FINE_ABOVE };
        let at_least = u64::from(self.context.bounds.catch_up_per_second);
        self.pacer.set_rate(now, at_least.max(3 * rate));
        self.context.stats.probe.rate_micro.set(self.agenda.rate_micro());
    }

    /// Starts what waited for its host, and gives up what waited too long.
    fn release_held(&mut self, now_ms: i64) {
        let context = &self.context;
        let (agenda, running) = (&self.agenda, &self.running);
        self.held.retain(|_, queue| {
            while let Some(due) = queue.front() {
                if !agenda.is_wanted(due) {
                    queue.pop_front();
                } else if agenda.is_expired(due, now_ms) {
                    context.stats.probe.skipped_host_limit.inc();
                    worker::record_host_limit(context, due);
                    queue.pop_front();
                } else if let Some(ticket) = Ticket::take(context, &due.plan) {
                    if let Some(due) = queue.pop_front() {
                        start(context, running, ticket, due, now_ms);
                    }
                } else {
                    break;
                }
            }
            !queue.is_empty()
        });
    }

    /// Starts what is due; answers whether the time of a turn was too short for it.
    async fn start_due(&mut self, began: Instant) -> bool {
        if self.finish.is_some() {
            return false;
        }
        let mut starts = 0;
        loop {
            let now_ms = self.context.clock.now_ms();
            self.agenda.advance(now_ms);
            while starts < STARTS_PER_POLL {
                if self.is_full() || !self.pacer.may_start() {
                    self.agenda.expire(now_ms);
                    return false;
                }
                let due = match self.agenda.pop(now_ms) {
                    Some(due) => due,
                    None => match self.next_initial(now_ms) {
                        Some(due) => due,
                        None => return false,
                    },
                };
                self.pacer.started();
                starts += 1;
                self.start_or_hold(due, now_ms);
            }
            if began.elapsed() > TURN {
                self.agenda.expire(now_ms);
                return true;
            }
            starts = 0;
            self.look_around().await;
            self.release_held(self.context.clock.now_ms());
            self.pacer.refill(Instant::now());
        }
    }

    fn next_initial(&mut self, now_ms: i64) -> Option<Due> {
        self.initial_pacer.refill(Instant::now());
        if !self.initial_pacer.may_start() {
            return None;
        }
        let due = self.agenda.pop_initial(now_ms)?;
        self.initial_pacer.started();
        Some(due)
    }

    fn is_full(&self) -> bool {
        let stats = &self.context.stats.probe;
        let bounds = &self.context.bounds;
        stats.in_flight.get() >= bounds.in_flight as u64 || stats.in_flight_bytes.get() >= bounds.in_flight_bytes as u64
    }

    fn start_or_hold(&mut self, due: Due, now_ms: i64) {
        let host = host_key(&due.plan.host);
        // Who waits already goes first.
        if !self.held.contains_key(&host)
            && let Some(ticket) = Ticket::take(&self.context, &due.plan)
        {
            start(&self.context, &self.running, ticket, due, now_ms);
        } else {
            self.held.entry(host).or_default().push_back(due);
        }
    }

    fn note(&mut self) {
        let stats = &self.context.stats.probe;
        let passed = self.agenda.take_passed();
        stats.skipped_late.add(passed.late);
        stats.scheduled.set(self.agenda.len() as u64);
        stats.waiting.set((self.agenda.due() + self.held.values().map(VecDeque::len).sum::<usize>()) as u64);
    }
}

fn host_key(gate: &Arc<HostGate>) -> usize {
    Arc::as_ptr(gate) as usize
}

fn start(context: &Arc<RunContext>, running: &TaskTracker, ticket: Ticket, due: Due, now_ms: i64) {
    let stats = &context.stats.probe;
    stats.started.inc();
    if !due.initial {
        stats.lag_ms.raise(u64::try_from(now_ms - due.slot_ms).unwrap_or(0));
    }
    running.spawn(worker::run_slot(ticket, due));
}
