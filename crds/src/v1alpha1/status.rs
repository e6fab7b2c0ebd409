//! `Monitor.status`: a summary that people and tools read. Its only writer is the operator.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What the operator says about a Monitor. Results are not in here; transitions are.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MonitorStatus {
    /// The generation that the operator has judged; -1 before the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The generation that runs. It lags behind while the newest one is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_generation: Option<i64>,

    /// Accepted, Scheduled, Ready, Healthy, and Stalled or Stale while they apply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// The target's state: the worst among the pools with a fresh result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<TargetState>,

    /// When the state began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,

    /// http, tcp, ping or dns.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub probe_type: Option<String>,

    /// The target as it may be shown: the values of a URL's query are cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub target: Option<String>,

    /// When the target was last probed; refreshed at leisure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_check_time: Option<Time>,

    /// The last value in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub last_value: Option<String>,

    /// Why the last run was not OK, one word of a bounded list; absent while it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub failure_reason: Option<String>,

    /// The monitor's number in the REST API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<i64>,

    /// The newest token of the annotation nanomon.io/run-now for which a run was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub last_run_request: Option<String>,

    /// The state as each pool sees it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub pools: Vec<PoolState>,
}

/// The target's state as one runner pool sees it.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolState {
    /// The pool's name.
    #[schemars(length(max = 63))]
    pub name: String,

    /// What this pool found last.
    pub state: TargetState,

    /// When that began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,

    /// Why the last run was not OK.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub failure_reason: Option<String>,
}

/// A target's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[expect(missing_docs, reason = "a doc comment would reorder the schema's list; the words are those of the results")]
pub enum TargetState {
    #[serde(rename = "OK")]
    Ok,
    Error,
    Failed,
    Unknown,
}

impl TargetState {
    /// The word in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Error => "Error",
            Self::Failed => "Failed",
            Self::Unknown => "Unknown",
        }
    }
}
