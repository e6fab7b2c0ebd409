//! Finished runs on their way to PostgreSQL: first in, first out, bounded in bytes.
//!
//! The probe thread pushes, the recorder takes; both hold the lock for moments only. What the recorder has taken and not
//! yet stored still counts, so the bound holds while PostgreSQL is away.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nanomon_sql::Slot;
use nanomon_sql::results::NewResult;
use tokio::sync::Notify;

use crate::meter::SeriesMeter;

/// Rows at which the recorder is woken at once.
pub const FULL_ROWS: usize = 1_000;

/// A run that waits to be stored.
#[derive(Debug, Clone)]
pub struct Pending {
    /// The row.
    pub row: NewResult,
    /// Where its being stored is counted.
    pub meter: Arc<SeriesMeter>,
}

impl Pending {
    fn bytes(&self) -> usize {
        // The allocator's own bytes for the outputs included.
        self.row.bytes() + size_of::<Arc<SeriesMeter>>() + 16
    }
}

/// Rows that the recorder has in hand, each with its meter.
#[derive(Debug, Default)]
pub struct Batch {
    /// What is written.
    pub rows: Vec<NewResult>,
    /// `meters[i]` belongs to `rows[i]`.
    pub meters: Vec<Arc<SeriesMeter>>,
}

impl Batch {
    /// Splits off the second half.
    #[must_use]
    pub fn halve(&mut self) -> Batch {
        let middle = self.rows.len() / 2;
        Batch { rows: self.rows.split_off(middle), meters: self.meters.split_off(middle) }
    }
}

#[derive(Debug, Default)]
struct Queue {
    rows: VecDeque<Pending>,
    /// Bytes of `rows`.
    waiting: usize,
    /// Bytes that the recorder has in hand.
    in_hand: usize,
    dropped: u64,
    pushed: u64,
    has_urgent: bool,
}

/// The queue.
#[derive(Debug)]
pub struct Buffer {
    bound: usize,
    queue: Mutex<Queue>,
    wake: Notify,
    urgent: Notify,
}

/// What is in it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Level {
    /// Rows that nobody has taken.
    pub rows: usize,
    /// Bytes, those in hand included.
    pub bytes: usize,
    /// Rows lost because the bound was reached, ever.
    pub dropped: u64,
    /// Rows pushed, ever.
    pub pushed: u64,
}

impl Buffer {
    /// An empty one of at most this many bytes.
    pub fn new(bound: usize) -> Self {
        Self { bound, queue: Mutex::default(), wake: Notify::new(), urgent: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a run; at the bound the oldest go. `urgent`: it should be stored within 200 ms.
    pub fn push(&self, pending: Pending, urgent: bool) {
        let full = {
            let mut queue = self.lock();
            queue.waiting += pending.bytes();
            queue.pushed += 1;
            queue.has_urgent |= urgent;
            queue.rows.push_back(pending);
            while queue.waiting + queue.in_hand > self.bound {
                let Some(oldest) = queue.rows.pop_front() else { break };
                queue.waiting -= oldest.bytes();
                queue.dropped += 1;
            }
            queue.rows.len() == FULL_ROWS
        };
        if full {
            self.wake.notify_one();
        }
        if urgent {
            self.urgent.notify_one();
        }
    }

    /// Takes up to `max` of the oldest. They count until [`Self::release`].
    pub fn take(&self, max: usize) -> Batch {
        let mut queue = self.lock();
        let count = queue.rows.len().min(max);
        let mut batch = Batch { rows: Vec::with_capacity(count), meters: Vec::with_capacity(count) };
        let mut bytes = 0;
        for pending in queue.rows.drain(..count) {
            bytes += pending.bytes();
            batch.rows.push(pending.row);
            batch.meters.push(pending.meter);
        }
        queue.waiting -= bytes;
        queue.in_hand += bytes;
        queue.has_urgent &= !queue.rows.is_empty();
        if queue.rows.is_empty() && queue.rows.capacity() > 4 * FULL_ROWS {
            // After an outage the memory goes back.
            queue.rows = VecDeque::new();
        }
        batch
    }

    /// What was taken last has been stored or dropped.
    pub fn release(&self) {
        self.lock().in_hand = 0;
    }

    /// The slot of the oldest row that nobody has taken.
    pub fn oldest(&self) -> Option<Slot> {
        self.lock().rows.front().map(|pending| pending.row.slot)
    }

    /// Rows and bytes now.
    pub fn level(&self) -> Level {
        let queue = self.lock();
        Level {
            rows: queue.rows.len(),
            bytes: queue.waiting + queue.in_hand,
            dropped: queue.dropped,
            pushed: queue.pushed,
        }
    }

    /// Waits until there are [`FULL_ROWS`] rows.
    pub async fn full(&self) {
        self.wake.notified().await;
    }

    /// Waits until there is an urgent row.
    pub async fn urgent(&self) {
        while !self.lock().has_urgent {
            self.urgent.notified().await;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use nanomon_core::status::Phases;
    use nanomon_core::{Reason, Status, Verdict};
    use proptest::prelude::*;

    pub(crate) fn pending(series_id: i32, slot: i32, outputs: usize) -> Pending {
        Pending {
            row: NewResult {
                series_id,
                slot,
                verdict: Verdict::new(Status::Ok),
                reason: Reason::Ok,
                value: Some(1.0),
                start_ms: 0,
                runner_id: 1,
                phases: Phases::default(),
                outputs: vec![0; outputs],
            },
            meter: Arc::new(SeriesMeter::for_tests("m")),
        }
    }

    #[test]
    fn the_oldest_go_at_the_bound_and_are_counted() {
        let one = pending(1, 0, 40).bytes();
        let buffer = Buffer::new(3 * one);
        for slot in 0..5 {
            buffer.push(pending(1, slot, 40), false);
        }
        assert_eq!(buffer.level(), Level { rows: 3, bytes: 3 * one, dropped: 2, pushed: 5 });
        assert_eq!(buffer.oldest(), Some(2));
        let taken = buffer.take(2);
        assert_eq!(taken.rows.iter().map(|row| row.slot).collect::<Vec<_>>(), [2, 3]);
        buffer.push(pending(1, 5, 40), false);
        assert_eq!(buffer.level().dropped, 3, "what is in hand counts");
        buffer.release();
        assert_eq!(buffer.level().bytes, one);
    }

    proptest! {
        #[test]
        fn the_bound_holds_and_order_stays(sizes in prop::collection::vec(0_usize..5_000, 1..200), bound in 1_000_usize..50_000) {
            let buffer = Buffer::new(bound);
            let count = sizes.len();
            for (slot, size) in sizes.into_iter().enumerate() {
                buffer.push(pending(1, slot as i32, size), false);
                prop_assert!(buffer.level().bytes <= bound);
            }
            let level = buffer.level();
            let slots: Vec<i32> = buffer.take(usize::MAX).rows.iter().map(|row| row.slot).collect();
            prop_assert!(slots.is_sorted());
            prop_assert_eq!(slots.len() + level.dropped as usize, count);
            prop_assert!(slots.last().is_none_or(|last| *last as usize == count - 1), "the newest stay");
        }
    }
}
