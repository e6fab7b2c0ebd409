//! Which monitor is due when: two heaps, one of what comes and one of what is due. Pure: the time is an argument.
//!
//! Due runs are ordered by what the monitor is owed for slots that were passed over, then by slot and id. Without overload
//! nothing is passed over, so the order within a tick is the same each time (a changing order would itself be a deviation).
//! Under overload whoever is owed most goes first, so that all monitors run equally often.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use nanomon_core::slot;
use nanomon_sql::{SeriesId, Slot};

use crate::plan::Plan;
use crate::window::Window;

/// What is known of a series when its monitor arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seed {
    /// Newest slot that PostgreSQL has of it.
    pub last_slot: Option<Slot>,
    /// The initial run of this activation has not happened yet.
    pub wants_initial: bool,
}

/// A run that is to start.
#[derive(Clone, Debug)]
pub struct Due {
    /// What runs.
    pub plan: Arc<Plan>,
    /// Its slot in Unix milliseconds; of an initial run the activation.
    pub slot_ms: i64,
    /// An initial run outside the schedule.
    pub initial: bool,
    at: usize,
}

#[derive(Debug)]
struct Entry {
    plan: Arc<Plan>,
    /// Queued starts of an older generation are void.
    generation: u32,
    /// Newest slot that was started or is known to be stored, in milliseconds; [`NEVER`]: none.
    last_ms: i64,
    /// The slot that is queued; `None`: dormant, no slot is ours.
    next_ms: Option<i64>,
    /// Milliseconds of schedule that were passed over and not made good; fades with each start.
    owed_ms: u32,
    wants_initial: bool,
    alive: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Coming {
    slot_ms: i64,
    series_id: SeriesId,
    at: usize,
    generation: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ready {
    owed_ms: Reverse<u32>,
    coming: Coming,
}

/// What a look at the agenda did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Slots that were too late to be started.
    pub late: u64,
}

/// The agenda of one probe thread.
#[derive(Debug)]
pub struct Agenda {
    entries: Vec<Entry>,
    free: Vec<usize>,
    by_series: HashMap<SeriesId, usize>,
    windows: Vec<Window>,
    coming: BinaryHeap<Reverse<Coming>>,
    ready: BinaryHeap<Reverse<Ready>>,
    initials: std::collections::VecDeque<(usize, u32)>,
    rate_micro: u64,
    passed: Passed,
}

impl Default for Agenda {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            by_series: HashMap::new(),
            windows: vec![Window::CLOSED; usize::from(slot::BUCKETS)],
            coming: BinaryHeap::new(),
            ready: BinaryHeap::new(),
            initials: std::collections::VecDeque::new(),
            rate_micro: 0,
            passed: Passed::default(),
        }
    }
}

/// Before every slot, and far from the ends of the number's range.
const NEVER: i64 = -1;

/// A start makes one part in this many good.
const FADE: u32 = 8;

fn rate_micro(plan: &Plan) -> u64 {
    1_000_000_000 / u64::from(plan.schedule.interval_ms.max(1))
}

impl Agenda {
    /// Puts a monitor on, or a new form of one in place of the old, which never starts again.
    pub fn put(&mut self, plan: Arc<Plan>, seed: Seed, now_ms: i64) {
        let stored_ms = seed.last_slot.map_or(NEVER, |slot| i64::from(slot) * 1000 + 999);
        let at = if let Some(&at) = self.by_series.get(&plan.series_id) {
            let entry = &mut self.entries[at];
            let same = entry.plan.schedule == plan.schedule && entry.plan.bucket == plan.bucket;
            self.rate_micro -= rate_micro(&entry.plan);
            entry.plan = plan;
            entry.generation += 1;
            entry.last_ms = entry.last_ms.max(stored_ms);
            entry.wants_initial = seed.wants_initial;
            let pending = entry.next_ms.filter(|_| same);
            self.rate_micro += rate_micro(&self.entries[at].plan);
            match pending {
                Some(slot_ms) => self.queue(at, slot_ms),
                None => self.plan_next(at, now_ms),
            }
            at
        } else {
            self.rate_micro += rate_micro(&plan);
            let series_id = plan.series_id;
            let entry = Entry {
                plan,
                generation: 0,
                last_ms: stored_ms,
                next_ms: None,
                owed_ms: 0,
                wants_initial: seed.wants_initial,
                alive: true,
            };
            let at = if let Some(at) = self.free.pop() {
                let generation = self.entries[at].generation + 1;
                self.entries[at] = Entry { generation, ..entry };
                at
            } else {
                self.entries.push(entry);
                self.entries.len() - 1
            };
            self.by_series.insert(series_id, at);
            self.arrive(at, now_ms);
            at
        };
        if self.entries[at].wants_initial {
            self.initials.push_back((at, self.entries[at].generation));
        }
    }

