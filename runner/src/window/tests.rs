use std::collections::BTreeMap;

use nanomon_core::slot::Schedule;
use proptest::prelude::*;

use super::*;

const A: RunnerId = 1;
const B: RunnerId = 2;

fn row(owner: Option<RunnerId>, next: Option<RunnerId>, cut_at_ms: Option<i64>) -> ShardRow {
    ShardRow { pool_id: 1, bucket: 0, owner, next, cut_at_ms }
}

#[test]
fn a_handover_has_one_owner_on_each_side_of_the_cut() {
    let steps = [
        (row(Some(A), None, None), Window::OPEN, Window::CLOSED),
        (row(Some(A), Some(B), None), Window::OPEN, Window::CLOSED),
        (
            row(Some(A), Some(B), Some(500)),
            Window { from: i64::MIN, until: 500 },
            Window { from: 500, until: i64::MAX },
        ),
        (row(Some(B), None, None), Window::CLOSED, Window { from: 500, until: i64::MAX }),
    ];
    let (mut a, mut b) = (Window::CLOSED, Window::CLOSED);
    for (row, of_a, of_b) in steps {
        a = window_of(&row, A, a);
        b = window_of(&row, B, b);
        assert_eq!((a, b), (of_a, of_b), "{row:?}");
    }
}

#[test]
fn a_dead_owner_is_replaced_at_once_with_what_it_missed() {
    assert_eq!(window_of(&row(Some(B), None, Some(700)), B, Window::CLOSED), Window::OPEN);
    assert_eq!(window_of(&row(None, Some(B), None), B, Window::CLOSED), Window::OPEN);
}

/// One thing that can happen in a handover of a shard from A to B; each runner sees the map's newest row only when it polls.
#[derive(Clone, Copy, Debug)]
enum Event {
    Name,
    Cut,
    Settle,
    PollA,
    PollB,
    Wait(i64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        2 => Just(Event::Name),
        2 => Just(Event::Cut),
        2 => Just(Event::Settle),
        4 => Just(Event::PollA),
        4 => Just(Event::PollB),
        8 => (1_i64..2_500).prop_map(Event::Wait),
    ];
    prop::collection::vec(event, 1..200)
}

proptest! {
    /// Whatever the order of polls: every slot runs at least once, and twice only if the old owner did not see the cut.
    #[test]
    fn no_slot_is_missed_whoever_polls_when(events in events(), phase in 0_u32..1_000, blind in any::<bool>()) {
        let schedule = Schedule { interval_ms: 1_000, phase_ms: phase };
        let mut map = row(Some(A), None, None);
        let (mut a, mut b) = (window_of(&map, A, Window::CLOSED), Window::CLOSED);
        let (mut now, mut loaded, mut cut_seen) = (0_i64, false, true);
        let mut hits: BTreeMap<i64, u32> = BTreeMap::new();
        for event in events {
            match event {
                Event::Name if map.next.is_none() && map.owner == Some(A) => map.next = Some(B),
                // The new owner cuts only after it has loaded the definitions, 3 s ahead.
                Event::Cut if loaded && needs_cut(&map, B) => map.cut_at_ms = Some(now + 3_000),
                Event::Settle if map.cut_at_ms.is_some_and(|cut| cut <= now) => map = row(Some(B), None, None),
                Event::Name | Event::Cut | Event::Settle => {}
                Event::PollA if blind && map.cut_at_ms.is_some() => {}
                Event::PollA => a = window_of(&map, A, a),
                Event::PollB => {
                    loaded |= is_wanted(&map, B);
                    b = window_of(&map, B, b);
                }
                Event::Wait(ms) => {
                    let end = now + ms;
                    // Both see a cut before it passes, unless the old owner is cut off.
                    if map.cut_at_ms.is_some_and(|cut| cut < end) {
                        b = window_of(&map, B, b);
                        if blind { cut_seen = false } else { a = window_of(&map, A, a) }
                    }
                    let mut slot = schedule.next_at_or_after(now);
                    while slot < end {
                        let runs = u32::from(a.holds(slot)) + u32::from(b.holds(slot));
                        *hits.entry(slot).or_default() += runs;
                        slot = schedule.next_after(slot);
                    }
                    now = end;
                }
            }
        }
        for (slot, runs) in hits {
            prop_assert!(runs >= 1, "slot {slot} was missed");
            prop_assert!(runs == 1 || !cut_seen, "slot {slot} ran {runs} times");
        }
    }
}
