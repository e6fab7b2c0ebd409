//! The health of monitors over their pools, and their incidents.
//!
//! Lock order of the whole product: `heads`, then `monitor_states` by id, then `monitor_health` by id. Whoever changes the
//! confirmed status of a pool takes the lock of the monitor's health *after* that and reads all its pools in a *new*
//! statement: of two writers of two pools the second sees what the first has committed, so that exactly one of them opens or
//! closes the incident.

use std::collections::BTreeMap;

use futures::try_join;
use nanomon_core::{Reason, Status};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::Result;
use crate::results::ConfirmedChange;
use crate::results::status_of;
use crate::session::{Params, Session};
use crate::{MonitorId, SeriesId, Slot, Store};

/// Why an incident was closed. Numbers are stored: never renumber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub(crate) enum ClosedBy {
    /// Enough pools are OK again.
    Recovered = 1,
    /// The monitor was suspended, or has left all pools.
    Suspended = 2,
    /// The monitor was deleted.
    Deleted = 3,
}

/// The kind of incident that is known so far: enough pools are past their failure threshold.
const KIND_DOWN: i16 = 1;
/// How many pools must be down for an incident.
const MIN_POOLS: usize = 1;
/// A pool's result is fresh for two intervals and this much: flushing, taking over.
const FRESH_S: i64 = 30;

const MAKE: &str = "insert into monitor_health (monitor_id) select w.id from unnest($1::int4[]) w(id) \
    where not exists (select from monitor_health h where h.monitor_id = w.id) order by 1 on conflict do nothing";
const LOCK: &str = "select monitor_id from monitor_health where monitor_id = any($1) order by monitor_id for update";
const POOLS: &str = "select h.monitor_id, h.state, m.uid, t.series_id, t.confirmed, t.reason, t.last_slot, t.interval_ms, \
      i.opened \
    from monitor_health h join monitors m on m.id = h.monitor_id \
    join series s on s.monitor_id = h.monitor_id join monitor_states t on t.series_id = s.id and t.active \
    left join incidents i on i.monitor_id = h.monitor_id and i.kind = 1 and i.resolved is null \
    where h.monitor_id = any($1) order by h.monitor_id, t.series_id";

const HEALTH_SET: &str = "update monitor_health h set state = w.state, since = w.since, changed_at = clock_timestamp() \
    from unnest($1::int4[], $2::int2[], $3::int4[]) as w(monitor_id, state, since) where h.monitor_id = w.monitor_id";
const INCIDENTS_CLOSE: &str = "update incidents i set resolved = greatest(i.opened, w.resolved), closed_by = $3 \
    from unnest($1::int4[], $2::int4[]) as w(monitor_id, resolved) \
    where i.monitor_id = w.monitor_id and i.kind = 1 and i.resolved is null";
const INCIDENTS_OPEN: &str = "insert into incidents (key, monitor_id, kind, opened, resolved, reason, closed_by) \
    select w.key, w.monitor_id, 1, w.opened, w.resolved, w.reason, case when w.resolved is not null then $6::int2 end \
    from unnest($1::text[], $2::int4[], $3::int4[], $4::int4[], $5::int2[]) \
      as w(key, monitor_id, opened, resolved, reason) on conflict do nothing";

const END_INCIDENTS: &str = "update incidents set resolved = greatest(opened, $2), closed_by = $3 \
    where monitor_id = any($1) and resolved is null";
const END_HEALTH: &str = "update monitor_health set state = null, since = $2, changed_at = clock_timestamp() \
    where monitor_id = any($1) and state is not null";

// Monitors whose state is not what their fresh pools say: a pool's results stopped, or came back without a confirmed change.
// A pool with a runner that reports a backlog is not silent.
const SWEEP: &str = "select h.monitor_id from monitor_health h join series s on s.monitor_id = h.monitor_id \
    join monitor_states t on t.series_id = s.id and t.active \
    group by h.monitor_id, h.state \
    having max(t.confirmed) filter (where t.last_slot >= extract(epoch from clock_timestamp())::int8 \
        - t.interval_ms::int8 / 500 - 30) is distinct from h.state \
      and not bool_or(t.pool_id in (select r.pool_id from runners r where r.left_at is null and r.backlog_from is not null \
        and r.last_seen > clock_timestamp() - interval '10 seconds')) \
    order by h.monitor_id";

/// Makes the rows that are absent.
pub(crate) async fn make(session: &Session, monitors: &[MonitorId]) -> Result<()> {
    session.execute(MAKE, &[&monitors]).await?;
    Ok(())
}

