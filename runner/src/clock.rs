//! PostgreSQL's clock as every runner sees it: monotonic time plus a measured offset that never steps by little.
//!
//! Small corrections are slewed, so that intervals stay exact and no slot is repeated or skipped; a jump of more than
//! [`JUMP_US`] is taken at once and counted, and whoever plans by this clock plans anew.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Corrections above this are taken at once: two seconds.
pub const JUMP_US: i64 = 2_000_000;
/// One microsecond of correction per this many microseconds of time: 10 ms/s.
const SLEW_DIVISOR: i64 = 100;
/// Samples that took longer on the way say too little.
const ROUND_TRIP_MAX_US: i64 = 1_000_000;

/// What a sample did to the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The offset lies within the sample's uncertainty, or the sample says too little.
    Kept,
    /// The offset moves towards the sample at 10 ms/s.
    Slewing,
    /// The first sample, or one that differs by more than two seconds: taken at once.
    Jumped,
}

/// The offset over monotonic time. Pure; all times are microseconds since an arbitrary start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offset {
    /// Offset at `at`; `None` before the first sample.
    known: Option<i64>,
    target: i64,
    at: i64,
}

impl Offset {
    /// The offset at this moment: Unix time = monotonic time + offset.
    pub fn at(&self, mono_us: i64) -> Option<i64> {
        let reach = (mono_us - self.at).max(0) / SLEW_DIVISOR;
        self.known.map(|known| known + (self.target - known).clamp(-reach, reach))
    }

    /// Takes a measurement: PostgreSQL said `server_us` at some moment between `sent_us` and `received_us`.
    pub fn observe(&mut self, sent_us: i64, received_us: i64, server_us: i64) -> Step {
        let round_trip = received_us - sent_us;
        let sample = server_us - (sent_us + round_trip / 2);
        let Some(current) = self.at(received_us) else {
            *self = Self { known: Some(sample), target: sample, at: received_us };
            return Step::Jumped;
        };
        let uncertainty = round_trip / 2;
        let difference = sample - current;
        if difference.abs() - uncertainty > JUMP_US {
            *self = Self { known: Some(sample), target: sample, at: received_us };
            return Step::Jumped;
        }
        // Within what the round trip leaves open the present offset is as good: no correction, no jitter.
        if difference.abs() <= uncertainty || round_trip > ROUND_TRIP_MAX_US {
            *self = Self { known: Some(current), target: current, at: received_us };
            return Step::Kept;
        }
        // No further than what is certain: an answer that took long comes with an error of half its way.
        let target = sample - uncertainty * difference.signum();
        *self = Self { known: Some(current), target, at: received_us };
        Step::Slewing
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    offset: Offset,
    jumps: u64,
}

/// The clock that the parts of a runner share. Written by the membership task, read by everybody.
#[derive(Debug)]
pub struct ServerClock {
    start: Instant,
    state: Mutex<State>,
}

impl Default for ServerClock {
    fn default() -> Self {
        Self { start: Instant::now(), state: Mutex::default() }
    }
}

impl ServerClock {
    fn mono_us(&self, at: Instant) -> i64 {
        at.saturating_duration_since(self.start).as_micros() as i64
    }

    fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a measurement; see [`Offset::observe`].
    pub fn observe(&self, sent: Instant, received: Instant, server_us: i64) -> Step {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let step = state.offset.observe(self.mono_us(sent), self.mono_us(received), server_us);
        state.jumps += u64::from(step == Step::Jumped);
        step
    }

    /// PostgreSQL's time at this moment in Unix microseconds; before the first sample this machine's own.
    pub fn at_us(&self, at: Instant) -> i64 {
        let mono = self.mono_us(at);
        match self.state().offset.at(mono) {
            Some(offset) => mono + offset,
            None => system_us() - self.mono_us(Instant::now()) + mono,
        }
    }

    /// PostgreSQL's time now in Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.at_us(Instant::now()).div_euclid(1000)
    }

    /// How long it is until this Unix millisecond; zero if it has passed. Slewing changes it by 1 % at most.
    pub fn until(&self, unix_ms: i64) -> Duration {
        let left = unix_ms.saturating_mul(1000) - self.at_us(Instant::now());
        Duration::from_micros(u64::try_from(left).unwrap_or(0))
    }

    /// How often the clock has jumped, the first sample included: a change means that plans are void.
    pub fn jumps(&self) -> u64 {
        self.state().jumps
    }

    /// How far PostgreSQL's clock is ahead of this machine's, in milliseconds.
    pub fn offset_to_system_ms(&self) -> i64 {
        (self.at_us(Instant::now()) - system_us()).div_euclid(1000)
    }
}

fn system_us() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    since.as_micros() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: i64 = 1_000_000;

    fn synced(offset: i64) -> Offset {
        let mut clock = Offset::default();
        assert_eq!(clock.observe(0, 0, offset), Step::Jumped);
        clock
    }

    #[test]
    fn small_differences_are_slewed_at_ten_milliseconds_a_second() {
        let mut clock = synced(100 * S);
        assert_eq!(clock.observe(10 * S, 10 * S, 110 * S + 50_000), Step::Slewing);
        assert_eq!(clock.at(10 * S), Some(100 * S));
        assert_eq!(clock.at(11 * S), Some(100 * S + 10_000));
        assert_eq!(clock.at(15 * S), Some(100 * S + 50_000));
        assert_eq!(clock.at(60 * S), Some(100 * S + 50_000));
        // Turned round on the way: goes on from where it is.
        assert_eq!(clock.observe(12 * S, 12 * S, 112 * S), Step::Slewing);
        assert_eq!(clock.at(12 * S), Some(100 * S + 20_000));
        assert_eq!(clock.at(13 * S), Some(100 * S + 10_000));
    }

    #[test]
    fn jumps_are_taken_at_once_both_ways() {
        let mut clock = synced(0);
        assert_eq!(clock.observe(S, S, S + 3600 * S), Step::Jumped);
        assert_eq!(clock.at(S), Some(3600 * S));
        assert_eq!(clock.observe(2 * S, 2 * S, 2 * S), Step::Jumped);
        assert_eq!(clock.at(2 * S), Some(0));
        assert_eq!(clock.observe(3 * S, 3 * S, 5 * S), Step::Slewing, "two seconds are still slewed");
    }

    #[test]
    fn what_the_round_trip_leaves_open_changes_nothing() {
        let mut clock = synced(0);
        assert_eq!(clock.observe(S, S + 20_000, S + 19_000), Step::Kept);
        assert_eq!(clock.at(10 * S), Some(0));
        assert_eq!(clock.observe(2 * S, 5 * S, 5 * S), Step::Kept, "an answer after three seconds says little");
    }

    proptest! {
        /// Whatever small corrections come, time runs forward, at 99 to 101 % of its speed.
        #[test]
        fn slewing_never_runs_backwards(samples in prop::collection::vec((1_i64..5_000_000, -1_900_000_i64..1_900_000), 1..50)) {
            let mut clock = synced(0);
            let mut mono = 0;
            for (pause, drift) in samples {
                let before = mono + clock.at(mono).unwrap_or(0);
                mono += pause;
                let after = mono + clock.at(mono).unwrap_or(0);
                prop_assert!((after - before - pause).abs() <= pause / 100 + 1);
                let current = clock.at(mono).unwrap_or(0);
                prop_assert_ne!(clock.observe(mono, mono, mono + current + drift), Step::Jumped);
                prop_assert!((clock.at(mono).unwrap_or(0) - current).abs() <= 1, "a correction is no step");
            }
        }
    }
}
