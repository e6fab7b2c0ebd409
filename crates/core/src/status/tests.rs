use proptest::prelude::*;

use super::*;

const OK: Status = Status::Ok;
const ERROR: Status = Status::Error;
const FAILED: Status = Status::Failed;

fn input(slot: i32, verdict: Verdict) -> FoldInput {
    FoldInput {
        slot,
        verdict,
        reason: if verdict.status() == OK { Reason::Ok } else { Reason::Timeout },
        value: Some(slot as f32),
        runner_id: (slot % 7) as i16,
        start_ms: (slot % 900) as i16,
        phases: Phases::default(),
    }
}

/// Folds plain results ten seconds apart and returns the state and the transitions as (from, to, number of the result).
fn folded(statuses: &[Status], thresholds: Thresholds) -> (SeriesState, Vec<(Option<Status>, Status, usize)>) {
    let mut state = SeriesState::default();
    let mut transitions = vec![];
    for (n, status) in statuses.iter().enumerate() {
        if let Some(t) = fold(&mut state, &input(n as i32 * 10, Verdict::new(*status)), thresholds) {
            assert_eq!(t.slot, n as i32 * 10);
            transitions.push((t.from, t.to, n));
        }
    }
    (state, transitions)
}

fn thresholds(failures: i16, successes: i16) -> Thresholds {
    Thresholds { failures, successes }
}

#[test]
fn the_first_ok_is_confirmed_at_once_and_failures_after_the_threshold() {
    let (state, transitions) = folded(&[OK, FAILED, FAILED, FAILED, OK], Thresholds::default());
    assert_eq!(transitions, [(None, OK, 0), (Some(OK), FAILED, 3), (Some(FAILED), OK, 4)]);
    assert_eq!((state.confirmed, state.since, state.streak), (Some(OK), 40, 1));
}

#[test]
fn a_first_failure_is_confirmed_after_the_threshold() {
    let (state, transitions) = folded(&[FAILED, FAILED], Thresholds::default());
    assert_eq!((state.status, state.confirmed, state.streak, transitions.len()), (Some(FAILED), None, -2, 0));
    assert_eq!(folded(&[FAILED; 3], Thresholds::default()).1, [(None, FAILED, 2)]);
    assert_eq!(folded(&[FAILED], thresholds(1, 1)).1, [(None, FAILED, 0)]);
    // Nothing was confirmed before, so there is nothing to recover from.
    assert_eq!(folded(&[FAILED, OK], thresholds(3, 2)).1, [(None, OK, 1)]);
}

#[test]
fn recovery_takes_the_threshold_of_successes() {
    let run = [OK, ERROR, ERROR, OK, OK, ERROR, OK, OK, OK];
    assert_eq!(folded(&run, thresholds(2, 3)).1, [(None, OK, 0), (Some(OK), ERROR, 2), (Some(ERROR), OK, 8)]);
}

#[test]
fn error_and_failed_count_alike_and_the_kind_follows_the_newest() {
    let (state, transitions) = folded(&[OK, ERROR, FAILED, ERROR, ERROR, FAILED], Thresholds::default());
    assert_eq!(transitions, [(None, OK, 0), (Some(OK), ERROR, 3), (Some(ERROR), FAILED, 5)]);
    assert_eq!((state.status, state.since, state.streak), (Some(FAILED), 50, -5));
    let kinds = |from, to| {
        let t = Transition { from, to, slot: 0 };
        (t.is_alert(), t.is_change_of_kind(), t.is_recovery())
    };
    assert_eq!(kinds(None, OK), (false, false, false));
    assert_eq!(kinds(None, FAILED), (true, false, false));
    assert_eq!(kinds(Some(OK), ERROR), (true, false, false));
    assert_eq!(kinds(Some(ERROR), FAILED), (false, true, false));
    assert_eq!(kinds(Some(ERROR), OK), (false, false, true));
}

#[test]
fn unknown_results_move_the_last_slot_only() {
    let mut state = folded(&[OK, FAILED, FAILED], Thresholds::default()).0;
    let before = state.clone();
    let unknown = Verdict::new(FAILED).with(Verdict::UNKNOWN);
    assert_eq!(fold(&mut state, &input(100, unknown), Thresholds::default()), None);
    assert_eq!(state, SeriesState { last_slot: Some(100), ..before });
    // What is older than the unknown one is late now.
    assert!(state.is_late(100) && state.is_late(30) && !state.is_late(101));
}

#[test]
fn initial_runs_and_maintenance_are_folded() {
    for flag in [Verdict::EXTRA, Verdict::MAINTENANCE] {
        let mut state = SeriesState::default();
        let t = fold(&mut state, &input(5, Verdict::new(OK).with(flag)), Thresholds::default());
        assert_eq!(t, Some(Transition { from: None, to: OK, slot: 5 }));
        assert_eq!((state.status, state.streak), (Some(OK), 1));
    }
}

#[test]
fn late_results_change_nothing() {
    let state = folded(&[OK, OK, FAILED], thresholds(1, 1)).0;
    let mut after = state.clone();
    for late in [input(20, Verdict::new(OK)), input(19, Verdict::new(OK)), input(-5, Verdict::new(OK))] {
        assert_eq!(fold(&mut after, &late, thresholds(1, 1)), None);
    }
    assert_eq!(fold(&mut after, &input(30, Verdict::new(OK).with(Verdict::LATE)), thresholds(1, 1)), None);
    assert_eq!(after, state);
}