    /// Takes a monitor off; it never starts again.
    pub fn remove(&mut self, series_id: SeriesId) {
        let Some(at) = self.by_series.remove(&series_id) else { return };
        let entry = &mut self.entries[at];
        entry.alive = false;
        entry.generation += 1;
        entry.next_ms = None;
        self.rate_micro -= rate_micro(&entry.plan);
        self.free.push(at);
    }

    /// The slots of these shards that are ours from now on.
    pub fn set_windows(&mut self, windows: &[(u16, Window)], now_ms: i64) {
        for (bucket, window) in windows {
            self.windows[usize::from(*bucket)] = *window;
        }
        let changed: std::collections::HashSet<u16> = windows.iter().map(|(bucket, _)| *bucket).collect();
        for at in 0..self.entries.len() {
            let entry = &self.entries[at];
            if entry.alive && entry.next_ms.is_none() && changed.contains(&entry.plan.bucket) {
                self.arrive(at, now_ms);
            }
        }
    }

    /// Plans everything anew, for the clock has jumped: ahead without a burst, back without running a slot again.
    pub fn replan(&mut self, now_ms: i64) {
        self.coming.clear();
        self.ready.clear();
        for at in 0..self.entries.len() {
            if self.entries[at].alive {
                self.plan_next(at, now_ms);
            }
        }
    }

    /// First slot of a monitor that has just become ours: the newest one that nobody ran and that may still start, else
    /// the next.
    fn arrive(&mut self, at: usize, now_ms: i64) {
        let entry = &self.entries[at];
        let window = self.windows[usize::from(entry.plan.bucket)];
        let schedule = entry.plan.schedule;
        let newest = schedule.last_at_or_before(now_ms);
        let fresh = now_ms - newest <= slot::grace_ms(schedule.interval_ms);
        if fresh && newest > entry.last_ms && slot::key(newest) > slot::key(entry.last_ms) && window.holds(newest) {
            self.queue(at, newest);
        } else {
            self.plan_next(at, now_ms);
        }
    }

    /// Queues the first slot after `after_ms` that is ours and was not run before.
    fn plan_next(&mut self, at: usize, after_ms: i64) {
        let entry = &mut self.entries[at];
        let window = self.windows[usize::from(entry.plan.bucket)];
        let schedule = entry.plan.schedule;
        entry.generation += 1;
        entry.next_ms = None;
        if !window.is_open() {
            return;
        }
        let mut slot_ms = schedule.next_after(after_ms.max(entry.last_ms));
        if slot_ms < window.from {
            slot_ms = schedule.next_at_or_after(window.from);
        }
        // After a change of interval two slots may lie in one second, which is one key.
        if slot::key(slot_ms) == slot::key(entry.last_ms) {
            slot_ms = schedule.next_after(slot_ms);
        }
        if window.holds(slot_ms) {
            self.queue(at, slot_ms);
        }
    }

    fn queue(&mut self, at: usize, slot_ms: i64) {
        let entry = &mut self.entries[at];
        entry.generation += 1;
        entry.next_ms = Some(slot_ms);
        let (series_id, generation) = (entry.plan.series_id, entry.generation);
        self.coming.push(Reverse(Coming { slot_ms, series_id, at, generation }));
        if entry.wants_initial {
            // The generation moved on; the initial run is still wanted.
            self.initials.push_back((at, generation));
        }
    }

    fn is_current(&self, coming: &Coming) -> bool {
        let entry = &self.entries[coming.at];
        entry.alive && entry.generation == coming.generation
    }

    /// Moves what has come due by now to the due ones; answers how many are due.
    pub fn advance(&mut self, now_ms: i64) -> usize {
        while let Some(Reverse(coming)) = self.coming.peek().copied() {
            if coming.slot_ms > now_ms {
                break;
            }
            self.coming.pop();
            if self.is_current(&coming) {
                let owed_ms = Reverse(self.entries[coming.at].owed_ms);
                self.ready.push(Reverse(Ready { owed_ms, coming }));
            }
        }
        self.ready.len()
    }

