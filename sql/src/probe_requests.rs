//! Run now and drafts: rows asked for by the API or operator, executed by a runner of the pool.

use serde_json::Value;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::{Result, StoreError};
use crate::notify::Channel;
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

// One at a time: the limits are counted under this lock, which ends with the transaction.
const LIMIT_LOCK: &str = "select pg_advisory_xact_lock(7307493, 1)";

const CREATE: &str = "insert into probe_requests (monitor_id, def, namespace, pool_id, requester) \
    select $1, $2, $3, $4, $5 \
    where (select count(*) from probe_requests where state = 0 and expires_at > clock_timestamp()) < 100 \
      and ($1::int4 is not null or ( \
        not exists (select from probe_requests where created_at > clock_timestamp() - interval '1 minute' \
          and requester = $5 and monitor_id is null and (state = 1 or (state = 0 and expires_at > clock_timestamp()))) \
        and (select count(*) from probe_requests where created_at > clock_timestamp() - interval '1 minute' \
          and requester = $5 and monitor_id is null) < 10)) \
    returning id";

// A request that nobody took in time, or whose runner vanished, has expired.
const COLUMNS: &str = "id, monitor_id, def, namespace, pool_id, requester, \
    case when state = 0 and expires_at <= clock_timestamp() then 3 \
      when state = 1 and claimed_at < clock_timestamp() - interval '2 minutes' then 3 else state end, \
    result, runner_id";

impl Store {
    /// Makes a request that expires after 30 s and notifies `probe_requests`. Drafts are limited: 1 at a time and 10 a minute per
    /// requester; 100 requests may wait in all; `Ok(None)` if over the limit.
    pub async fn probe_request_create(&self, new: &NewProbeRequest) -> Result<Option<Uuid>> {
        let NewProbeRequest { monitor_id, def, namespace, pool_id, requester } = new;
        let session = self.session("probe_request_create").await?;
        session.begin().await?;
        session.query(LIMIT_LOCK, &[]).await?;
        let row = session.query_opt(CREATE, &[monitor_id, def, namespace, pool_id, requester]).await?;
        session.commit().await?;
        drop(session);
        if row.is_some() {
            self.notify(Channel::ProbeRequests).await;
        }
        Ok(row.map(|row| row.get(0)))
    }

    /// Takes up to `max` pending requests of the pool for this runner (skip locked).
    pub async fn probe_request_claim(&self, pool: PoolId, runner: RunnerId, max: i64) -> Result<Vec<ProbeRequestRow>> {
        let session = self.session("probe_request_claim").await?;
        let sql = format!(
            "update probe_requests set state = 1, runner_id = $2, claimed_at = clock_timestamp() \
             where id in (select id from probe_requests where pool_id = $1 and state = 0 \
               and expires_at > clock_timestamp() order by created_at limit $3 for update skip locked) \
             returning {COLUMNS}"
        );
        session.query(&sql, &[&pool, &runner, &max]).await?.iter().map(request_row).collect()
    }

    /// Stores the outcome and notifies. The first outcome stands.
    pub async fn probe_request_complete(&self, id: Uuid, result: &Value) -> Result<()> {
        let session = self.session("probe_request_complete").await?;
        let sql = "update probe_requests set state = 2, result = $2, done_at = clock_timestamp() \
            where id = $1 and state <> 2";
        session.execute(sql, &[&id, result]).await?;
        drop(session);
        self.notify(Channel::ProbeRequests).await;
        Ok(())
    }

    /// Reads one.
    pub async fn probe_request_get(&self, id: Uuid) -> Result<Option<ProbeRequestRow>> {
        let session = self.session("probe_request_get").await?;
        let sql = format!("select {COLUMNS} from probe_requests where id = $1");
        session.query_opt(&sql, &[&id]).await?.as_ref().map(request_row).transpose()
    }
}

fn request_row(row: &Row) -> Result<ProbeRequestRow> {
    let state = match row.get::<_, i32>(6) {
        0 => RequestState::Pending,
        1 => RequestState::Running,
        2 => RequestState::Done,
        3 => RequestState::Expired,
        other => return Err(StoreError::Schema(format!("a probe request has the unknown state {other}"))),
    };
    Ok(ProbeRequestRow {
        id: row.get(0),
        monitor_id: row.get(1),
        def: row.get(2),
        namespace: row.get(3),
        pool_id: row.get(4),
        requester: row.get(5),
        state,
        result: row.get(7),
        runner_id: row.get(8),
    })
}
