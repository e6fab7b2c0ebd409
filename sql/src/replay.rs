//! Reading stored rows back as the fold saw them: for `verify`, and for buckets that a clear mark cuts.

use std::collections::BTreeMap;

use nanomon_core::Verdict;
use nanomon_core::codec::decode;
use nanomon_core::rollup::ScheduleRow;
use nanomon_core::status::{FoldInput, Phases};
use tokio_postgres::Row;

use crate::SeriesId;
use crate::error::{Result, StoreError};
use crate::results::{SCHEDULE, reason_of, schedule_row};
use crate::session::Session;

/// Rows of series ($1) in `[$2, $3)`, in fold order.
pub(crate) const RESULTS_OF: &str = "select series_id, slot, value, start_ms, runner_id, verdict, reason, outputs \
    from results where series_id = any($1) and slot >= $2 and slot < $3 order by series_id, slot";

/// A row of [`RESULTS_OF`].
pub(crate) fn replayed_row(row: &Row) -> Result<(SeriesId, FoldInput)> {
    let (series_id, slot, bits): (SeriesId, i32, i16) = (row.get(0), row.get(1), row.get(5));
    let verdict = Verdict::from_bits(bits).ok_or_else(|| {
        StoreError::Schema(format!("series {series_id}, slot {slot}: the verdict {bits} is unknown to this version"))
    })?;
    let value: Option<f32> = row.get(2);
    // What cannot be decoded has no phases; verify says so.
    let outputs = row.get::<_, Option<&[u8]>>(7).and_then(|bytes| decode(bytes, value).ok());
    let input = FoldInput {
        slot,
        verdict,
        reason: reason_of(row.get(6)),
        value,
        runner_id: row.get(4),
        start_ms: row.get(3),
        phases: outputs.as_ref().map_or_else(Phases::default, Phases::from_outputs),
    };
    Ok((series_id, input))
}

/// The timetables of these series.
pub(crate) async fn schedules_of(
    session: &Session,
    series: &[SeriesId],
) -> Result<BTreeMap<SeriesId, Vec<ScheduleRow>>> {
    let mut schedules: BTreeMap<SeriesId, Vec<ScheduleRow>> = BTreeMap::new();
    for row in session.query(SCHEDULE, &[&series]).await? {
        schedules.entry(row.get(0)).or_default().push(schedule_row(&row, 1));
    }
    Ok(schedules)
}