#[test]
fn the_streak_stops_at_its_bound() {
    for (status, bound) in [(OK, i16::MAX), (FAILED, -i16::MAX)] {
        let mut state = SeriesState::default();
        for slot in 0..40_000 {
            fold(&mut state, &input(slot, Verdict::new(status)), thresholds(i16::MAX, i16::MAX));
        }
        assert_eq!((state.streak, state.confirmed), (bound, Some(status)));
    }
}

#[test]
fn odd_thresholds_count_as_one() {
    let run = [OK, FAILED, OK];
    for odd in [0, -3, i16::MIN] {
        assert_eq!(folded(&run, thresholds(odd, odd)).1, folded(&run, thresholds(1, 1)).1);
    }
}

#[test]
fn phases_are_whole_microseconds() {
    let mut outputs = Outputs::default();
    outputs.set_number(OutputId::RESP_TIME, 99.0);
    outputs.set_number(OutputId::DNS_TIME, 0.1234);
    outputs.set_number(OutputId::CONNECT_TIME, 1.0006);
    outputs.set_number(OutputId::FIRST_BYTE_TIME, f64::NAN);
    outputs.set_number(OutputId::TRANSFER_TIME, 1e12);
    let phases = Phases::from_outputs(&outputs);
    assert_eq!(phases, Phases { dns: 123, connect: 1_001, tls: 0, first_byte: 0, transfer: u32::MAX });
}

/// The state as its definition says it, computed from the whole history anew.
mod model {
    use super::*;

    /// Lengths of the runs of OK (positive) and non-OK (negative) results up to each result.
    fn runs(history: &[FoldInput]) -> Vec<i64> {
        (0..history.len())
            .map(|at| {
                let ok = history[at].verdict.status() == OK;
                let alike = history[..=at].iter().rev().take_while(|row| (row.verdict.status() == OK) == ok).count();
                if ok { alike as i64 } else { -(alike as i64) }
            })
            .collect()
    }

    fn confirmed(history: &[FoldInput], thresholds: Thresholds) -> Option<Status> {
        let runs = runs(history);
        let down = runs.iter().rposition(|run| *run <= -i64::from(thresholds.failures));
        let up = runs.iter().rposition(|run| *run >= i64::from(thresholds.successes));
        let newest_bad = history.iter().rev().map(|row| row.verdict.status()).find(|status| *status != OK);
        match (down, up) {
            (Some(down), Some(up)) if up > down => Some(OK),
            (Some(_), _) => newest_bad,
            (None, _) => history.iter().any(|row| row.verdict.status() == OK).then_some(OK),
        }
    }

    /// `stored` are all rows of a series in any order.
    pub fn state(stored: &[FoldInput], thresholds: Thresholds) -> (SeriesState, Vec<Transition>) {
        let mut in_time: Vec<FoldInput> = stored.iter().copied().filter(|row| !row.verdict.is_late()).collect();
        in_time.sort_by_key(|row| row.slot);
        let last_slot = in_time.last().map(|row| row.slot);
        let history: Vec<FoldInput> = in_time.into_iter().filter(|row| !row.verdict.is_unknown()).collect();
        let mut transitions = vec![];
        let mut before = None;
        for at in 0..history.len() {
            let now = confirmed(&history[..=at], thresholds);
            if let Some(to) = now.filter(|_| now != before) {
                transitions.push(Transition { from: before, to, slot: history[at].slot });
            }
            before = now;
        }
        let Some(newest) = history.last() else {
            return (SeriesState { last_slot, ..SeriesState::default() }, transitions);
        };
        let status = newest.verdict.status();
        let alike = history.iter().rev().take_while(|row| row.verdict.status() == status);
        let state = SeriesState {
            last_slot,
            status: Some(status),
            since: alike.last().map_or(0, |row| row.slot),
            confirmed: before,
            streak: runs(&history).last().map_or(0, |run| *run as i16),
            reason: newest.reason,
            runner_id: newest.runner_id,
            value: newest.value,
            start_ms: newest.start_ms,
            open: Bucket::default(),
        };
        (state, transitions)
    }
}

fn verdicts() -> impl Strategy<Value = Verdict> {
    let status = prop_oneof![4 => Just(OK), 2 => Just(ERROR), 3 => Just(FAILED)];
    let flags = prop_oneof![
        6 => Just(0),
        1 => Just(Verdict::UNKNOWN),
        1 => Just(Verdict::MAINTENANCE),
        1 => Just(Verdict::EXTRA),
        1 => Just(Verdict::UNKNOWN | Verdict::MAINTENANCE),
    ];
    (status, flags).prop_map(|(status, flags)| Verdict::new(status).with(flags))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Rows arrive mostly in order, some late, some twice; the store keeps the first of a slot and marks what is late.
    #[test]
    fn the_fold_agrees_with_the_definition(
        arrivals in prop::collection::vec((verdicts(), -3_i32..4), 0..60),
        failures in 1_i16..5,
        successes in 1_i16..5,
    ) {
        let thresholds = thresholds(failures, successes);
        let mut state = SeriesState::default();
        let mut stored: Vec<FoldInput> = vec![];
        let mut transitions = vec![];
        let mut slot = 1_000;
        for (verdict, step) in arrivals {
            slot += step;
            if stored.iter().any(|row| row.slot == slot) {
                continue;
            }
            let late = if state.is_late(slot) { Verdict::LATE } else { 0 };
            let row = input(slot, verdict.with(late));
            transitions.extend(fold(&mut state, &row, thresholds));
            stored.push(row);
        }
        prop_assert_eq!((state, transitions), model::state(&stored, thresholds));
    }
}
