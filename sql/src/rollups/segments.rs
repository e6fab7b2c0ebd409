//! Which tables answer for a window: the coarsest buckets within it, finer ones and raw rows at its edges. Pure.

use nanomon_core::rollup::Level;

use crate::Slot;
use crate::kept::Kept;

/// A part of a window, answered by one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// `None`: raw rows.
    pub level: Option<Level>,
    /// Start; of a level a whole bucket's.
    pub from: Slot,
    /// End, exclusive.
    pub to: Slot,
}

/// Covers `[from, to)`. Where neither finer buckets nor raw rows are kept an edge is widened to whole buckets. Answers
/// nothing for an empty window.
pub(super) fn cover(from: Slot, to: Slot, kept: &Kept) -> Vec<Segment> {
    let mut segments = Vec::new();
    if from < to {
        split(from, to, &[Level::Day, Level::Hour, Level::FiveMinutes], kept, &mut segments);
    }
    segments
}

/// Covers a non-empty span by buckets of the first of `levels`, and its edges by what is finer.
fn split(from: Slot, to: Slot, levels: &[Level], kept: &Kept, out: &mut Vec<Segment>) {
    let [level, finer @ ..] = levels else { return };
    let first = ceil(*level, from);
    let last = level.start(to);
    if first > last {
        return edge(from, to, *level, finer, kept, out);
    }
    if from < first {
        edge(from, first, *level, finer, kept, out);
    }
    if first < last {
        out.push(Segment { level: Some(*level), from: first, to: last });
    }
    if last < to {
        edge(last, to, *level, finer, kept, out);
    }
}

/// Covers a part of one bucket of `level`.
fn edge(from: Slot, to: Slot, level: Level, finer: &[Level], kept: &Kept, out: &mut Vec<Segment>) {
    let start = level.start(from);
    match finer.first() {
        Some(next) if kept.level(*next) <= start => split(from, to, finer, kept, out),
        _ if kept.results <= start => out.push(Segment { level: None, from, to }),
        _ => out.push(Segment { level: Some(level), from: start, to: ceil(level, to) }),
    }
}

/// The first start of a bucket at or after `slot`.
fn ceil(level: Level, slot: Slot) -> Slot {
    let start = level.start(slot);
    if start == slot { slot } else { start.saturating_add(level.seconds()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: Slot = 86_400;

    #[test]
    fn edges_are_as_fine_as_what_is_kept() {
        let all = Kept::default();
        let at = |level, from, to| Segment { level, from, to };
        assert_eq!(cover(DAY, DAY, &all), []);
        assert_eq!(cover(DAY, 3 * DAY, &all), [at(Some(Level::Day), DAY, 3 * DAY)]);
        assert_eq!(cover(10, 20, &all), [at(None, 10, 20)]);
        assert_eq!(
            cover(DAY - 3601, DAY + 301, &all),
            [
                at(None, DAY - 3601, DAY - 3600),
                at(Some(Level::Hour), DAY - 3600, DAY),
                at(Some(Level::FiveMinutes), DAY, DAY + 300),
                at(None, DAY + 300, DAY + 301),
            ]
        );
        let raw_gone = Kept { results: 10 * DAY, ..all };
        assert_eq!(cover(10, 20, &raw_gone), [at(Some(Level::FiveMinutes), 0, 300)]);
        let only_raw = Kept { levels: [10 * DAY, 0, 0], ..all };
        assert_eq!(cover(10, 4000, &only_raw), [at(None, 10, 3600), at(None, 3600, 4000)]);
        let only_days = Kept { results: 10 * DAY, levels: [10 * DAY, 10 * DAY, 0] };
        assert_eq!(cover(10, DAY + 20, &only_days), [at(Some(Level::Day), 0, DAY), at(Some(Level::Day), DAY, 2 * DAY)]);
    }

    proptest! {
        #[test]
        fn segments_cover_the_window_without_gap_or_overlap(
            from in 0..4 * DAY, length in 1..3 * DAY, results in 0..5, marks in prop::array::uniform3(0..5),
        ) {
            let kept = Kept { results: results * DAY, levels: marks.map(|day| day * DAY) };
            let segments = cover(from, from + length, &kept);
            for pair in segments.windows(2) {
                prop_assert_eq!(pair[0].to, pair[1].from);
            }
            let (first, last) = (segments[0], segments[segments.len() - 1]);
            prop_assert!(first.from <= from && last.to >= from + length);
            for segment in segments {
                match segment.level {
                    None => prop_assert!(segment.from >= kept.results),
                    Some(level) => {
                        prop_assert_eq!(level.start(segment.from), segment.from);
                        prop_assert_eq!(level.start(segment.to), segment.to);
                        prop_assert!(level == Level::Day || segment.from >= kept.level(level));
                    }
                }
            }
        }
    }
}
