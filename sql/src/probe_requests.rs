//! Run now and drafts: rows asked for by the API or operator, executed by a runner of the pool.

use serde_json::Value;
use uuid::Uuid;

use crate::error::Result;
use crate::{MonitorId, PoolId, RunnerId, Store};

/// A request to be made.
#[derive(Debug, Clone)]
pub struct NewProbeRequest {
    /// The monitor to run; `None` for a draft.
    pub monitor_id: Option<MonitorId>,
    /// The draft's definition as JSON of `MonitorDef`; `None` for a run now (the stored definition is used).
    pub def: Option<Value>,
    /// Namespace whose rights and name rules apply.
    pub namespace: String,
    /// The pool that runs it.
    pub pool_id: PoolId,
    /// Who asked.
    pub requester: String,
}

/// A request as stored.
#[derive(Debug, Clone)]
pub struct ProbeRequestRow {
    /// Unguessable.
    pub id: Uuid,
    /// See [`NewProbeRequest`].
    pub monitor_id: Option<MonitorId>,
    /// See [`NewProbeRequest`].
    pub def: Option<Value>,
    /// See [`NewProbeRequest`].
    pub namespace: String,
    /// See [`NewProbeRequest`].
    pub pool_id: PoolId,
    /// Who asked.
    pub requester: String,
    /// Where it stands.
    pub state: RequestState,
    /// `{status, value, reason, outputs, durationMs}` once done.
    pub result: Option<Value>,
    /// Who ran it.
    pub runner_id: Option<RunnerId>,
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestState {
    /// Nobody has it yet.
    Pending,
    /// A runner has it.
    Running,
    /// It has a result.
    Done,
    /// Nobody ran it within 30 s.
    Expired,
}

impl Store {
    /// Makes a request that expires after 30 s and notifies `probe_requests`. Drafts are limited: 1 at a time and 10 a minute per
    /// requester, 100 waiting in all; `Ok(None)` if over the limit.
    pub async fn probe_request_create(&self, _new: &NewProbeRequest) -> Result<Option<Uuid>> {
        todo!()
    }

    /// Takes up to `max` pending requests of the pool for this runner (skip locked).
    pub async fn probe_request_claim(
        &self,
        _pool: PoolId,
        _runner: RunnerId,
        _max: i64,
    ) -> Result<Vec<ProbeRequestRow>> {
        todo!()
    }

    /// Stores the outcome and notifies.
    pub async fn probe_request_complete(&self, _id: Uuid, _result: &Value) -> Result<()> {
        todo!()
    }

    /// Reads one.
    pub async fn probe_request_get(&self, _id: Uuid) -> Result<Option<ProbeRequestRow>> {
        todo!()
    }
}