    /// The next run to start, if one is due. Slots that are too late are passed over and counted; the monitor's next slot
    /// is planned in either case.
    pub fn pop(&mut self, now_ms: i64) -> Option<Due> {
        while let Some(Reverse(Ready { coming, .. })) = self.ready.pop() {
            if !self.is_current(&coming) {
                continue;
            }
            if self.is_late(&coming, now_ms) {
                self.pass_over(&coming, now_ms);
                continue;
            }
            let window = self.windows[usize::from(self.entries[coming.at].plan.bucket)];
            if !window.holds(coming.slot_ms) {
                self.plan_next(coming.at, coming.slot_ms);
                continue;
            }
            let entry = &mut self.entries[coming.at];
            entry.last_ms = coming.slot_ms;
            entry.owed_ms -= entry.owed_ms.div_ceil(FADE);
            entry.wants_initial = false;
            let plan = entry.plan.clone();
            self.plan_next(coming.at, coming.slot_ms);
            return Some(Due { plan, slot_ms: coming.slot_ms, initial: false, at: coming.at });
        }
        None
    }

    /// The next initial run, if one is wanted: not if a slot of the schedule has run since, or will within the same second,
    /// nor if its key is a slot's: whoever had the shard before may have run that one and not stored it yet.
    pub fn pop_initial(&mut self, now_ms: i64) -> Option<Due> {
        while let Some((at, generation)) = self.initials.pop_front() {
            let entry = &mut self.entries[at];
            if !entry.alive || entry.generation != generation || !entry.wants_initial {
                continue;
            }
            let activated_ms = i64::from(entry.plan.activated_at) * 1000;
            let window = self.windows[usize::from(entry.plan.bucket)];
            let soon =
                entry.next_ms.is_some_and(|next| slot::key(next) <= entry.plan.activated_at.max(slot::key(now_ms)));
            if !window.holds(now_ms) {
                // Not ours yet: asked for again when the shard's window opens.
                continue;
            }
            entry.wants_initial = false;
            let newest = entry.plan.schedule.last_at_or_before(activated_ms + 999);
            let is_slots_key = slot::key(newest) == entry.plan.activated_at;
            if soon || is_slots_key || slot::key(entry.last_ms) >= entry.plan.activated_at {
                continue;
            }
            return Some(Due { plan: entry.plan.clone(), slot_ms: activated_ms, initial: true, at });
        }
        None
    }

    /// Passes over what is due but too late by now.
    pub fn expire(&mut self, now_ms: i64) {
        let mut late = Vec::new();
        let entries = &self.entries;
        self.ready.retain(|Reverse(Ready { coming, .. })| {
            let entry = &entries[coming.at];
            if !entry.alive || entry.generation != coming.generation {
                return false;
            }
            let expired = now_ms - coming.slot_ms > slot::grace_ms(entry.plan.schedule.interval_ms);
            if expired {
                late.push(*coming);
            }
            !expired
        });
        for coming in late {
            self.pass_over(&coming, now_ms);
        }
    }

    fn is_late(&self, coming: &Coming, now_ms: i64) -> bool {
        now_ms - coming.slot_ms > slot::grace_ms(self.entries[coming.at].plan.schedule.interval_ms)
    }

    /// Counts the slots up to now as passed over, but for the newest, which may still start.
    fn pass_over(&mut self, coming: &Coming, now_ms: i64) {
        let entry = &mut self.entries[coming.at];
        let schedule = entry.plan.schedule;
        entry.owed_ms = entry.owed_ms.saturating_add(schedule.interval_ms);
        let newest = schedule.last_at_or_before(now_ms);
        let resume = if newest > coming.slot_ms && now_ms - newest <= slot::grace_ms(schedule.interval_ms) {
            newest - 1
        } else {
            newest.max(coming.slot_ms)
        };
        self.passed.late += schedule.count(coming.slot_ms, resume + 1).max(1) as u64;
        self.plan_next(coming.at, resume);
    }

    /// A due run could not start because of its host: it keeps its claim for as long as it may start.
    pub fn is_expired(&self, due: &Due, now_ms: i64) -> bool {
        now_ms - due.slot_ms > slot::grace_ms(due.plan.schedule.interval_ms)
    }

    /// Whether a run that was held back is still wanted in this form.
    pub fn is_wanted(&self, due: &Due) -> bool {
        self.by_series.get(&due.plan.series_id) == Some(&due.at) && Arc::ptr_eq(&self.entries[due.at].plan, &due.plan)
    }

    /// When the next slot comes, if any does.
    pub fn next_ms(&self) -> Option<i64> {
        self.coming.peek().map(|Reverse(coming)| coming.slot_ms)
    }

    /// Runs that are due and have not started.
    pub fn due(&self) -> usize {
        self.ready.len()
    }

    /// Monitors on it.
    pub fn len(&self) -> usize {
        self.by_series.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_series.is_empty()
    }

    /// Runs per million seconds that the schedules ask for.
    pub fn rate_micro(&self) -> u64 {
        self.rate_micro
    }

    /// What was passed over since the last call.
    pub fn take_passed(&mut self) -> Passed {
        std::mem::take(&mut self.passed)
    }
}

#[cfg(test)]
mod tests;
