//! One budget for all writes to the Kubernetes API, spent in order of importance: pure, time is an argument.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use crate::objects::Key;

/// Transitions of one object's health are written at most this often.
pub(crate) const HEALTH_SPACING: Duration = Duration::from_secs(10);
/// Refreshes of last values, in all.
const REFRESH_PER_SECOND: f64 = 5.0;

/// Tokens that come at a rate and pile up to a bound.
#[derive(Debug)]
pub(crate) struct Tokens {
    rate: f64,
    burst: f64,
    left: f64,
    at: Instant,
}

impl Tokens {
    /// Full at first.
    pub(crate) fn new(rate: f64, burst: f64, now: Instant) -> Self {
        Self { rate, burst: burst.max(1.0), left: burst.max(1.0), at: now }
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * self.rate).min(self.burst);
        self.at = now;
    }

    /// Takes one if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        self.refill(now);
        let has = self.left >= 1.0;
        if has {
            self.left -= 1.0;
        }
        has
    }

    /// Gives one back that was not spent.
    pub(crate) fn give_back(&mut self) {
        self.left = (self.left + 1.0).min(self.burst);
    }

    /// When the next one is there.
    pub(crate) fn next(&self) -> Instant {
        self.at + Duration::from_secs_f64(((1.0 - self.left).max(0.0) / self.rate).min(60.0))
    }
}

/// A write that waits.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Job<E> {
    /// The object's half of a status: what tools wait for.
    Verdict(Key),
    /// The target's half.
    Health(Key),
    /// An Event.
    Event(E),
    /// The last value.
    Refresh(Key),
}

/// Writes that wait, by importance. An object waits at most once per kind.
#[derive(Debug)]
pub(crate) struct Queue<E> {
    budget: Tokens,
    refreshes: Tokens,
    verdicts: Fifo,
    /// Due at.
    health: BTreeSet<(Instant, Key)>,
    waiting_health: HashMap<Key, Instant>,
    events: VecDeque<E>,
    refresh: Fifo,
}

/// Events beyond this are dropped: they are hints, not records.
const EVENTS_MAX: usize = 1_000;

#[derive(Debug, Default)]
struct Fifo {
    order: VecDeque<Key>,
    waiting: HashSet<Key>,
}

impl Fifo {
    fn push(&mut self, key: Key) {
        if self.waiting.insert(key.clone()) {
            self.order.push_back(key);
        }
    }

    fn pop(&mut self) -> Option<Key> {
        let key = self.order.pop_front()?;
        self.waiting.remove(&key);
        Some(key)
    }
}

impl<E> Queue<E> {
    pub(crate) fn new(rate: f64, burst: f64, now: Instant) -> Self {
        Self {
            budget: Tokens::new(rate, burst, now),
            refreshes: Tokens::new(REFRESH_PER_SECOND, REFRESH_PER_SECOND, now),
            verdicts: Fifo::default(),
            health: BTreeSet::new(),
            waiting_health: HashMap::new(),
            events: VecDeque::new(),
            refresh: Fifo::default(),
        }
    }

    pub(crate) fn push_verdict(&mut self, key: Key) {
        self.verdicts.push(key);
    }

    /// A transition, to be written no earlier than `due`; a nearer one that waits already stands.
    pub(crate) fn push_health(&mut self, key: Key, due: Instant) {
        match self.waiting_health.get(&key) {
            Some(&waiting) if waiting <= due => return,
            Some(&waiting) => {
                self.health.remove(&(waiting, key.clone()));
            }
            None => {}
        }
        self.waiting_health.insert(key.clone(), due);
        self.health.insert((due, key));
    }

    /// False if there are too many already.
    pub(crate) fn push_event(&mut self, event: E) -> bool {
        let room = self.events.len() < EVENTS_MAX;
        if room {
            self.events.push_back(event);
        }
        room
    }

    pub(crate) fn push_refresh(&mut self, key: Key) {
        self.refresh.push(key);
    }

