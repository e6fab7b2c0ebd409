use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use nanomon_core::outcome::Outcome;
use nanomon_core::slot::Schedule;
use nanomon_core::{ProbeType, Reason};
use proptest::prelude::*;

use super::*;
use crate::judge::Judge;
use crate::meter::SeriesMeter;
use crate::plan::{Run, Work};

struct Nothing;

impl Run for Nothing {
    fn run(&self) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        Box::pin(std::future::ready(Outcome::failed(Reason::Internal)))
    }
}

fn plan_of(series_id: SeriesId, interval_ms: u32, phase_ms: u32) -> Plan {
    Plan {
        series_id,
        monitor_id: series_id,
        bucket: (series_id % 4) as u16,
        schedule: Schedule { interval_ms, phase_ms },
        activated_at: 0,
        work: Work { probe: ProbeType::Http, run: Box::new(Nothing), judge: Judge::default(), weight: 1 },
        host: Arc::default(),
        meter: Arc::new(SeriesMeter::for_tests("m")),
    }
}

fn plan(series_id: SeriesId, interval_ms: u32, phase_ms: u32) -> Arc<Plan> {
    Arc::new(plan_of(series_id, interval_ms, phase_ms))
}

fn open() -> Vec<(u16, Window)> {
    (0..4).map(|bucket| (bucket, Window::OPEN)).collect()
}

/// An agenda that has every shard from `now` on.
fn agenda_at(now_ms: i64) -> Agenda {
    let mut agenda = Agenda::default();
    agenda.set_windows(&open(), now_ms);
    agenda
}

fn start_all(agenda: &mut Agenda, now_ms: i64) -> Vec<(SeriesId, i64)> {
    agenda.advance(now_ms);
    std::iter::from_fn(|| agenda.pop(now_ms).map(|due| (due.plan.series_id, due.slot_ms))).collect()
}

const T0: i64 = 1_700_000_000_000;

#[test]
fn every_slot_starts_once_in_a_stable_order() {
    let mut agenda = agenda_at(T0);
    for id in 1..=5 {
        agenda.put(
            plan(id, 1_000, 50 - 10 * (id as u32 % 2)),
            Seed { last_slot: Some(slot::key(T0)), ..Seed::default() },
            T0,
        );
    }
    let mut orders = Vec::new();
    for tick in 1..=40 {
        let started = start_all(&mut agenda, T0 + tick * 100);
        if !started.is_empty() {
            orders.push(started.iter().map(|(id, _)| *id).collect::<Vec<_>>());
        }
    }
    assert_eq!(orders.len(), 3, "slots in the second that is stored already do not run");
    assert!(orders.iter().all(|order| *order == [1, 3, 5, 2, 4]), "{orders:?}");
}

#[test]
fn a_changed_or_removed_monitor_never_starts_in_its_old_form() {
    let mut agenda = agenda_at(T0);
    let seed = Seed { last_slot: Some(slot::key(T0)), ..Seed::default() };
    let old = plan(1, 1_000, 500);
    agenda.put(old.clone(), seed, T0);
    agenda.put(plan(2, 1_000, 500), seed, T0);
    // Both are due already when the change comes.
    agenda.advance(T0 + 1_600);
    let new = plan(1, 1_000, 500);
    agenda.put(new.clone(), Seed::default(), T0 + 1_600);
    agenda.remove(2);
    agenda.advance(T0 + 1_600);
    let due = agenda.pop(T0 + 1_600).unwrap();
    assert!(Arc::ptr_eq(&due.plan, &new), "the slot runs in its new form");
    assert_eq!(due.slot_ms, T0 + 1_500);
    assert!(agenda.pop(T0 + 1_600).is_none());
    assert!(!agenda.is_wanted(&Due { plan: old, ..due.clone() }), "nor from where it was held back");
    assert!(agenda.is_wanted(&due));
}

#[test]
fn a_takeover_runs_the_newest_missed_slot_once() {
    let mut agenda = agenda_at(T0);
    // Missed for an hour; the newest slot is 2 s old, the grace is 5 s.
    let seed = Seed { last_slot: Some(slot::key(T0) - 3_600), ..Seed::default() };
    agenda.put(plan(1, 10_000, 8_000), seed, T0);
    // Its newest slot is 9 s old: too late.
    agenda.put(plan(2, 10_000, 1_000), seed, T0);
    // Its newest slot is stored.
    agenda.put(plan(3, 10_000, 8_000), Seed { last_slot: Some(slot::key(T0) - 2), ..Seed::default() }, T0);
    assert_eq!(start_all(&mut agenda, T0), [(1, T0 - 2_000)]);
    assert_eq!(start_all(&mut agenda, T0 + 1_000), [(2, T0 + 1_000)]);
    let later = start_all(&mut agenda, T0 + 8_000);
    assert_eq!(later, [(1, T0 + 8_000), (3, T0 + 8_000)]);
}

