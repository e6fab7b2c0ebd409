//! Which slots of a shard are this runner's: the handover protocol's pure half.
//!
//! A shard is handed over by a cut: its old owner runs the slots before it, the new one those at or after it. An owner that
//! has not seen a cut goes on; a double run is absorbed by the results' key, a gap is not.

use nanomon_sql::RunnerId;
use nanomon_sql::shards::ShardRow;

/// The slots that are ours: `from ≤ slot < until`, in Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First millisecond that is ours; `i64::MIN`: also the slots that a dead owner missed.
    pub from: i64,
    /// First millisecond that is not.
    pub until: i64,
}

impl Window {
    /// No slot is ours.
    pub const CLOSED: Window = Window { from: i64::MAX, until: i64::MIN };
    /// Every slot is ours.
    pub const OPEN: Window = Window { from: i64::MIN, until: i64::MAX };

    /// Whether this slot is ours.
    pub fn holds(&self, slot_ms: i64) -> bool {
        self.from <= slot_ms && slot_ms < self.until
    }

    /// Whether any slot is ours.
    pub fn is_open(&self) -> bool {
        self.from < self.until
    }
}

/// What a row of the map says about this runner. `former`: its window up to now.
///
/// | owner | next | cut | window |
/// |---|---|---|---|
/// | me | – | – | everything, or from the cut that I came by |
/// | me | other | none | as before: nobody is ready to take over yet |
/// | me | other | c | up to c |
/// | other | me | none | nothing yet: load the definitions, then set the cut |
/// | other | me | c | from c on |
/// | none | me | none or c | everything: the owner is dead, what it missed is caught up |
/// | other | other | – | nothing |
pub fn window_of(row: &ShardRow, me: RunnerId, former: Window) -> Window {
    let came_by = if former.is_open() { former.from } else { i64::MIN };
    match (row.owner, row.next, row.cut_at_ms) {
        (Some(owner), None, _) if owner == me => Window { from: came_by, until: i64::MAX },
        (Some(owner), Some(next), _) if owner == me && next == me => Window { from: came_by, until: i64::MAX },
        (Some(owner), Some(_), None) if owner == me => Window { from: came_by, until: i64::MAX },
        (Some(owner), Some(_), Some(cut)) if owner == me => Window { from: came_by, until: cut },
        (Some(_), Some(next), Some(cut)) if next == me => Window { from: cut, until: i64::MAX },
        (None, Some(next), _) if next == me => Window { from: came_by, until: i64::MAX },
        _ => Window::CLOSED,
    }
}

/// Whether this runner has to load the shard's definitions: it runs it, or is to run it.
pub fn is_wanted(row: &ShardRow, me: RunnerId) -> bool {
    row.owner == Some(me) || row.next == Some(me)
}

/// Whether this runner has to set the cut once the definitions are loaded.
pub fn needs_cut(row: &ShardRow, me: RunnerId) -> bool {
    row.next == Some(me) && row.owner != Some(me) && row.cut_at_ms.is_none()
}

#[cfg(test)]
mod tests;
