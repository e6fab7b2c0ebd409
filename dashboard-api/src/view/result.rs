//! A result as the API shows it.

use jiff::Timestamp;
use nanomon_core::Reason;
use nanomon_sql::history::ResultRow;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{instant, millis};

/// A result, with the reference's field names.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Result)]
pub struct ResultView {
    /// Start of the run.
    #[schema(value_type = String, format = DateTime)]
    pub date: Timestamp,
    /// 0 OK, 1 Error, 2 Failed.
    #[schema(minimum = 0, maximum = 2)]
    pub status: i16,
    /// Milliseconds; 0 if there was no answer.
    pub value: f64,
    /// Why it is not OK, as a sentence; empty if it is.
    pub message: String,
    /// The monitor.
    pub monitor_id: i32,
    /// Its display name.
    pub monitor_name: String,
    /// Its target, query values cut.
    pub monitor_target: String,
    /// What was measured: names to numbers and texts.
    #[schema(value_type = std::collections::BTreeMap<String, OutputView>)]
    pub outputs: Map<String, Value>,
    /// Why it is not OK, as a stable word.
    pub reason: Option<String>,
    /// The runner's name.
    pub runner: Option<String>,
    /// The runner pool.
    pub pool: String,
    /// Nothing can be said about the target.
    #[serde(skip_serializing_if = "is_false")]
    #[schema(required = false)]
    pub unknown: bool,
    /// Stored too late to change the state.
    #[serde(skip_serializing_if = "is_false")]
    #[schema(required = false)]
    pub late: bool,
    /// The first run of a new or changed definition, outside its schedule.
    #[serde(skip_serializing_if = "is_false")]
    #[schema(required = false)]
    pub initial: bool,
    /// The slot lies in a maintenance window.
    #[serde(skip_serializing_if = "is_false")]
    #[schema(required = false)]
    pub maintenance: bool,
}

/// A measured number or text.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = OutputValue)]
pub enum OutputView {
    /// Milliseconds, counts and other numbers.
    Number(f64),
    /// Texts.
    Text(String),
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// The view of a stored result. `name` and `target` are the monitor's.
pub fn result_view(row: &ResultRow, name: &str, target: &str, pool: String, runner: Option<String>) -> ResultView {
    let is_ok = row.reason == Reason::Ok;
    ResultView {
        date: instant(row.slot, row.start_ms),
        status: row.verdict.status().code(),
        value: row.value.map_or(0.0, millis),
        message: if is_ok { String::new() } else { row.reason.sentence().to_owned() },
        monitor_id: row.monitor_id,
        monitor_name: name.to_owned(),
        monitor_target: target.to_owned(),
        outputs: row.outputs.to_json(),
        reason: (!is_ok).then(|| row.reason.as_str().to_owned()),
        runner,
        pool,
        unknown: row.verdict.is_unknown(),
        late: row.verdict.is_late(),
        initial: row.verdict.is_extra(),
        maintenance: row.verdict.is_maintenance(),
    }
}
