//! Time slots: when a monitor runs, computed alike by everybody.
//!
//! Slots are `phase + k · interval` on the Unix clock, `phase = hash(uid)` scaled to the interval: independent of
//! restarts, replicas and reassignment, and evenly spread. The key of a result is the *whole Unix second* of its slot,
//! which is unique per series because intervals are at least one second.

use xxhash_rust::xxh3::xxh3_128;

/// Number of hash buckets ("shards") per pool.
pub const BUCKETS: u16 = 1024;

/// XXH3-128, seed 0, of the uid's 16 bytes: top 10 bits give the bucket, the low 64 bits the phase.
pub fn hash(uid: &[u8; 16]) -> u128 {
    xxh3_128(uid)
}

/// The shard of a monitor: the top 10 bits of its hash.
pub fn bucket(hash: u128) -> u16 {
    (hash >> 118) as u16
}

/// The phase in milliseconds: the hash's low 64 bits scaled to the interval (multiply-shift), floored to 10 ms.
pub fn phase_ms(hash: u128, interval_ms: u32) -> u32 {
    let scaled = (u128::from(hash as u64) * u128::from(interval_ms)) >> 64;
    (scaled as u32) / 10 * 10
}

/// A monitor's timetable. All times are Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Time between two slots, at least 1,000.
    pub interval_ms: u32,
    /// 0 ≤ phase < interval.
    pub phase_ms: u32,
}

impl Schedule {
    /// The timetable of the monitor with this hash.
    pub fn new(hash: u128, interval_ms: u32) -> Self {
        Self { interval_ms, phase_ms: phase_ms(hash, interval_ms) }
    }

    /// The first slot at or after `at`.
    pub fn next_at_or_after(&self, at: i64) -> i64 {
        let interval = i64::from(self.interval_ms);
        let since = (at - i64::from(self.phase_ms)).rem_euclid(interval);
        if since == 0 { at } else { at + interval - since }
    }

    /// The first slot strictly after `at`.
    pub fn next_after(&self, at: i64) -> i64 {
        self.next_at_or_after(at + 1)
    }

    /// The last slot at or before `at`.
    pub fn last_at_or_before(&self, at: i64) -> i64 {
        at - (at - i64::from(self.phase_ms)).rem_euclid(i64::from(self.interval_ms))
    }

    /// How many slots lie in `[from, to)`.
    pub fn count(&self, from: i64, to: i64) -> i64 {
        if to <= from {
            return 0;
        }
        let first = self.next_at_or_after(from);
        if first >= to { 0 } else { (to - 1 - first) / i64::from(self.interval_ms) + 1 }
    }
}

/// The key under which a slot's result is stored: its whole Unix second.
pub fn key(slot_ms: i64) -> i32 {
    slot_ms.div_euclid(1000) as i32
}

/// How late a slot may start before it is missed: half an interval, at most 10 s.
pub fn grace_ms(interval_ms: u32) -> i64 {
    (i64::from(interval_ms) / 2).min(10_000)
}
