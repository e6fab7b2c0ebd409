//! `nanomon verify`: replays stored rows and proves states and rollups.

use std::collections::BTreeMap;
use std::pin::pin;

use futures::TryStreamExt as _;
use nanomon_core::rollup::{Bucket, Level, ScheduleRow, rollup_step, thresholds_at, weight_at};
use nanomon_core::status::{FoldInput, SeriesState, fold};
use tokio_postgres::types::ToSql;

use crate::error::{Result, StoreError};
use crate::kept::Kept;
use crate::replay::{RESULTS_OF, replayed_row, schedules_of};
use crate::results::{BUCKET_COLUMNS, StateRow, bucket_sums, lock_columns, rollup_table};
use crate::session::Session;
use crate::{SeriesId, Slot, Store};

/// What was checked and found.
#[derive(Debug, Clone, Default)]
pub struct VerifyReport {
    /// Series looked at.
    pub series: u64,
    /// Rows replayed.
    pub rows: u64,
    /// One sentence per broken invariant (at most 100), naming series, slot or bucket, and both values.
    pub faults: Vec<String>,
}

const FAULTS_MAX: usize = 100;
/// Series replayed by one statement.
const CHUNK: usize = 100;

// A snapshot holds back the cleaning of dead rows; nothing else waits for it.
const BEGIN: &str = "begin isolation level repeatable read read only; set local statement_timeout = 0; \
    set local idle_in_transaction_session_timeout = 0";

const KEPT: &str = "select name, from_slot from kept";

// What the write path reads from the state must be what the definitions say.
const COPIES: &str = "select t.series_id from monitor_states t join series s on s.id = t.series_id \
      join monitors m on m.id = s.monitor_id \
      left join lateral (select * from series_schedule c where c.series_id = s.id order by c.from_slot desc limit 1) c on true \
    where (t.monitor_id, t.pool_id, t.live, t.cleared_before, t.sched_from, t.interval_ms, t.failures, t.successes, t.active) \
      is distinct from (s.monitor_id, s.pool_id, s.retired_at is null and m.tombstoned_at is null, m.cleared_before, \
        c.from_slot, c.interval_ms, c.failures, c.successes, c.active) \
    order by 1";

const STATELESS: &str =
    "select s.id from series s where not exists (select from monitor_states t where t.series_id = s.id)";

const INCIDENTS: &str = "select i.id from incidents i join monitors m on m.id = i.monitor_id \
    where (i.resolved is not null and i.resolved < i.opened) \
      or (i.resolved is null and (m.tombstoned_at is not null or m.suspended)) order by 1";

impl Store {
    /// Replays the whole database in one repeatable-read snapshot: (1) folding the rows without `late` in slot order gives
    /// `monitor_states`; (2) summing the rows gives the rollups, as far back as raw is kept; (3) the copies that the write
    /// path reads agree with the definitions. Of a series whose oldest rows are gone (retention, a clear mark) that part of
    /// the state is compared which the rest decides.
    pub async fn verify(&self) -> Result<VerifyReport> {
        let session = self.session("verify").await?;
        session.mark_transaction(true);
        session.batch(BEGIN).await?;
        let mut report = VerifyReport::default();
        let kept = Kept::read_rows(&session.query(KEPT, &[]).await?, 0);
        for (sql, text) in [
            (COPIES, "the state's copy of the definition is not what the definition says"),
            (STATELESS, "there is no state"),
        ] {
            for row in session.query(sql, &[]).await? {
                report.fault(format!("series {}: {text}", row.get::<_, SeriesId>(0)));
            }
        }
        for row in session.query(INCIDENTS, &[]).await? {
            report
                .fault(format!("incident {}: it ends before it begins, or outlives its monitor", row.get::<_, i64>(0)));
        }
        let rows = session.query("select series_id from monitor_states order by series_id", &[]).await?;
        let series: Vec<SeriesId> = rows.iter().map(|row| row.get(0)).collect();
        for chunk in series.chunks(CHUNK) {
            verify_chunk(&session, chunk, kept, &mut report).await?;
        }
        session.rollback().await?;
        Ok(report)
    }
}

impl VerifyReport {
    fn fault(&mut self, text: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(text);
        }
    }
}

/// One series while its rows pass by.
struct Replay {
    stored: StateRow,
    schedule: Vec<ScheduleRow>,
    /// Rows older than this may be missing or must not count.
    from: Slot,
    state: SeriesState,
    rows: u64,
    sums: [BTreeMap<Slot, Bucket>; 3],
    /// The first row that is folded, with which a history begins that has lost its beginning.
    first: Option<Slot>,
    /// A confirmed status was reached from one of the remaining rows alone.
    confirmed_seen: bool,
    flipped: bool,
}

async fn verify_chunk(session: &Session, series: &[SeriesId], kept: Kept, report: &mut VerifyReport) -> Result<()> {
    let sql = format!("select {} from monitor_states where series_id = any($1)", lock_columns());
    let mut schedules = schedules_of(session, series).await?;
    let mut replays: BTreeMap<SeriesId, Replay> = BTreeMap::new();
    for row in session.query(&sql, &[&series]).await? {
        let stored = StateRow::read(&row)?;
        let from = stored.cleared_before.max(kept.results);
        let schedule = schedules.remove(&stored.series_id).unwrap_or_default();
        replays.insert(stored.series_id, Replay::new(stored, schedule, from));
    }
    let statement = session.prepare(RESULTS_OF).await?;
    let params: [&(dyn ToSql + Sync); 3] = [&series, &Slot::MIN, &Slot::MAX];
    // Streamed without the usual deadline: a chunk may hold millions of rows.
    let rows = session.client().query_raw(&statement, params).await.map_err(StoreError::from)?;
    let mut rows = pin!(rows);
    while let Some(row) = rows.try_next().await.map_err(StoreError::from)? {
        let (series_id, input) = replayed_row(&row)?;
        if let Some(replay) = replays.get_mut(&series_id).filter(|replay| input.slot >= replay.from) {
            replay.add(&input);
            report.rows += 1;
        }
    }
    for replay in replays.values() {
        replay.check_state(report);
    }
    for (level, mark) in Level::ALL.into_iter().zip(kept.levels) {
        check_level(session, series, &replays, level, mark, report).await?;
    }
    report.series += series.len() as u64;
    Ok(())
}

