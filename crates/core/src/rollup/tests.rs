use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::reason::Reason;
use crate::slot::key;
use crate::status::{Phases, SeriesState, Thresholds, fold};
use crate::verdict::Verdict;

fn row(slot: i32, status: Status, flags: i16, value: Option<f32>) -> FoldInput {
    FoldInput {
        slot,
        verdict: Verdict::new(status).with(flags),
        reason: Reason::Ok,
        value,
        runner_id: 1,
        start_ms: 0,
        phases: Phases { dns: 1, connect: 20, tls: 300, first_byte: 4_000, transfer: 50_000 },
    }
}

#[test]
fn each_kind_of_result_weighs_what_the_definition_says() {
    use Status::{Error, Failed, Ok};
    let weigh = |status, flags| {
        let b = Bucket::of(&row(600, status, flags, None), 10_000);
        ([b.n_ok, b.n_error, b.n_failed], [b.up_ms, b.down_ms, b.maint_ms])
    };
    assert_eq!(weigh(Ok, 0), ([1, 0, 0], [10_000, 0, 0]));
    assert_eq!(weigh(Error, 0), ([0, 1, 0], [0, 10_000, 0]));
    assert_eq!(weigh(Failed, Verdict::LATE), ([0, 0, 1], [0, 10_000, 0]));
    for status in [Ok, Error, Failed] {
        let (counts, times) = weigh(status, Verdict::MAINTENANCE);
        assert_eq!((counts.iter().sum::<i32>(), times), (1, [0, 0, 10_000]));
        for nothing in [Verdict::UNKNOWN, Verdict::EXTRA, Verdict::UNKNOWN | Verdict::MAINTENANCE] {
            let bucket = Bucket::of(&row(600, status, nothing, Some(5.0)), 10_000);
            assert_eq!(bucket, Bucket { start: 600, ..Bucket::default() });
            assert!(bucket.is_empty());
        }
    }
}

#[test]
fn values_and_phases_are_summed_over_results_with_a_value() {
    let mut bucket = Bucket::of(&row(300, Status::Ok, 0, Some(2.5)), 1_000);
    bucket.add(&row(310, Status::Failed, 0, None), 1_000);
    bucket.add(&row(320, Status::Error, 0, Some(0.5)), 1_000);
    bucket.add(&row(330, Status::Error, 0, Some(f32::NAN)), 1_000);
    let expected = Bucket {
        start: 300,
        n_ok: 1,
        n_error: 2,
        n_failed: 1,
        up_ms: 1_000,
        down_ms: 3_000,
        maint_ms: 0,
        n_value: 2,
        value_sum_us: 3_000,
        value_min_us: 500,
        value_max_us: 2_500,
        dns_us: 2,
        connect_us: 40,
        tls_us: 600,
        first_byte_us: 8_000,
        transfer_us: 100_000,
    };
    assert_eq!(bucket, expected);
    assert_eq!(bucket.mean_ms(), Some(1.5));
    assert_eq!(Bucket::default().mean_ms(), None);
}

#[test]
fn smallest_and_largest_are_not_taken_from_buckets_without_values() {
    let with = Bucket::of(&row(0, Status::Ok, 0, Some(7.0)), 1_000);
    let without = Bucket::of(&row(0, Status::Failed, 0, None), 1_000);
    for (mut into, other) in [(with, without), (without, with)] {
        into.merge(&other);
        assert_eq!((into.n_value, into.value_min_us, into.value_max_us), (1, 7_000, 7_000));
    }
}

#[test]
fn levels_start_where_utc_does() {
    // 2026-11-23 14:53:20 UTC
    let slot = 1_795_445_600;
    assert_eq!(Level::ALL.map(|level| slot - level.start(slot)), [200, 53 * 60 + 20, 14 * 3_600 + 53 * 60 + 20]);
    assert_eq!(Level::Day.start(-1), -86_400);
    assert_eq!(Level::Day.start(i32::MIN), i32::MIN);
}