#[test]
fn a_graceful_handover_runs_nothing_before_the_cut_and_a_closed_window_nothing_at_all() {
    let mut agenda = Agenda::default();
    agenda.put(plan(4, 1_000, 0), Seed::default(), T0);
    assert_eq!(start_all(&mut agenda, T0 + 1_500), []);
    agenda.set_windows(&[(0, Window { from: T0 + 5_000, until: i64::MAX })], T0 + 2_000);
    assert_eq!(start_all(&mut agenda, T0 + 4_900), []);
    assert_eq!(start_all(&mut agenda, T0 + 5_000), [(4, T0 + 5_000)]);
    agenda.set_windows(&[(0, Window { from: T0 + 5_000, until: T0 + 7_000 })], T0 + 5_500);
    assert_eq!(start_all(&mut agenda, T0 + 6_000), [(4, T0 + 6_000)]);
    assert_eq!(start_all(&mut agenda, T0 + 7_000), []);
    assert_eq!(agenda.next_ms(), None);
    // And back again.
    agenda.set_windows(&[(0, Window { from: T0 + 9_000, until: i64::MAX })], T0 + 7_500);
    assert_eq!(start_all(&mut agenda, T0 + 9_000), [(4, T0 + 9_000)]);
}

#[test]
fn jumps_of_the_clock_make_no_burst_and_repeat_nothing() {
    let mut agenda = agenda_at(T0);
    for id in 1..=100 {
        agenda.put(plan(id, 1_000, 10 * id as u32 % 1_000), Seed::default(), T0);
    }
    for tick in 0..10 {
        start_all(&mut agenda, T0 + 100 * tick);
    }
    let ahead = T0 + 3_600_000;
    agenda.replan(ahead);
    assert_eq!(start_all(&mut agenda, ahead).len(), 0, "an hour ahead: no burst");
    let mut last: BTreeMap<SeriesId, i64> = BTreeMap::new();
    for tick in 1..=10 {
        last.extend(start_all(&mut agenda, ahead + 100 * tick));
    }
    assert_eq!(last.len(), 100);
    agenda.replan(T0 + 2_000);
    assert_eq!(start_all(&mut agenda, ahead + 1_000).len(), 0, "an hour back: nothing runs again");
    for (id, slot_ms) in start_all(&mut agenda, ahead + 1_500) {
        assert!(slot_ms > last[&id]);
    }
}

#[test]
fn after_a_stall_one_slot_of_each_is_run_and_the_rest_is_counted() {
    let mut agenda = agenda_at(T0);
    agenda.put(plan(1, 1_000, 900), Seed::default(), T0);
    agenda.put(plan(2, 1_000, 100), Seed::default(), T0);
    let now = T0 + 30_000;
    for ms in [0, 100, 900] {
        assert_eq!(start_all(&mut agenda, T0 + ms).len(), 1);
    }
    // 30 s later: the newest slot of 1 is 100 ms old, that of 2 900 ms.
    let mut started = start_all(&mut agenda, now);
    started.extend(start_all(&mut agenda, now));
    assert_eq!(started, [(1, T0 + 29_900)]);
    assert_eq!(agenda.take_passed().late, 28 + 29);
    assert_eq!(start_all(&mut agenda, now + 100), [(2, T0 + 30_100)]);
}

#[test]
fn an_initial_run_happens_once_and_not_if_the_schedule_was_faster() {
    let mut agenda = agenda_at(T0);
    let activated_at = slot::key(T0);
    let wants = Seed { last_slot: None, wants_initial: true };
    let put = |agenda: &mut Agenda, id, interval_ms, phase_ms| {
        agenda.put(Arc::new(Plan { activated_at, ..plan_of(id, interval_ms, phase_ms) }), wants, T0 + 100);
    };
    // The next slots: in 50 s; within this second; 300 ms ago (so the schedule runs it now).
    put(&mut agenda, 1, 60_000, 10_000);
    put(&mut agenda, 2, 1_000, 500);
    let due = agenda.pop_initial(T0 + 100).unwrap();
    assert_eq!((due.plan.series_id, due.slot_ms, due.initial), (1, i64::from(activated_at) * 1000, true));
    assert!(agenda.pop_initial(T0 + 100).is_none());
    start_all(&mut agenda, T0 + 200);
    assert!(agenda.pop_initial(T0 + 200).is_none());
    // A definition that changes again wants its own.
    put(&mut agenda, 1, 60_000, 10_000);
    assert!(agenda.pop_initial(T0 + 300).is_some());
    assert!(agenda.pop_initial(T0 + 300).is_none());
}

