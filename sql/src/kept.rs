//! From which slot on each partitioned table is complete: what retention has left.

use nanomon_core::rollup::Level;
use tokio_postgres::Row;

use crate::Slot;
use crate::results::rollup_table;

/// The rows of `kept`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Raw results.
    pub results: Slot,
    /// The levels, finest first.
    pub levels: [Slot; 3],
}

impl Kept {
    /// Reads all rows, given as name and slot.
    pub(crate) fn read<'a>(rows: impl IntoIterator<Item = (&'a str, Slot)>) -> Self {
        let mut kept = Self::default();
        for (name, from) in rows {
            if name == "results" {
                kept.results = from;
            }
            for (level, mark) in Level::ALL.into_iter().zip(&mut kept.levels) {
                if name == rollup_table(level) {
                    *mark = from;
                }
            }
        }
        kept
    }

    /// The same from rows of a SELECT with the name at `at` and the slot after it.
    pub(crate) fn read_rows(rows: &[Row], at: usize) -> Self {
        Self::read(rows.iter().map(|row| (row.get(at), row.get(at + 1))))
    }

    /// From which slot on the level is complete.
    pub(crate) fn level(&self, level: Level) -> Slot {
        match level {
            Level::FiveMinutes => self.levels[0],
            Level::Hour => self.levels[1],
            Level::Day => self.levels[2],
        }
    }
}
