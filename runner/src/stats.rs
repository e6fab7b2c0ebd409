//! What a runner knows of itself: counters and gauges that any thread may read without holding up another.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// A counter or gauge that one thread writes.
#[derive(Debug, Default)]
pub struct Cell(AtomicU64);

impl Cell {
    /// Adds.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Takes away.
    pub fn sub(&self, n: u64) {
        self.0.fetch_sub(n, Ordering::Relaxed);
    }

    /// Sets.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// Raises to at least this.
    pub fn raise(&self, n: u64) {
        self.0.fetch_max(n, Ordering::Relaxed);
    }

    /// Reads and starts again at zero.
    pub fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }

    /// Reads.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The probe thread's counters.
#[derive(Debug, Default)]
pub struct ProbeStats {
    /// Turns of the scheduling loop: it lives.
    pub ticks: Cell,
    /// Runs started.
    pub started: Cell,
    /// Runs in flight now.
    pub in_flight: Cell,
    /// Their bytes, by estimate.
    pub in_flight_bytes: Cell,
    /// Monitors scheduled now.
    pub scheduled: Cell,
    /// Runs that are due and wait.
    pub waiting: Cell,
    /// Slots skipped because they were too late (overload, stalls).
    pub skipped_late: Cell,
    /// Slots skipped because too many runs against their host were in flight.
    pub skipped_host_limit: Cell,
    /// Times that the loop was held up for more than 2 ms.
    pub stalls: Cell,
    /// Milliseconds that the loop was held up for, stalls over 20 ms only.
    pub stalled_ms: Cell,
    /// Worst start lag in milliseconds since the last heartbeat took it.
    pub lag_ms: Cell,
    /// Runs whose verdict was set aside because the loop was stalled.
    pub runs_stalled: Cell,
    /// Runs that panicked.
    pub panics: Cell,
    /// Sum over scheduled monitors of their runs per million seconds.
    pub rate_micro: Cell,
}

/// The recorder's counters.
#[derive(Debug, Default)]
pub struct StoreStats {
    /// Rows stored.
    pub stored: Cell,
    /// Rows that were there already.
    pub duplicate: Cell,
    /// Rows stored but not folded.
    pub late: Cell,
    /// Dropped: monitor or series gone.
    pub dropped_gone: Cell,
    /// Dropped: older than the clear mark.
    pub dropped_cleared: Cell,
    /// Dropped: too old or ahead of time.
    pub dropped_out_of_range: Cell,
    /// Dropped: PostgreSQL refused the row.
    pub dropped_refused: Cell,
    /// Dropped: the statement that stores this row fails again and again.
    pub dropped_statement: Cell,
    /// Dropped: the buffer was full.
    pub dropped_overflow: Cell,
    /// Batches stored.
    pub batches: Cell,
    /// Batches that failed and were sent again.
    pub retries: Cell,
    /// Rows sent once more after a reconnect.
    pub resent: Cell,
    /// Microseconds that stored batches took.
    pub batch_us: Cell,
    /// Rows that wait.
    pub buffered: Cell,
    /// Their bytes.
    pub buffered_bytes: Cell,
    /// Oldest slot that is not stored, if it is a backlog; 0: none.
    pub backlog_from: Cell,
}

/// Membership's gauges.
#[derive(Debug, Default)]
pub struct MemberStats {
    /// Heartbeats that PostgreSQL answered.
    pub heartbeats: Cell,
    /// Heartbeats that failed.
    pub heartbeat_failures: Cell,
    /// Heartbeats held back because the probe loop did not tick.
    pub heartbeats_withheld: Cell,
    /// Round trip of the newest in microseconds.
    pub round_trip_us: Cell,
    /// Shards of this runner.
    pub shards: Cell,
    /// Monitors refused by this version (rule, regex or address that cannot be used).
    pub refused: Cell,
    /// PostgreSQL's clock ahead of this machine's, in milliseconds.
    pub clock_offset_ms: AtomicI64,
    /// Jumps of the clock.
    pub clock_jumps: Cell,
    /// Unix second of the newest answered heartbeat.
    pub heartbeat_at: Cell,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Stats {
    /// See [`ProbeStats`].
    pub probe: ProbeStats,
    /// See [`StoreStats`].
    pub store: StoreStats,
    /// See [`MemberStats`].
    pub member: MemberStats,
}
