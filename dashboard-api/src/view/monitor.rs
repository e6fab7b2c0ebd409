//! A monitor as the API shows it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nanomon_core::verdict::Status;
use nanomon_sql::board::SeriesBoard;
use nanomon_sql::monitors::{MonitorRow, Source};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{instant, millis};
use crate::definition;

/// A monitor. `name`, `type`, `interval`, `target`, `rule`, `enabled`, `group` and `properties` are the reference's form of
/// what `spec` says.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Monitor)]
pub struct MonitorView {
    /// Never reused.
    pub id: i32,
    /// The display name.
    pub name: String,
    /// `http`, `tcp`, `ping` or `dns`.
    #[serde(rename = "type")]
    #[schema(value_type = ProbeTypeWord)]
    pub kind: String,
    /// Time between two runs, such as `30s`.
    #[schema(example = "30s")]
    pub interval: String,
    /// URL, `host:port`, host or name.
    pub target: String,
    /// The rule, or an empty text.
    pub rule: String,
    /// False while suspended.
    pub enabled: bool,
    /// Group on the dashboard.
    pub group: String,
    /// The type's other settings, as texts.
    pub properties: BTreeMap<String, String>,
    /// When the definition last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated: Timestamp,
    /// When the monitor was first written.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Namespace.
    pub namespace: String,
    /// Object name.
    pub object_name: String,
    /// Labels of the object.
    pub labels: BTreeMap<String, String>,
    /// The definition in the form that `kubectl apply` takes.
    #[schema(schema_with = crate::openapi::monitor_spec_ref)]
    pub spec: Value,
    /// The present state.
    pub state: MonitorState,
    /// Who owns the definition.
    pub managed_by: ManagedBy,
}

/// The four types.
#[derive(ToSchema)]
#[schema(as = ProbeType, rename_all = "lowercase")]
pub enum ProbeTypeWord {
    /// An HTTP or HTTPS request.
    Http,
    /// A TCP connection.
    Tcp,
    /// ICMP echo requests.
    Ping,
    /// A DNS lookup.
    Dns,
}

/// Where definitions come from.
#[derive(ToSchema)]
#[schema(as = Source, rename_all = "lowercase")]
pub enum SourceWord {
    /// An object in the Kubernetes API.
    Kubernetes,
    /// A file in the manifest folder.
    Manifest,
    /// This API.
    Api,
}

/// The state of a monitor over its pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
pub enum StateWord {
    /// The newest result is OK.
    #[serde(rename = "OK")]
    Ok,
    /// The target answers, but the rule does not hold.
    Error,
    /// The target does not answer.
    Failed,
    /// There is no result, or none that is fresh.
    Unknown,
    /// The monitor is suspended.
    Paused,
}

impl StateWord {
    /// The word for a result's status.
    pub fn of(status: Status) -> Self {
        match status {
            Status::Ok => Self::Ok,
            Status::Error => Self::Error,
            Status::Failed => Self::Failed,
        }
    }

    /// Reads the word, in any case.
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [
            ("ok", Self::Ok),
            ("error", Self::Error),
            ("failed", Self::Failed),
            ("unknown", Self::Unknown),
            ("paused", Self::Paused),
        ];
        all.into_iter().find(|(w, _)| word.eq_ignore_ascii_case(w)).map(|(_, state)| state)
    }

    /// How bad it is; the worst pool decides. An unknown pool is better than one that is known to be down.
    fn severity(self) -> u8 {
        match self {
            Self::Paused => 0,
            Self::Ok => 1,
            Self::Unknown => 2,
            Self::Error => 3,
            Self::Failed => 4,
        }
    }
}

/// See [`MonitorView::state`].
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitorState {
    /// The worst among the pools that have a fresh result; `Unknown` if none has.
    pub status: StateWord,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    pub since: Option<Timestamp>,
    /// Start of the newest run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    pub last_check_time: Option<Timestamp>,
    /// The newest value in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub last_value: Option<f64>,
    /// Why it is not OK, as a stable word.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
    /// Why it is not OK, as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub message: Option<String>,
    /// The state per pool.
    pub pools: Vec<PoolState>,
}

/// The state as one pool's runners see it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolState {
    /// The pool's name.
    pub pool: String,
    /// See [`MonitorState::status`].
    pub status: StateWord,
    /// Since when.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// Start of the newest run.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_check_time: Option<Timestamp>,
    /// The newest value in milliseconds.
    pub value: Option<f64>,
    /// Why it is not OK, as a stable word.
    pub reason: Option<String>,
    /// The runner's name.
    pub runner: Option<String>,
}

/// Who owns a definition.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedBy {
    /// Where the definition comes from.
    #[schema(value_type = SourceWord)]
    pub source: String,
    /// The tool or file that would undo a change made here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub owner: Option<String>,
    /// Whether the API changes it.
    pub editable: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
}