/// Nothing is known of these monitors any more: closes their incidents.
pub(crate) async fn end(session: &Session, monitors: &[MonitorId], now: Slot, by: ClosedBy) -> Result<()> {
    if monitors.is_empty() {
        return Ok(());
    }
    session.query(LOCK, &[&monitors]).await?;
    session.execute(END_INCIDENTS, &[&monitors, &now, &(by as i16)]).await?;
    session.execute(END_HEALTH, &[&monitors, &now]).await?;
    Ok(())
}

/// Locks the health of these monitors, reads all their pools anew, and writes what follows. The caller's transaction has
/// written the states already. `changes` are its own, in any order; `now` is PostgreSQL's second.
pub(crate) async fn decide_and_write(
    session: &Session,
    monitors: &[MonitorId],
    changes: &[ConfirmedChange],
    now: Slot,
) -> Result<()> {
    if monitors.is_empty() {
        return Ok(());
    }
    let client = session.client();
    let [lock, pools] = session.prepare_all([LOCK, POOLS]).await?;
    let ids: Params<'_> = &[&monitors];
    let (_, rows) = session.run(async { try_join!(client.query(&lock, ids), client.query(&pools, ids)) }).await?;
    let mut writes = Writes::default();
    for pools in read_monitors(&rows)?.values_mut() {
        pools.decide(changes, now, &mut writes);
    }
    writes.write(session).await
}

/// One pool of a monitor.
#[derive(Debug, Clone, Copy)]
struct Pool {
    series_id: SeriesId,
    confirmed: Option<Status>,
    reason: Reason,
    last_slot: Option<Slot>,
    interval_ms: i32,
}

/// A monitor that runs, with its pools.
#[derive(Debug)]
struct Monitor {
    id: MonitorId,
    uid: Uuid,
    state: Option<Status>,
    opened: Option<Slot>,
    pools: Vec<Pool>,
}

fn read_monitors(rows: &[Row]) -> Result<BTreeMap<MonitorId, Monitor>> {
    let status = |row: &Row, at: usize| row.get::<_, Option<i16>>(at).map(status_of).transpose();
    let mut monitors = BTreeMap::new();
    for row in rows {
        let id: MonitorId = row.get(0);
        let monitor = monitors.entry(id).or_insert(Monitor {
            id,
            uid: row.get(2),
            state: status(row, 1)?,
            opened: row.get(8),
            pools: Vec::new(),
        });
        monitor.pools.push(Pool {
            series_id: row.get(3),
            confirmed: status(row, 4)?,
            reason: crate::results::reason_of(row.get(5)),
            last_slot: row.get(6),
            interval_ms: row.get(7),
        });
    }
    Ok(monitors)
}

impl Monitor {
    /// Replays this batch's confirmed changes over the pools as they were before it, so that what happened during an outage
    /// keeps its true times; then looks at the pools as they are.
    fn decide(&mut self, changes: &[ConfirmedChange], now: Slot, writes: &mut Writes) {
        let mut changes: Vec<&ConfirmedChange> = changes.iter().filter(|c| c.monitor_id == self.id).collect();
        changes.sort_by_key(|change| (change.transition.slot, change.series_id));
        let mut fresh: Vec<Pool> = self
            .pools
            .iter()
            .filter(|pool| pool.is_fresh(now) || changes.iter().any(|c| c.series_id == pool.series_id))
            .copied()
            .collect();
        for pool in &mut fresh {
            if let Some(first) = changes.iter().find(|change| change.series_id == pool.series_id) {
                pool.confirmed = first.transition.from;
            }
        }
        let (mut state, mut since) = (self.state, None);
        let mut opened = self.opened.map(|_| Opened::Before);
        for change in changes {
            for pool in fresh.iter_mut().filter(|pool| pool.series_id == change.series_id) {
                pool.confirmed = Some(change.transition.to);
                pool.reason = change.reason;
            }
            step(self, &fresh, change.transition.slot, &mut opened, writes);
            set_state(&fresh, change.transition.slot, &mut state, &mut since);
        }
        // Pools that went stale, came back or left change the state without a transition of this batch.
        let last = fresh.iter().filter_map(|pool| pool.last_slot).max().unwrap_or(now);
        step(self, &fresh, last, &mut opened, writes);
        set_state(&fresh, last, &mut state, &mut since);
        if let Some(Opened::Here { slot, reason }) = opened {
            writes.open(self, slot, None, reason);
        }
        if state != self.state {
            writes.set(self.id, state, since.unwrap_or(last));
        }
    }
}

/// An incident that is open at some point of the replay.
#[derive(Debug, Clone, Copy)]
enum Opened {
    /// Stored open.
    Before,
    /// Opened in this replay.
    Here { slot: Slot, reason: Reason },
}

