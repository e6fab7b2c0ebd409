//! Run now and drafts as the API shows them.

use nanomon_core::{Reason, Status};
use nanomon_sql::probe_requests::{ProbeRequestRow, RequestState};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// A run that was asked for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProbeRequest)]
pub struct ProbeRequestView {
    /// Unguessable.
    pub id: Uuid,
    /// Where it stands.
    pub state: ProbeRequestState,
    /// What the run found, once it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub result: Option<ProbeResultView>,
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProbeRequestState {
    /// No runner has it yet.
    Pending,
    /// A runner has it.
    Running,
    /// It has a result.
    Done,
    /// No runner took it within 30 s.
    Expired,
}

/// What a run found.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ProbeResult)]
pub struct ProbeResultView {
    /// 0 OK, 1 Error, 2 Failed.
    #[schema(minimum = 0, maximum = 2)]
    pub status: i64,
    /// Milliseconds; 0 if there was no answer.
    pub value: f64,
    /// Why it is not OK, as a stable word.
    pub reason: Option<String>,
    /// Why it is not OK, as a sentence; empty if it is.
    pub message: String,
    /// What was measured: names to numbers and texts.
    #[schema(value_type = std::collections::BTreeMap<String, super::result::OutputView>)]
    pub outputs: Value,
    /// How long the run took, in milliseconds.
    pub duration_ms: f64,
    /// The runner's name.
    pub runner: Option<String>,
}

/// The view of a stored request.
pub fn probe_view(row: &ProbeRequestRow, runner: Option<String>) -> ProbeRequestView {
    let state = match row.state {
        RequestState::Pending => ProbeRequestState::Pending,
        RequestState::Running => ProbeRequestState::Running,
        RequestState::Done => ProbeRequestState::Done,
        RequestState::Expired => ProbeRequestState::Expired,
    };
    let result = row.result.as_ref().map(|stored| {
        let number = |field: &str| stored.get(field).and_then(Value::as_f64);
        let reason =
            stored.get("reason").and_then(Value::as_str).and_then(Reason::from_word).filter(|r| *r != Reason::Ok);
        // A run that could not even be begun has a sentence instead of an outcome.
        let error = stored.get("error").and_then(Value::as_str).unwrap_or_default();
        ProbeResultView {
            status: stored.get("status").and_then(Value::as_i64).unwrap_or_else(|| Status::Failed.code().into()),
            value: number("value").unwrap_or(0.0),
            reason: reason.map(|reason| reason.as_str().to_owned()),
            message: reason.map_or(error, |reason| reason.sentence()).to_owned(),
            outputs: stored
                .get("outputs")
                .filter(|v| v.is_object())
                .cloned()
                .unwrap_or_else(|| Value::Object(serde_json::Map::new())),
            duration_ms: number("durationMs").unwrap_or(0.0),
            runner,
        }
    });
    ProbeRequestView { id: row.id, state, result }
}
