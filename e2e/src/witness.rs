//! A witness of the machine: when it let nobody run, nobody could have kept a schedule.
//!
//! Two things are seen: gaps between the looks of a thread that only sleeps (the machine stood still), and the time that the
//! probe threads under test waited for a CPU although they could run (it was given to others), as the kernel counts it.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::judge::now_us;

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(10);
/// So much time withheld within a slot's grace excuses that it was missed, in milliseconds.
const EXCUSE_MS: i64 = 200;

/// A thread that looks every 10 ms. Ends when dropped.
#[derive(Debug)]
pub struct Witness {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    seen: Mutex<Seen>,
    watched: Mutex<Vec<Watched>>,
}

/// Spans of Unix milliseconds during which somebody did not get to run.
#[derive(Debug, Default)]
struct Seen {
    withheld: Vec<(i64, i64)>,
}

/// A probe thread.
#[derive(Debug)]
struct Watched {
    statistics: PathBuf,
    waited_ms: i64,
}

impl Seen {
    fn note(&mut self, ms: i64, until_ms: i64) {
        if ms > 0 {
            self.withheld.push((until_ms - ms, until_ms));
        }
    }
}

impl Watched {
    /// Time that it has waited for a CPU, ever.
    fn read_ms(&self) -> Option<i64> {
        let text = fs::read_to_string(&self.statistics).ok()?;
        Some(text.split(' ').nth(1)?.parse::<i64>().ok()? / 1_000_000)
    }
}

impl Witness {
    /// Starts looking.
    pub fn start() -> Self {
        let shared = Arc::<Shared>::default();
        let looking = shared.clone();
        Self { shared, thread: Some(std::thread::spawn(move || look(&looking))) }
    }

    /// Looks at the probe thread of this `nanomon` too, if it has one by now.
    pub fn watch(&self, process: u32) {
        let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
        let probes = threads
            .map(|thread| thread.path())
            .find(|path| fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "probes"));
        if let Some(path) = probes {
            let mut watched = Watched { statistics: path.join("schedstat"), waited_ms: 0 };
            watched.waited_ms = watched.read_ms().unwrap_or(0);
            self.shared.watched.lock().unwrap_or_else(PoisonError::into_inner).push(watched);
        }
    }

    /// Whether somebody was kept from running for long within this span of Unix milliseconds.
    pub fn excuses(&self, from_ms: i64, to_ms: i64) -> bool {
        let seen = self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // A wait is counted when it ends, so one that began before the span may show after it.
        let within = |(from, to): &(i64, i64)| to.min(&(to_ms + EXCUSE_MS)) - from.max(&(from_ms - EXCUSE_MS));
        seen.withheld.iter().map(|span| within(span).max(0)).sum::<i64>() >= EXCUSE_MS
    }
}

fn look(shared: &Shared) {
    let mut last = now_us() / 1_000;
    while !shared.stop.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK);
        let now = now_us() / 1_000;
        let mut seen = shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.note(now - last - 2 * LOOK.as_millis() as i64, now);
        for watched in shared.watched.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            if let Some(waited_ms) = watched.read_ms() {
                seen.note(waited_ms - watched.waited_ms, now);
                watched.waited_ms = waited_ms;
            }
        }
        last = now;
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let lengths = || seen.withheld.iter().map(|(from, to)| to - from);
        write!(f, "withheld {} ms in all, {} ms at once", lengths().sum::<i64>(), lengths().max().unwrap_or(0))
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_withheld_in_time_excuses() {
        let witness = Witness::start();
        let base = now_us() / 1_000 + 3_600_000;
        {
            let mut seen = witness.shared.seen.lock().unwrap();
            seen.note(150, base + 150);
            seen.note(150, base + 10_000);
            seen.note(150, base + 10_300);
            seen.note(-5, base);
        }
        assert!(!witness.excuses(base, base + 500), "150 ms are too little");
        assert!(witness.excuses(base + 9_900, base + 10_400));
        assert!(!witness.excuses(base + 20_000, base + 20_500));
    }
}