impl Pool {
    fn is_fresh(&self, now: Slot) -> bool {
        let allowed = 2 * i64::from(self.interval_ms) / 1000 + FRESH_S;
        self.last_slot.is_some_and(|last| i64::from(now) - i64::from(last) <= allowed)
    }

    fn is_down(&self) -> bool {
        self.confirmed.is_some_and(|status| status != Status::Ok)
    }
}

fn set_state(pools: &[Pool], slot: Slot, state: &mut Option<Status>, since: &mut Option<Slot>) {
    let worst = pools.iter().filter_map(|pool| pool.confirmed).max();
    if worst != *state {
        *state = worst;
        *since = Some(slot);
    }
}

/// Opens or closes the incident as the pools demand.
fn step(monitor: &Monitor, pools: &[Pool], slot: Slot, opened: &mut Option<Opened>, writes: &mut Writes) {
    let mut down = pools.iter().filter(|pool| pool.is_down());
    let is_down = down.clone().count() >= MIN_POOLS;
    match *opened {
        None if is_down => {
            let reason = down.next_back().map_or(Reason::Internal, |pool| pool.reason);
            *opened = Some(Opened::Here { slot, reason });
        }
        // Silence is no recovery: while no pool is fresh the incident stays.
        Some(_) if !is_down && !pools.iter().any(|pool| pool.confirmed.is_some()) => {}
        Some(Opened::Before) if !is_down => {
            writes.close(monitor.id, slot);
            *opened = None;
        }
        Some(Opened::Here { slot: from, reason }) if !is_down => {
            writes.open(monitor, from, Some(slot), reason);
            *opened = None;
        }
        None | Some(_) => {}
    }
}

/// What is to be written, by column.
#[derive(Debug, Default)]
struct Writes {
    health: (Vec<MonitorId>, Vec<Option<i16>>, Vec<Slot>),
    closed: (Vec<MonitorId>, Vec<Slot>),
    keys: Vec<String>,
    opened: (Vec<MonitorId>, Vec<Slot>, Vec<Option<Slot>>, Vec<i16>),
}

impl Writes {
    fn set(&mut self, id: MonitorId, state: Option<Status>, since: Slot) {
        self.health.0.push(id);
        self.health.1.push(state.map(Status::code));
        self.health.2.push(since);
    }

    fn close(&mut self, id: MonitorId, slot: Slot) {
        self.closed.0.push(id);
        self.closed.1.push(slot);
    }

    fn open(&mut self, monitor: &Monitor, from: Slot, to: Option<Slot>, reason: Reason) {
        self.keys.push(format!("{}/{KIND_DOWN}/{from}", monitor.uid));
        self.opened.0.push(monitor.id);
        self.opened.1.push(from);
        self.opened.2.push(to);
        self.opened.3.push(reason.code());
    }

    /// Closing comes first: only one incident of a monitor is open at a time.
    async fn write(&self, session: &Session) -> Result<()> {
        let recovered = ClosedBy::Recovered as i16;
        if !self.health.0.is_empty() {
            session.execute(HEALTH_SET, &[&self.health.0, &self.health.1, &self.health.2]).await?;
        }
        if !self.closed.0.is_empty() {
            session.execute(INCIDENTS_CLOSE, &[&self.closed.0, &self.closed.1, &recovered]).await?;
        }
        if !self.keys.is_empty() {
            let (monitors, from, to, reasons) = &self.opened;
            session.execute(INCIDENTS_OPEN, &[&self.keys, monitors, from, to, reasons, &recovered]).await?;
        }
        Ok(())
    }
}

impl Store {
    /// Looks again at monitors of which a pool's results stopped or came back; answers how many there were. Called by the
    /// holder of the lease `dealer` every 5 s, once it has read successfully for a full timeout itself: after an outage
    /// everything looks silent.
    pub async fn health_sweep(&self) -> Result<usize> {
        let session = self.session("health_sweep").await?;
        let rows = session.query(SWEEP, &[]).await?;
        let monitors: Vec<MonitorId> = rows.iter().map(|row| row.get(0)).collect();
        for chunk in monitors.chunks(500) {
            session.begin().await?;
            let now: Slot =
                session.query_one("select floor(extract(epoch from clock_timestamp()))::int4", &[]).await?.get(0);
            decide_and_write(&session, chunk, &[], now).await?;
            session.commit().await?;
        }
        drop(session);
        if !monitors.is_empty() {
            self.notify(crate::notify::Channel::States).await;
        }
        Ok(monitors.len())
    }
}