impl ManagedBy {
    /// Reads what the writer of the row left in `meta`.
    pub fn of(row: &MonitorRow) -> Self {
        let note = |field: &str| row.meta.get("managedBy")?.get(field)?.as_str().map(str::to_owned);
        let source = row.source.as_str().to_owned();
        match row.source {
            Source::Api => Self { source, owner: None, editable: true, reason: None },
            Source::Manifest => {
                let owner = note("file");
                let reason = match &owner {
                    Some(file) => format!("the monitor comes from the manifest file {file}; change it there"),
                    None => "the monitor comes from the manifest folder; change it there".to_owned(),
                };
                Self { source, owner, editable: false, reason: Some(reason) }
            }
            Source::Kubernetes => {
                let owner = note("owner");
                let reason = owner.as_ref().map(|owner| owned_sentence(owner));
                Self { source, editable: owner.is_none(), owner, reason }
            }
        }
    }
}

/// Why a monitor that a tool owns is not changed here.
pub fn owned_sentence(owner: &str) -> String {
    format!("the monitor is owned by {owner}, which would undo a change made here; change it there")
}

/// Names for ids, as the board knows them.
pub trait Names {
    /// A pool's name.
    fn pool(&self, id: nanomon_sql::PoolId) -> String;
    /// A runner's name.
    fn runner(&self, id: nanomon_sql::RunnerId) -> Option<String>;
}

/// A result older than this is not fresh: two intervals, and time for a batch to be written and a takeover to be done.
pub fn fresh_for_s(interval_s: i64) -> i64 {
    2 * interval_s + 15
}

/// The state of a monitor at `now` (Unix seconds).
pub fn state_of(row: &MonitorRow, series: &[SeriesBoard], names: &impl Names, now: i64) -> MonitorState {
    let Some(def) = &row.def else {
        return MonitorState {
            status: StateWord::Unknown,
            since: None,
            last_check_time: None,
            last_value: None,
            reason: None,
            message: None,
            pools: Vec::new(),
        };
    };
    let fresh_for = fresh_for_s(def.interval.as_secs() as i64);
    let shown: Vec<&SeriesBoard> =
        series.iter().filter(|s| s.last_slot.is_some_and(|slot| slot >= row.cleared_before)).collect();
    let is_fresh = |s: &SeriesBoard| s.last_slot.is_some_and(|slot| i64::from(slot) + fresh_for >= now);
    let word_of = |s: &SeriesBoard| match s.status {
        _ if def.suspended => StateWord::Paused,
        Some(status) if is_fresh(s) => StateWord::of(status),
        Some(_) | None => StateWord::Unknown,
    };
    let newest = shown.iter().max_by_key(|s| s.last_slot);
    let deciding = shown
        .iter()
        .filter(|s| word_of(s) != StateWord::Unknown)
        .max_by_key(|s| (word_of(s).severity(), std::cmp::Reverse(s.since)));
    let status = match deciding {
        _ if def.suspended => StateWord::Paused,
        Some(series) => word_of(series),
        None => StateWord::Unknown,
    };
    let reason = deciding.filter(|s| s.status.is_some_and(|s| s != Status::Ok) && !def.suspended).map(|s| s.reason);
    let check_time = |s: &SeriesBoard| s.last_slot.map(|slot| instant(slot, s.start_ms));
    let pools = shown
        .iter()
        .map(|s| PoolState {
            pool: names.pool(s.pool_id),
            status: word_of(s),
            since: s.status.map(|_| instant(s.since, 0)),
            last_check_time: check_time(s),
            value: s.value.map(millis),
            reason: s.status.filter(|status| *status != Status::Ok).map(|_| s.reason.as_str().to_owned()),
            runner: names.runner(s.runner_id),
        })
        .collect();
    MonitorState {
        status,
        since: deciding.filter(|_| !def.suspended).map(|s| instant(s.since, 0)),
        last_check_time: newest.and_then(|s| check_time(s)),
        last_value: deciding.or(newest).and_then(|s| s.value).map(millis),
        reason: reason.map(|reason| reason.as_str().to_owned()),
        message: reason.map(|reason| reason.sentence().to_owned()),
        pools,
    }
}

/// Labels that the writer of the row left in `meta`.
pub fn labels_of(row: &MonitorRow) -> BTreeMap<String, String> {
    let labels = row.meta.get("labels").and_then(Value::as_object);
    labels.into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// The whole view of a living monitor.
pub fn monitor_view(row: &MonitorRow, state: MonitorState) -> MonitorView {
    let reference = definition::reference_form(&row.name, &row.spec);
    MonitorView {
        id: row.id,
        name: reference.name,
        kind: reference.probe_type,
        interval: reference.interval,
        target: reference.target,
        rule: reference.rule,
        enabled: reference.enabled,
        group: reference.group,
        properties: reference.properties,
        updated: row.updated_at,
        created_at: row.created_at,
        namespace: row.namespace.clone(),
        object_name: row.name.clone(),
        labels: labels_of(row),
        spec: row.spec.clone(),
        state,
        managed_by: ManagedBy::of(row),
    }
}