    /// Takes the most important write that may be made now; its token is spent.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Job<E>> {
        if !self.has_due(now) || !self.budget.take(now) {
            return None;
        }
        if let Some(key) = self.verdicts.pop() {
            return Some(Job::Verdict(key));
        }
        if self.health.first().is_some_and(|(due, _)| *due <= now)
            && let Some((_, key)) = self.health.pop_first()
        {
            self.waiting_health.remove(&key);
            return Some(Job::Health(key));
        }
        if let Some(event) = self.events.pop_front() {
            return Some(Job::Event(event));
        }
        if !self.refresh.order.is_empty()
            && self.refreshes.take(now)
            && let Some(key) = self.refresh.pop()
        {
            return Some(Job::Refresh(key));
        }
        self.budget.give_back();
        None
    }

    /// The write turned out to be unnecessary: its token comes back.
    pub(crate) fn unspent(&mut self) {
        self.budget.give_back();
    }

    fn has_due(&self, now: Instant) -> bool {
        !self.verdicts.order.is_empty()
            || !self.events.is_empty()
            || !self.refresh.order.is_empty()
            || self.health.first().is_some_and(|(due, _)| *due <= now)
    }

    /// When to ask again if nothing new is pushed; `None`: nothing waits.
    pub(crate) fn next(&self, now: Instant) -> Option<Instant> {
        let soon = |at: Instant| at.max(now + Duration::from_millis(10));
        if !self.verdicts.order.is_empty() || !self.events.is_empty() {
            return Some(soon(self.budget.next()));
        }
        let health = self.health.first().map(|(due, _)| soon((*due).max(self.budget.next())));
        let refresh = (!self.refresh.order.is_empty()).then(|| soon(self.refreshes.next().max(self.budget.next())));
        health.into_iter().chain(refresh).min()
    }

    /// How many writes wait, by kind: verdicts, health, events, refreshes.
    pub(crate) fn depth(&self) -> [usize; 4] {
        [self.verdicts.order.len(), self.health.len(), self.events.len(), self.refresh.order.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> Key {
        Key { namespace: "n".into(), name: n.to_string() }
    }

    fn drain(queue: &mut Queue<u32>, from: Instant, seconds: u64) -> Vec<(u64, Job<u32>)> {
        let mut made = vec![];
        for step in 0..seconds * 100 {
            let now = from + Duration::from_millis(step * 10);
            while let Some(job) = queue.pop(now) {
                made.push((step / 100, job));
            }
        }
        made
    }

    #[test]
    fn flapping_targets_stay_within_the_budget_and_a_new_monitor_comes_first() {
        let start = Instant::now();
        let mut queue: Queue<u32> = Queue::new(20.0, 100.0, start);
        for n in 0..10_000 {
            queue.push_health(key(n), start);
            queue.push_health(key(n), start + Duration::from_secs(1));
        }
        let first = drain(&mut queue, start, 10);
        assert!((299..=301).contains(&first.len()), "{}", first.len());
        queue.push_verdict(key(99_999));
        let now = start + Duration::from_secs(10) + Duration::from_millis(50);
        assert_eq!(queue.pop(now), Some(Job::Verdict(key(99_999))));
    }

    #[test]
    fn transitions_of_one_object_are_coalesced_and_spaced() {
        let start = Instant::now();
        let mut queue: Queue<u32> = Queue::new(20.0, 100.0, start);
        let due = start + HEALTH_SPACING;
        queue.push_health(key(1), due);
        queue.push_health(key(1), due);
        assert_eq!(queue.pop(start), None);
        assert_eq!(queue.next(start), Some(due));
        assert_eq!(queue.pop(due), Some(Job::Health(key(1))));
        assert_eq!(queue.pop(due + HEALTH_SPACING), None);
    }

    #[test]
    fn refreshes_take_what_is_left() {
        let start = Instant::now();
        let mut queue: Queue<u32> = Queue::new(20.0, 100.0, start);
        (0..1_000).for_each(|n| queue.push_refresh(key(n)));
        let made = drain(&mut queue, start, 10);
        assert!((54..=56).contains(&made.len()), "{}", made.len());
        queue.push_event(1);
        assert_eq!(queue.pop(start + Duration::from_secs(10)), Some(Job::Event(1)));
    }

    #[test]
    fn an_unnecessary_write_costs_nothing() {
        let start = Instant::now();
        let mut queue: Queue<u32> = Queue::new(1.0, 1.0, start);
        for n in 0..100 {
            queue.push_verdict(key(n));
            assert!(queue.pop(start).is_some());
            queue.unspent();
        }
    }
}