proptest! {
    /// Whatever is known of what ran before.
    #[test]
    fn an_initial_run_never_takes_the_key_of_a_slot(
        interval_ms in 1_000_u32..20_000,
        phase in 0.0..1.0_f64,
        last in proptest::option::of(0_i32..30),
        after in 0_i64..3_000,
    ) {
        let mut agenda = agenda_at(T0);
        let schedule = Schedule { interval_ms, phase_ms: (f64::from(interval_ms) * phase) as u32 };
        let activated_at = slot::key(T0);
        let seed = Seed { last_slot: last.map(|ago| activated_at - ago), wants_initial: true };
        let plan = Plan { activated_at, ..plan_of(1, interval_ms, schedule.phase_ms) };
        agenda.put(Arc::new(plan), seed, T0 + after);
        let second = schedule.count(T0, T0 + 1_000);
        if let Some(due) = agenda.pop_initial(T0 + after) {
            prop_assert_eq!(due.slot_ms, T0);
            prop_assert_eq!(second, 0, "a slot lies in that second");
        }
    }
}

#[test]
fn an_initial_run_waits_for_the_window() {
    let mut agenda = Agenda::default();
    let activated_at = slot::key(T0);
    let wants = Seed { last_slot: None, wants_initial: true };
    agenda.put(Arc::new(Plan { activated_at, ..plan_of(4, 60_000, 10_000) }), wants, T0);
    assert!(agenda.pop_initial(T0).is_none());
    agenda.set_windows(&[(0, Window::OPEN)], T0 + 1_000);
    assert!(agenda.pop_initial(T0 + 1_000).is_some());
}

/// Runs an agenda for a minute with room for `capacity` starts per 10 ms.
fn overload(monitors: i32, capacity: usize) -> BTreeMap<SeriesId, u32> {
    let mut agenda = agenda_at(T0);
    for id in 0..monitors {
        let hash = nanomon_core::slot::hash(uuid::Uuid::from_u128(id as u128).as_bytes());
        agenda.put(plan(id, 1_000, nanomon_core::slot::phase_ms(hash, 1_000)), Seed::default(), T0);
    }
    let mut runs: BTreeMap<SeriesId, u32> = (0..monitors).map(|id| (id, 0)).collect();
    for tick in 0..6_000 {
        let now = T0 + tick * 10;
        agenda.advance(now);
        for _ in 0..capacity {
            match agenda.pop(now) {
                Some(due) => *runs.get_mut(&due.plan.series_id).unwrap() += 1,
                None => break,
            }
        }
        agenda.expire(now);
    }
    runs
}

#[test]
fn overload_is_shared_evenly() {
    for (monitors, capacity) in [(2_000, 10), (2_000, 5), (2_000, 15), (1_000, 7)] {
        let runs = overload(monitors, capacity);
        let (min, max) = (runs.values().min().unwrap(), runs.values().max().unwrap());
        let total: u32 = runs.values().sum();
        assert!(f64::from(*max) / f64::from(*min) <= 1.5, "{monitors} over {capacity}: {min} to {max}");
        assert!(f64::from(total) >= 0.98 * 6_000.0 * capacity as f64, "{monitors} over {capacity}: only {total} runs");
    }
}

proptest! {
    /// Whatever comes and goes, when and how late the loop wakes: slots of a series rise, no key repeats, and what starts
    /// is within its grace.
    #[test]
    fn slots_of_a_series_rise_and_are_never_too_late(
        steps in prop::collection::vec((0_u8..8, 1_i32..6, 1_i64..4_000), 1..300),
    ) {
        let mut agenda = agenda_at(T0);
        let mut now = T0;
        let mut last: BTreeMap<SeriesId, i64> = BTreeMap::new();
        for (kind, id, ms) in steps {
            match kind {
                0 => agenda.put(plan(id, 1_000 + 250 * (ms as u32 % 5), ms as u32 % 1_000 / 10 * 10), Seed::default(), now),
                1 => {
                    agenda.remove(id);
                    last.remove(&id);
                }
                2 => agenda.set_windows(&[((id % 4) as u16, Window { from: now + ms, until: i64::MAX })], now),
                3 => agenda.set_windows(&[((id % 4) as u16, Window { from: i64::MIN, until: now + ms })], now),
                4 => {
                    now += 1_000 * ms;
                    agenda.replan(now);
                }
                _ => now += ms,
            }
            agenda.advance(now);
            while let Some(due) = agenda.pop(now) {
                let grace = slot::grace_ms(due.plan.schedule.interval_ms);
                prop_assert!(due.slot_ms <= now && now - due.slot_ms <= grace);
                prop_assert_eq!(due.plan.schedule.next_at_or_after(due.slot_ms), due.slot_ms, "a slot of the schedule");
                if let Some(before) = last.insert(due.plan.series_id, due.slot_ms) {
                    prop_assert!(slot::key(due.slot_ms) > slot::key(before));
                }
            }
        }
    }
}
