//! The statements of the write path.

use std::sync::LazyLock;

use nanomon_core::rollup::Level;

/// Results older than this are refused: two days of outage.
pub(super) const OLDEST_S: i32 = 48 * 3600;
/// Results further ahead of PostgreSQL's clock than this are refused.
pub(super) const AHEAD_S: i32 = 5;

/// The columns of a bucket, in the order of [`super::BucketColumns`], with their types.
const BUCKET: [(&str, &str); 15] = [
    ("n_ok", "int4"),
    ("n_error", "int4"),
    ("n_failed", "int4"),
    ("n_value", "int4"),
    ("up_ms", "int8"),
    ("down_ms", "int8"),
    ("maint_ms", "int8"),
    ("value_sum_us", "int8"),
    ("value_min_us", "int8"),
    ("value_max_us", "int8"),
    ("dns_us", "int8"),
    ("connect_us", "int8"),
    ("tls_us", "int8"),
    ("first_byte_us", "int8"),
    ("transfer_us", "int8"),
];

/// The same as a list for a SELECT.
pub(crate) const BUCKET_COLUMNS: &str = "n_ok, n_error, n_failed, n_value, up_ms, down_ms, maint_ms, value_sum_us, \
    value_min_us, value_max_us, dns_us, connect_us, tls_us, first_byte_us, transfer_us";

/// The columns of a state that the fold writes, in the order of [`super::StateColumns`], with their types.
const STATE: [(&str, &str); 11] = [
    ("last_slot", "int4"),
    ("since", "int4"),
    ("status", "int2"),
    ("confirmed", "int2"),
    ("streak", "int2"),
    ("reason", "int2"),
    ("runner_id", "int2"),
    ("start_ms", "int2"),
    ("value", "real"),
    ("activation", "int4"),
    ("acc_bucket", "int4"),
];

/// The columns that [`super::StateRow::read`] reads.
pub(crate) fn lock_columns() -> String {
    format!(
        "series_id, monitor_id, live, active, sched_from, interval_ms, failures, successes, cleared_before, \
           {}, {BUCKET_COLUMNS}",
        names(&STATE)
    )
}

/// Locks the states in id order, so that two writers can never wait for each other.
pub(super) static LOCK: LazyLock<String> = LazyLock::new(|| {
    format!("select {} from monitor_states where series_id = any($1) order by series_id for update", lock_columns())
});

/// Inserts what is wanted and not there yet. Its snapshot is newer than the locks: nobody changes what it reads of the
/// states. `late` and maintenance are decided here, once.
pub(super) const INSERT: &str = "insert into results (series_id, slot, value, start_ms, runner_id, verdict, reason, outputs) \
    select b.series_id, b.slot, b.value, b.start_ms, b.runner_id, \
      b.verdict | case when b.slot <= s.last_slot then 16::int2 else 0::int2 end \
        | case when (select exists (select from maintenance_spans)) and exists (select from maintenance_spans w where w.monitor_id = s.monitor_id and b.slot >= w.from_slot \
            and b.slot < w.to_slot) then 8::int2 else 0::int2 end, \
      b.reason, b.outputs \
    from unnest($1::int4[], $2::int4[], $3::real[], $4::int2[], $5::int2[], $6::int2[], $7::int2[], $8::bytea[]) \
      as b(series_id, slot, value, start_ms, runner_id, verdict, reason, outputs) \
    join monitor_states s on s.series_id = b.series_id \
    where s.live and b.slot >= s.cleared_before \
      and b.slot >= (select from_slot from kept where name = 'results') \
      and b.slot >= (select extract(epoch from clock_timestamp())::int4 - 172800) \
      and b.slot <= (select floor(extract(epoch from clock_timestamp()))::int4 + 5) \
    on conflict (series_id, slot) do nothing \
    returning series_id, slot, verdict";

/// What the range of the insert was, for counting.
pub(super) const CLOCK: &str =
    "select floor(extract(epoch from clock_timestamp()))::int4, from_slot from kept where name = 'results'";

/// The whole timetable of series: for batches with results from before its newest row, and for replays.
pub(crate) const SCHEDULE: &str = "select series_id, from_slot, interval_ms, phase_ms, failures, successes, active \
    from series_schedule where series_id = any($1) order by series_id, from_slot";

/// Writes the folded states.
pub(super) static UPDATE: LazyLock<String> = LazyLock::new(|| {
    let columns: Vec<(&str, &str)> = STATE.iter().chain(&BUCKET).copied().collect();
    let set: Vec<String> = columns.iter().map(|(name, _)| format!("{name} = w.{name}")).collect();
    format!(
        "update monitor_states t set {} from unnest($1::int4[], {}) as w(series_id, {}) where t.series_id = w.series_id",
        set.join(", "),
        arrays(2, &columns),
        names(&columns)
    )
});

/// Adds buckets to a level. Safe without a lock of its own: only the holder of a series' state adds to its rows. A bucket
/// that retention has dropped meanwhile is left out: after a long pause the bucket that was left open may be that old.
pub(crate) fn rollup_upsert(level: Level) -> &'static str {
    static UPSERTS: LazyLock<[String; 3]> = LazyLock::new(|| Level::ALL.map(upsert));
    match level {
        Level::FiveMinutes => &UPSERTS[0],
        Level::Hour => &UPSERTS[1],
        Level::Day => &UPSERTS[2],
    }
}

/// The table of a level.
pub(crate) fn rollup_table(level: Level) -> &'static str {
    match level {
        Level::FiveMinutes => "rollup_5m",
        Level::Hour => "rollup_hour",
        Level::Day => "rollup_day",
    }
}

fn upsert(level: Level) -> String {
    let add = |name: &str| match name {
        "value_min_us" => extreme(name, "least"),
        "value_max_us" => extreme(name, "greatest"),
        _ => format!("{name} = r.{name} + excluded.{name}"),
    };
    let set: Vec<String> = BUCKET.iter().map(|(name, _)| add(name)).collect();
    format!(
        "insert into {table} as r (series_id, bucket, {BUCKET_COLUMNS}) \
         select * from unnest($1::int4[], $2::int4[], {}) as w(series_id, bucket, {BUCKET_COLUMNS}) \
         where w.bucket >= (select from_slot from kept where name = '{table}') \
         on conflict (series_id, bucket) do update set {}",
        arrays(3, &BUCKET),
        set.join(", "),
        table = rollup_table(level),
    )
}

/// Smallest and largest of buckets that may have no value at all (then they hold 0).
fn extreme(name: &str, function: &str) -> String {
    format!(
        "{name} = case when excluded.n_value = 0 then r.{name} when r.n_value = 0 then excluded.{name} \
         else {function}(r.{name}, excluded.{name}) end"
    )
}

fn names(columns: &[(&str, &str)]) -> String {
    columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

fn arrays(first: usize, columns: &[(&str, &str)]) -> String {
    let numbered = columns.iter().enumerate().map(|(index, (_, kind))| format!("${}::{kind}[]", first + index));
    numbered.collect::<Vec<_>>().join(", ")
}