#[test]
fn a_step_closes_the_bucket_when_the_next_begins() {
    let mut open = Bucket::default();
    assert_eq!(rollup_step(&mut open, &row(590, Status::Ok, 0, None), 10_000), None);
    assert_eq!(rollup_step(&mut open, &row(599, Status::Ok, 0, None), 10_000), None);
    let closed = rollup_step(&mut open, &row(600, Status::Ok, Verdict::UNKNOWN, None), 10_000).unwrap();
    assert_eq!((closed.start, closed.n_ok, closed.up_ms), (300, 2, 20_000));
    // An unknown result opens a bucket without anything in it, which is never handed out.
    assert_eq!(open, Bucket { start: 600, ..Bucket::default() });
    assert_eq!(rollup_step(&mut open, &row(900, Status::Failed, 0, None), 10_000), None);
    assert_eq!((open.start, open.n_failed), (900, 1));
}

#[test]
fn uptime_and_coverage_are_shares() {
    let mut uptime = Uptime { scheduled_ms: 100_000, ..Uptime::default() };
    assert_eq!((uptime.ratio(), uptime.coverage()), (None, Some(0.0)));
    uptime.add_bucket(&Bucket { up_ms: 30_000, down_ms: 10_000, maint_ms: 20_000, ..Bucket::default() });
    assert_eq!((uptime.ratio(), uptime.coverage()), (Some(0.75), Some(0.6)));
    uptime.merge(&Uptime { up_ms: 40_000, down_ms: 0, maint_ms: 0, scheduled_ms: 0 });
    assert_eq!((uptime.ratio(), uptime.coverage()), (Some(0.875), Some(1.0)));
    uptime.maint_ms += 10_000;
    assert_eq!(uptime.coverage(), Some(1.0), "a straggler does not make it more than full");
    assert_eq!(Uptime::default().coverage(), None);
}

fn schedule_row(from_slot: i32, interval_ms: u32, phase_ms: u32, active: bool) -> ScheduleRow {
    ScheduleRow { from_slot, interval_ms, phase_ms, thresholds: Thresholds::default(), active }
}

/// Time is UTC throughout: a caller who means a day of a place that sets its clocks gives that day's exact seconds.
#[test]
fn days_on_which_clocks_are_set_are_counted_by_their_seconds() {
    let rows = [schedule_row(1_700_000_000, 60_000, 7_000, true)];
    // Europe/Berlin from midnight to midnight, 2026-03-29 and 2026-10-25; next to each the day of UTC.
    for (from, to, hours) in [
        (1_774_738_800, 1_774_821_600, 23),
        (1_774_742_400, 1_774_828_800, 24),
        (1_792_879_200, 1_792_969_200, 25),
        (1_792_886_400, 1_792_972_800, 24),
    ] {
        let day_ms = hours * 3_600_000;
        assert_eq!(scheduled_ms(&rows, from, to), day_ms, "a slot each minute from {from} on");
        // Up to the last hour: no hour is lost or counted twice where the clock jumps.
        let up_ms = scheduled_ms(&rows, from, to - 3600);
        assert_eq!(up_ms, day_ms - 3_600_000);
        let uptime = Uptime { up_ms, down_ms: day_ms - up_ms, maint_ms: 0, scheduled_ms: day_ms };
        assert_eq!(uptime.coverage(), Some(1.0));
        assert_eq!(uptime.ratio(), Some((hours - 1) as f64 / hours as f64));
        // Five-minute buckets start at whole multiples of UTC seconds: both ends of the day are such.
        assert_eq!((from % 300, to % 300), (0, 0));
    }
}