impl Replay {
    fn new(stored: StateRow, schedule: Vec<ScheduleRow>, from: Slot) -> Self {
        Self {
            stored,
            schedule,
            from,
            state: SeriesState::default(),
            rows: 0,
            sums: Default::default(),
            first: None,
            confirmed_seen: false,
            flipped: false,
        }
    }

    fn add(&mut self, input: &FoldInput) {
        let weight_ms = weight_at(&self.schedule, input.slot);
        let bucket = Bucket::of(input, weight_ms);
        for (level, sums) in Level::ALL.into_iter().zip(&mut self.sums) {
            let start = level.start(input.slot);
            sums.entry(start).or_insert(Bucket { start, ..Bucket::default() }).merge(&bucket);
        }
        if input.verdict.is_late() {
            return;
        }
        self.first.get_or_insert(input.slot);
        self.rows += 1;
        rollup_step(&mut self.state.open, input, weight_ms);
        let before = self.state.status;
        let thresholds = thresholds_at(&self.schedule, input.slot);
        fold(&mut self.state, input, thresholds);
        self.flipped |= before.is_some() && before != self.state.status;
        // From an unknown beginning a confirmed status is certain once a whole threshold was passed.
        let streak = self.state.streak;
        self.confirmed_seen |= streak >= thresholds.successes || -streak >= thresholds.failures;
    }

    fn check_state(&self, report: &mut VerifyReport) {
        let StateRow { series_id, state: stored, .. } = &self.stored;
        let mut expected = self.state.clone();
        if self.from > 0 {
            // The beginning is gone: what only it decides is taken as it is stored.
            if self.rows == 0 {
                return;
            }
            if !self.flipped {
                expected.since = stored.since;
                let grows =
                    stored.streak.signum() == expected.streak.signum() && stored.streak.abs() >= expected.streak.abs();
                if expected.streak == 0 || grows {
                    expected.streak = stored.streak;
                }
            }
            if !self.confirmed_seen {
                expected.confirmed = stored.confirmed;
            }
            if expected.status.is_none() {
                expected = SeriesState { last_slot: expected.last_slot, open: expected.open, ..stored.clone() };
            }
        }
        if !same_state(&expected, stored) {
            report.fault(format!("series {series_id}: the state is {stored:?}, its rows give {expected:?}"));
        }
    }
}

/// Equality with NaN equal to itself.
fn same_state(a: &SeriesState, b: &SeriesState) -> bool {
    let bits = |state: &SeriesState| state.value.map(f32::to_bits);
    bits(a) == bits(b) && SeriesState { value: None, ..a.clone() } == SeriesState { value: None, ..b.clone() }
}

async fn check_level(
    session: &Session,
    series: &[SeriesId],
    replays: &BTreeMap<SeriesId, Replay>,
    level: Level,
    mark: Slot,
    report: &mut VerifyReport,
) -> Result<()> {
    let table = rollup_table(level);
    let sql = format!("select series_id, bucket, {BUCKET_COLUMNS} from {table} where series_id = any($1)");
    let mut stored: BTreeMap<(SeriesId, Slot), Bucket> = BTreeMap::new();
    for row in session.query(&sql, &[&series]).await? {
        let start: Slot = row.get(1);
        stored.insert((row.get(0), start), Bucket { start, ..bucket_sums(&row, 2) });
    }
    for (&series_id, replay) in replays {
        let open = &replay.stored.state.open;
        if !open.is_empty() {
            let start = level.start(open.start);
            stored.entry((series_id, start)).or_insert(Bucket { start, ..Bucket::default() }).merge(open);
        }
        let index = Level::ALL.iter().position(|&l| l == level).unwrap_or_default();
        // Only buckets of which all rows are there; the clear mark cuts buckets, retention does not.
        let complete = |start: Slot| start >= mark && start + level.seconds() > replay.from;
        let nothing = Bucket::default();
        for (&start, expected) in replay.sums[index].iter().filter(|(start, _)| complete(**start)) {
            let found = stored.remove(&(series_id, start)).unwrap_or(Bucket { start, ..nothing });
            if found != *expected {
                report.fault(format!(
                    "series {series_id}, {table} {start}: the sums with the open bucket are {found:?}, the rows give {expected:?}"
                ));
            }
        }
    }
    for ((series_id, start), found) in stored {
        let Some(replay) = replays.get(&series_id) else { continue };
        let cleared = replay.stored.cleared_before;
        let expected_gone = start + level.seconds() <= cleared;
        let expected_empty = start >= mark.max(replay.from);
        if (expected_gone || expected_empty) && !found.is_empty() {
            report.fault(format!("series {series_id}, {table} {start}: there are sums {found:?} but no rows"));
        }
    }
    Ok(())
}
