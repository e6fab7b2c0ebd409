//! How long this thread was held up: a run that overlapped such a time must not blame its target.
//!
//! Before the loop lets go of the thread it says when it expects to be back; being back later means that the process was
//! stopped, throttled or busy. A run asks at its end, for its own wake-up may come before the loop's.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Being late by less is the scheduler's and the timer's normal grain.
pub const GRAIN: Duration = Duration::from_millis(20);
/// One stall of more than this spoils every run that it overlaps.
pub const SPOILS: Duration = Duration::from_millis(250);
/// A run is also spoiled by many small ones (CPU throttling): more than this part of its duration, and more than
/// [`SPOILS`] in all.
const SPOILED_PART: u32 = 10;

#[derive(Debug)]
struct State {
    expected: Instant,
    total: Duration,
    last_long_end: Option<Instant>,
}

/// The stalls of one thread.
#[derive(Debug)]
pub struct Stalls {
    state: Mutex<State>,
}

/// A moment, to be compared with a later one.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    at: Instant,
    total: Duration,
}

impl Stalls {
    /// None so far.
    pub fn new(now: Instant) -> Self {
        Self { state: Mutex::new(State { expected: now, total: Duration::ZERO, last_long_end: None }) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The loop lets go and expects to be back by then.
    pub fn expect(&self, back: Instant) {
        self.lock().expected = back;
    }

    /// The loop is back; answers how late it is.
    pub fn back(&self, now: Instant) -> Duration {
        let mut state = self.lock();
        let late = now.saturating_duration_since(state.expected);
        state.note(now);
        late
    }

    /// A run begins.
    pub fn mark(&self, now: Instant) -> Mark {
        let mut state = self.lock();
        state.note(now);
        Mark { at: now, total: state.total }
    }

    /// Whether the thread was held up so much since the mark that the run says nothing about its target.
    pub fn spoiled(&self, since: Mark, now: Instant) -> bool {
        let mut state = self.lock();
        state.note(now);
        let held_up = state.total.saturating_sub(since.total);
        state.last_long_end.is_some_and(|end| end > since.at)
            || (held_up > SPOILS && held_up > now.saturating_duration_since(since.at) / SPOILED_PART)
    }
}

impl State {
    /// Counts the time since the loop was expected, once.
    fn note(&mut self, now: Instant) {
        let late = now.saturating_duration_since(self.expected);
        if late <= GRAIN {
            return;
        }
        self.total += late;
        if late > SPOILS {
            self.last_long_end = Some(now);
        }
        self.expected = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_long_stall_spoils_what_it_overlaps_only() {
        let start = Instant::now();
        let stalls = Stalls::new(start);
        let before = stalls.mark(start);
        stalls.expect(start + 100 * MS);
        // The run's own timer fires before the loop's.
        assert!(stalls.spoiled(before, start + 30_000 * MS));
        stalls.back(start + 30_000 * MS);
        let after = stalls.mark(start + 30_001 * MS);
        stalls.expect(start + 30_100 * MS);
        stalls.back(start + 30_101 * MS);
        assert!(!stalls.spoiled(after, start + 30_101 * MS));
    }

    #[test]
    fn throttling_spoils_and_a_busy_moment_does_not() {
        let start = Instant::now();
        let stalls = Stalls::new(start);
        let run = stalls.mark(start);
        let mut now = start;
        for _ in 0..10 {
            stalls.expect(now + 10 * MS);
            now += 90 * MS;
            stalls.back(now);
        }
        assert!(stalls.spoiled(run, now), "800 of 900 ms");
        let long = stalls.mark(now);
        for _ in 0..50 {
            stalls.expect(now + 100 * MS);
            now += 106 * MS;
            stalls.back(now);
        }
        assert!(!stalls.spoiled(long, now), "never late by more than the grain");
    }
}