#[test]
fn the_schedule_valid_at_a_slot_decides() {
    let rows = [
        schedule_row(100, 10_000, 3_000, true),
        schedule_row(200, 5_000, 1_500, true),
        schedule_row(300, 5_000, 1_500, false),
        ScheduleRow { thresholds: Thresholds { failures: 7, successes: 2 }, ..schedule_row(400, 60_000, 0, true) },
    ];
    let weights = [99, 100, 199, 200, 299, 300, 399, 400, i32::MAX].map(|slot| weight_at(&rows, slot));
    assert_eq!(weights, [0, 10_000, 10_000, 5_000, 5_000, 0, 0, 60_000, 60_000]);
    assert_eq!(thresholds_at(&rows, 500).failures, 7);
    assert_eq!((thresholds_at(&rows, 0), thresholds_at(&[], 5)), (Thresholds::default(), Thresholds::default()));
    // 103 … 193 are ten slots; 201.5 … 296.5 twenty; none while inactive; 420 and 480.
    assert_eq!(scheduled_ms(&rows, 0, 500), 10 * 10_000 + 20 * 5_000 + 2 * 60_000);
    assert_eq!(scheduled_ms(&rows, 103, 104), 10_000);
    assert_eq!(scheduled_ms(&rows, 104, 113), 0);
    // The slot at 201.5 has the key 201.
    assert_eq!((scheduled_ms(&rows, 201, 202), scheduled_ms(&rows, 202, 203)), (5_000, 0));
    assert_eq!((scheduled_ms(&rows, 500, 400), scheduled_ms(&[], 0, 500)), (0, 0));
    // A row that no version writes is no reason to divide by zero.
    assert_eq!(scheduled_ms(&[schedule_row(0, 0, 0, true)], 0, 500), 0);
    assert_eq!(weight_at(&[schedule_row(0, 0, 0, true)], 5), 0);
}

fn schedules() -> impl Strategy<Value = Vec<ScheduleRow>> {
    let row = (1..2_000_i32, 1_000..90_000_u32, 0.0..1.0_f64, prop::bool::weighted(0.8));
    prop::collection::vec(row, 0..6).prop_map(|rows| {
        let mut from = -500;
        rows.into_iter()
            .map(|(gap, interval, phase, active)| {
                from += gap;
                schedule_row(from, interval, (f64::from(interval) * phase) as u32, active)
            })
            .collect()
    })
}

/// All expected slot keys of a window, found by asking for each second.
fn expected_keys(rows: &[ScheduleRow], from: i32, to: i32) -> Vec<i32> {
    (from..to)
        .filter(|second| {
            let Some(schedule) = schedule_at(rows, *second).and_then(ScheduleRow::schedule) else { return false };
            let first = schedule.next_at_or_after(i64::from(*second) * 1_000);
            key(first) == *second
        })
        .collect()
}

fn statuses() -> impl Strategy<Value = Status> {
    prop_oneof![Just(Status::Ok), Just(Status::Error), Just(Status::Failed)]
}

fn arrivals() -> impl Strategy<Value = Vec<FoldInput>> {
    let flags = prop_oneof![4 => Just(0), 1 => Just(Verdict::UNKNOWN), 1 => Just(Verdict::EXTRA), 2 => Just(Verdict::MAINTENANCE)];
    let value = prop::option::weighted(0.7, 0.0_f32..60_000.0);
    let phases = (0..1_000_000_u32, 0..1_000_000_u32);
    let step = prop_oneof![6 => 1..120, 2 => -4_000..0, 1 => 300..100_000];
    prop::collection::vec((step, statuses(), flags, value, phases), 0..80).prop_map(|steps| {
        let mut slot = 0_i32;
        let mut newest = 0;
        steps
            .into_iter()
            .map(|(step, status, flags, value, (dns, connect))| {
                // Steps back are from the newest, so that histories move on.
                slot = newest + step;
                newest = newest.max(slot);
                FoldInput { phases: Phases { dns, connect, ..Phases::default() }, ..row(slot, status, flags, value) }
            })
            .collect()
    })
}

/// What the rollups should be: for each level and start, everything that counts, by plain filters and sums.
fn naive(stored: &[FoldInput], schedule: &[ScheduleRow], level: Level, start: i32) -> Bucket {
    let rows: Vec<&FoldInput> = stored
        .iter()
        .filter(|r| r.slot >= start && r.slot < start + level.seconds())
        .filter(|r| !r.verdict.is_unknown() && !r.verdict.is_extra())
        .collect();
    let n = |status| rows.iter().filter(|r| r.verdict.status() == status).count() as i32;
    let time = |wanted: fn(&Verdict) -> bool| {
        rows.iter().filter(|r| wanted(&r.verdict)).map(|r| weight_at(schedule, r.slot)).sum::<i64>()
    };
    let valued: Vec<(i64, Phases)> =
        rows.iter().filter_map(|r| Some(((f64::from(r.value?) * 1_000.0).round() as i64, r.phases))).collect();
    let sum = |of: fn(&Phases) -> u32| valued.iter().map(|(_, phases)| i64::from(of(phases))).sum::<i64>();
    Bucket {
        start,
        n_ok: n(Status::Ok),
        n_error: n(Status::Error),
        n_failed: n(Status::Failed),
        up_ms: time(|v| v.status() == Status::Ok && !v.is_maintenance()),
        down_ms: time(|v| v.status() != Status::Ok && !v.is_maintenance()),
        maint_ms: time(|v| v.is_maintenance()),
        n_value: valued.len() as i32,
        value_sum_us: valued.iter().map(|(us, _)| us).sum(),
        value_min_us: valued.iter().map(|(us, _)| *us).min().unwrap_or(0),
        value_max_us: valued.iter().map(|(us, _)| *us).max().unwrap_or(0),
        dns_us: sum(|p| p.dns),
        connect_us: sum(|p| p.connect),
        tls_us: sum(|p| p.tls),
        first_byte_us: sum(|p| p.first_byte),
        transfer_us: sum(|p| p.transfer),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn rollups_plus_open_bucket_equal_raw(arrivals in arrivals(), schedule in schedules()) {
        let mut state = SeriesState::default();
        let mut stored: Vec<FoldInput> = vec![];
        let mut tables: BTreeMap<(i32, i32), Bucket> = BTreeMap::new();
        let mut upsert = |bucket: Bucket| {
            for (level, part) in bucket.levels() {
                tables
                    .entry((level.seconds(), part.start))
                    .or_insert(Bucket { start: part.start, ..Bucket::default() })
                    .merge(&part);
            }
        };
        for mut arrival in arrivals {
            if stored.iter().any(|row| row.slot == arrival.slot) {
                continue;
            }
            let weight = weight_at(&schedule, arrival.slot);
            if state.is_late(arrival.slot) {
                arrival.verdict = arrival.verdict.with(Verdict::LATE);
                upsert(Bucket::of(&arrival, weight));
            } else {
                rollup_step(&mut state.open, &arrival, weight).into_iter().for_each(&mut upsert);
                fold(&mut state, &arrival, Thresholds::default());
            }
            stored.push(arrival);
        }
        if let Some(last) = state.last_slot {
            prop_assert_eq!(state.open.start, Level::FiveMinutes.start(last));
            let in_time: Vec<FoldInput> = stored.iter().copied().filter(|row| !row.verdict.is_late()).collect();
            prop_assert_eq!(state.open, naive(&in_time, &schedule, Level::FiveMinutes, state.open.start));
        }
        for (level, part) in state.open.levels() {
            tables.entry((level.seconds(), part.start)).or_insert(Bucket { start: part.start, ..Bucket::default() }).merge(&part);
        }
        for level in Level::ALL {
            for row in &stored {
                let start = level.start(row.slot);
                let expected = naive(&stored, &schedule, level, start);
                let read = tables.get(&(level.seconds(), start)).copied().unwrap_or(Bucket { start, ..Bucket::default() });
                prop_assert_eq!(read, expected);
            }
        }
    }

    #[test]
    fn merging_does_not_depend_on_order(mut rows in arrivals(), seed in any::<u64>()) {
        let sum = |rows: &[FoldInput]| {
            let mut total = Bucket::default();
            for row in rows {
                total.merge(&Bucket::of(row, 1_234));
            }
            total
        };
        let expected = sum(&rows);
        rows.sort_by_key(|row| xxhash_rust::xxh3::xxh3_64_with_seed(&row.slot.to_le_bytes(), seed));
        prop_assert_eq!(sum(&rows), expected);
    }

    #[test]
    fn a_result_in_every_expected_slot_is_full_coverage(rows in schedules(), from in -600_i32..3_000, length in 0_i32..4_000) {
        let to = from + length;
        let keys = expected_keys(&rows, from, to);
        let weights: i64 = keys.iter().map(|key| weight_at(&rows, *key)).sum();
        prop_assert_eq!(scheduled_ms(&rows, from, to), weights);
        let middle = from + length / 2;
        prop_assert_eq!(scheduled_ms(&rows, from, middle) + scheduled_ms(&rows, middle, to), weights);
    }
}
