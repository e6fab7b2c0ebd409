//! Writing definitions: a batch is one transaction and one revision, with a constant number of statements.

use std::collections::{BTreeSet, HashMap, HashSet};

use nanomon_core::slot;
use serde_json::Value;
use tokio_postgres::Row;
use uuid::Uuid;

use super::hash::{activation_hash, content_hash, spec_hash};
use super::{Change, MonitorWrite, Written, series_sync};
use crate::error::{Result, StoreError};
use crate::health::ClosedBy;
use crate::notify::Channel;
use crate::session::Session;
use crate::{MonitorId, PoolId, Revision, Slot, Store};

/// Most definitions in one transaction.
pub const BATCH_MAX: usize = 500;

const EXISTING: &str = "select m.id, m.namespace, m.name, m.uid, m.source, m.generation, m.rev, m.activated_at, \
      m.suspended, m.tombstoned_at is not null, m.content_hash, m.activation_hash \
    from unnest($2::text[], $3::text[]) as w(namespace, name) \
    join monitors m on m.installation = $1 and m.namespace = w.namespace and m.name = w.name";

const HEADS_LOCK: &str = "select catalog_rev, operator_epoch from heads for update";
const HEADS_SET: &str = "update heads set catalog_rev = $1";
const NOW: &str = "select floor(extract(epoch from clock_timestamp()))::int4";

// An id counts as drawn if the sequence has handed it out; ids that are in use are found by the key.
const IDS: &str = "select (select last_value from monitor_ids where is_called), \
    array(select id from monitors where id = any($1))";
const IDS_DRAW: &str = "select nextval('monitor_ids')::int4 from generate_series(1, $1)";

const POOLS_ADD: &str = "insert into pools (name) select w.name from unnest($1::text[]) w(name) \
    where not exists (select from pools p where p.name = w.name) on conflict do nothing";
const POOLS: &str = "select name, id from pools where name = any($1)";

const UPSERT: &str = "insert into monitors (id, installation, rev, uid, namespace, name, display_name, source, grp, type, \
      target, interval_ms, suspended, bucket, activated_at, generation, spec, def, meta, spec_hash, content_hash, \
      activation_hash) \
    select w.id, $1, $2, w.uid, w.namespace, w.name, w.display_name, w.source, w.grp, w.type, w.target, w.interval_ms, \
      w.suspended, w.bucket, w.activated_at, w.generation, w.spec, w.def, w.meta, w.spec_hash, w.content_hash, \
      w.activation_hash \
    from unnest($3::int4[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::int2[], \
      $11::text[], $12::int4[], $13::bool[], $14::int2[], $15::int4[], $16::int8[], $17::jsonb[], $18::jsonb[], \
      $19::jsonb[], $20::bytea[], $21::bytea[], $22::bytea[]) \
      as w(id, uid, namespace, name, display_name, source, grp, type, target, interval_ms, suspended, bucket, \
        activated_at, generation, spec, def, meta, spec_hash, content_hash, activation_hash) \
    on conflict (id) do update set rev = excluded.rev, uid = excluded.uid, display_name = excluded.display_name, \
      source = excluded.source, grp = excluded.grp, type = excluded.type, target = excluded.target, \
      interval_ms = excluded.interval_ms, suspended = excluded.suspended, bucket = excluded.bucket, \
      activated_at = excluded.activated_at, generation = excluded.generation, spec = excluded.spec, def = excluded.def, \
      meta = excluded.meta, spec_hash = excluded.spec_hash, content_hash = excluded.content_hash, \
      activation_hash = excluded.activation_hash, updated_at = clock_timestamp(), tombstoned_at = null";

// Not by "on conflict": that would burn an id for each series that is there already.
const SERIES_ADD: &str = "insert into series (monitor_id, pool_id) \
    select w.monitor_id, w.pool_id from unnest($1::int4[], $2::int2[]) as w(monitor_id, pool_id) \
    where not exists (select from series s where s.monitor_id = w.monitor_id and s.pool_id = w.pool_id) order by 1, 2";
const SERIES_RETIRE: &str = "update series s set retired_at = case when x.wanted then null else now() end \
    from (select s.id, w.pool_id is not null as wanted from series s \
      left join unnest($2::int4[], $3::int2[]) as w(monitor_id, pool_id) on w.monitor_id = s.monitor_id \
        and w.pool_id = s.pool_id \
      where s.monitor_id = any($1)) x \
    where s.id = x.id and (s.retired_at is null) <> x.wanted";

const TOMBSTONE: &str = "update monitors set tombstoned_at = clock_timestamp(), rev = $3 \
    where installation = $1 and id = any($2) and tombstoned_at is null returning id";

/// The catalog while a writer holds it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Catalog {
    /// The revision of this change.
    pub rev: Revision,
    /// PostgreSQL's whole second, read under the lock.
    pub now: Slot,
}

/// Begins a change of definitions: locks `heads`, checks the fence.
pub(crate) async fn catalog_begin(session: &Session, fence: Option<i64>) -> Result<Catalog> {
    session.begin().await?;
    let row = session.query_one(HEADS_LOCK, &[]).await?;
    let (rev, epoch): (Revision, i64) = (row.get(0), row.get(1));
    if fence.is_some_and(|fence| fence != epoch) {
        session.rollback().await?;
        return Err(StoreError::Fenced);
    }
    let now: Slot = session.query_one(NOW, &[]).await?.get(0);
    Ok(Catalog { rev: rev + 1, now })
}

/// Ends it: the revision counts from the commit on.
pub(crate) async fn catalog_end(session: &Session, catalog: Catalog) -> Result<()> {
    session.execute(HEADS_SET, &[&catalog.rev]).await?;
    session.commit().await
}

/// What is compared of a stored row.
#[derive(Debug)]
struct Existing {
    id: MonitorId,
    uid: Uuid,
    source: String,
    generation: i64,
    rev: Revision,
    activated_at: Slot,
    suspended: bool,
    tombstoned: bool,
    content_hash: Vec<u8>,
    activation_hash: Vec<u8>,
}

type ByName<T> = HashMap<(String, String), T>;

/// A definition with everything that is computed from it.
#[derive(Debug)]
struct Prepared<'a> {
    write: &'a MonitorWrite,
    def: Value,
    spec_hash: Vec<u8>,
    content_hash: Vec<u8>,
    activation_hash: Vec<u8>,
}

impl<'a> Prepared<'a> {
    fn new(write: &'a MonitorWrite) -> Result<Self> {
        let def = serde_json::to_value(&write.def).map_err(|error| StoreError::Data(Box::new(error)))?;
        Ok(Self {
            spec_hash: spec_hash(&write.spec),
            content_hash: content_hash(&write.spec, &def, &write.meta),
            activation_hash: activation_hash(&write.def),
            def,
            write,
        })
    }

    fn is_stored_as(&self, old: &Existing) -> bool {
        let Existing { uid, source, generation, tombstoned, content_hash, .. } = old;
        !tombstoned
            && *uid == self.write.uid
            && source == self.write.source.as_str()
            && *generation == self.write.generation
            && *content_hash == self.content_hash
    }

    fn activated_at(&self, old: Option<&Existing>, now: Slot) -> Slot {
        let Some(old) = old else { return self.free_key(now) };
        let resumed = old.suspended && !self.write.def.suspended;
        let same = !old.tombstoned && old.uid == self.write.uid && old.activation_hash == self.activation_hash;
        if same && !resumed {
            return old.activated_at;
        }
        // Two activations within a second need two keys for their initial runs.
        self.free_key(now.max(old.activated_at.saturating_add(1).min(now.saturating_add(3))))
    }

    /// A second for the initial run that no slot of the schedule has: the form before may have run that one already.
    fn free_key(&self, from: Slot) -> Slot {
        let interval_ms = u32::try_from(self.write.def.interval.as_millis()).unwrap_or(u32::MAX).max(1_000);
        slot::Schedule::new(slot::hash(self.write.uid.as_bytes()), interval_ms).free_key(from)
    }
}

impl Store {
    /// Draws an id for a monitor to be made.
    pub async fn monitor_id_draw(&self) -> Result<MonitorId> {
        let session = self.session("monitor_id_draw").await?;
        Ok(session.query_one("select nextval('monitor_ids')::int4", &[]).await?.get(0))
    }

    /// Writes up to 500 definitions of one installation in one transaction and one revision; unchanged ones cost nothing and
    /// take no revision. Makes series, states and schedule rows; a changed activation sets `activated_at`. `fence`: the
    /// operator's epoch. Answers in the order of `writes`; of several with the same name the last is written. Notifies
    /// `monitors_changed` after the commit.
    pub async fn monitor_write_batch(
        &self,
        installation: &str,
        fence: Option<i64>,
        writes: &[MonitorWrite],
    ) -> Result<Vec<Written>> {
        if writes.len() > BATCH_MAX {
            return Err(StoreError::Statement(format!("at most {BATCH_MAX} definitions in a batch").into()));
        }
        let mut last: HashMap<(&str, &str), usize> = HashMap::new();
        for (index, write) in writes.iter().enumerate() {
            last.insert((&write.namespace, &write.name), index);
        }
        let mut chosen: Vec<usize> = last.values().copied().collect();
        chosen.sort_unstable();
        let prepared: Vec<Prepared<'_>> =
            chosen.iter().map(|&index| Prepared::new(&writes[index])).collect::<Result<_>>()?;
        let session = self.session("monitor_write_batch").await?;
        // Without a lock first: a restart finds thousands of unchanged rows.
        let existing = read_existing(&session, installation, &prepared).await?;
        let unchanged = |p: &Prepared<'_>| existing.get(&key(p.write)).is_some_and(|old| p.is_stored_as(old));
        let written = if prepared.iter().all(unchanged) {
            prepared.iter().filter_map(|p| existing.get(&key(p.write))).map(unchanged_row).collect()
        } else {
            let written = write_changed(&session, installation, fence, &prepared).await?;
            drop(session);
            if written.iter().any(|w| w.change != Change::Unchanged) {
                self.notify(Channel::Monitors).await;
            }
            written
        };
        let by_index: HashMap<usize, Written> = chosen.into_iter().zip(written).collect();
        Ok(writes.iter().map(|write| by_index[&last[&(write.namespace.as_str(), write.name.as_str())]]).collect())
    }

    /// Tombstones these monitors (unknown or tombstoned ids are ignored), at most 500 in one transaction; answers how many
    /// were living. Notifies `monitors_changed` after each commit.
    pub async fn monitor_tombstone_batch(
        &self,
        installation: &str,
        fence: Option<i64>,
        ids: &[MonitorId],
    ) -> Result<u64> {
        let mut gone = 0;
        for chunk in ids.chunks(BATCH_MAX) {
            gone += self.tombstone_chunk(installation, fence, chunk).await?;
        }
        Ok(gone)
    }

    async fn tombstone_chunk(&self, installation: &str, fence: Option<i64>, ids: &[MonitorId]) -> Result<u64> {
        let session = self.session("monitor_tombstone_batch").await?;
        let catalog = catalog_begin(&session, fence).await?;
        let rows = session.query(TOMBSTONE, &[&installation, &ids, &catalog.rev]).await?;
        let gone: Vec<MonitorId> = rows.iter().map(|row| row.get(0)).collect();
        if gone.is_empty() {
            session.rollback().await?;
            return Ok(0);
        }
        series_sync(&session, &gone, catalog.now, ClosedBy::Deleted).await?;
        catalog_end(&session, catalog).await?;
        drop(session);
        self.notify(Channel::Monitors).await;
        Ok(gone.len() as u64)
    }

    /// The pools that exist, by id. `default` always does.
    pub async fn pool_list(&self) -> Result<Vec<super::PoolRow>> {
        let session = self.session("pool_list").await?;
        let rows = session.query("select id, name from pools order by id", &[]).await?;
        Ok(rows.iter().map(|row| super::PoolRow { id: row.get(0), name: row.get(1) }).collect())
    }

    /// The pool of this name, made if absent.
    pub async fn pool_ensure(&self, name: &str) -> Result<PoolId> {
        let session = self.session("pool_ensure").await?;
        let pools = pools_ensure(&session, &[name]).await?;
        pools.get(name).copied().ok_or_else(|| StoreError::Retry("the pool was removed meanwhile".into()))
    }
}

fn key(write: &MonitorWrite) -> (String, String) {
    (write.namespace.clone(), write.name.clone())
}

fn unchanged_row(old: &Existing) -> Written {
    Written { id: old.id, change: Change::Unchanged, rev: old.rev }
}

async fn read_existing(session: &Session, installation: &str, prepared: &[Prepared<'_>]) -> Result<ByName<Existing>> {
    let namespaces: Vec<&str> = prepared.iter().map(|p| p.write.namespace.as_str()).collect();
    let names: Vec<&str> = prepared.iter().map(|p| p.write.name.as_str()).collect();
    let rows = session.query(EXISTING, &[&installation, &namespaces, &names]).await?;
    Ok(rows.iter().map(|row| ((row.get(1), row.get(2)), existing_row(row))).collect())
}

fn existing_row(row: &Row) -> Existing {
    Existing {
        id: row.get(0),
        uid: row.get(3),
        source: row.get(4),
        generation: row.get(5),
        rev: row.get(6),
        activated_at: row.get(7),
        suspended: row.get(8),
        tombstoned: row.get(9),
        content_hash: row.get(10),
        activation_hash: row.get(11),
    }
}

/// The transaction. Answers in the order of `prepared`.
async fn write_changed(
    session: &Session,
    installation: &str,
    fence: Option<i64>,
    prepared: &[Prepared<'_>],
) -> Result<Vec<Written>> {
    let catalog = catalog_begin(session, fence).await?;
    let existing = read_existing(session, installation, prepared).await?;
    let mut fresh = fresh_ids(session, prepared, &existing).await?.into_iter();
    let mut columns = Columns::default();
    let mut written = Vec::with_capacity(prepared.len());
    for p in prepared {
        let old = existing.get(&key(p.write));
        let (id, change) = match old {
            Some(old) if p.is_stored_as(old) => {
                written.push(unchanged_row(old));
                continue;
            }
            Some(old) if old.tombstoned => (old.id, Change::Revived),
            Some(old) => (old.id, Change::Updated),
            None => {
                let id = fresh.next().ok_or_else(|| StoreError::Statement("too few ids were drawn".into()))?;
                (id, Change::Created)
            }
        };
        columns.push(id, p, p.activated_at(old, catalog.now));
        written.push(Written { id, change, rev: catalog.rev });
    }
    if columns.ids.is_empty() {
        session.rollback().await?;
        return Ok(written);
    }
    columns.write(session, installation, catalog.rev).await?;
    write_series(session, &columns).await?;
    series_sync(session, &columns.ids, catalog.now, ClosedBy::Suspended).await?;
    catalog_end(session, catalog).await?;
    Ok(written)
}

/// An id for each definition that has no row yet: the one drawn before if it may be used, else a new one.
async fn fresh_ids(
    session: &Session,
    prepared: &[Prepared<'_>],
    existing: &ByName<Existing>,
) -> Result<Vec<MonitorId>> {
    let wanted: Vec<Option<MonitorId>> =
        prepared.iter().filter(|p| !existing.contains_key(&key(p.write))).map(|p| p.write.id).collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let named: Vec<MonitorId> = wanted.iter().copied().flatten().collect();
    let row = session.query_one(IDS, &[&named]).await?;
    let drawn: i64 = row.get::<_, Option<i64>>(0).unwrap_or(0);
    let mut used: HashSet<MonitorId> = row.get::<_, Vec<MonitorId>>(1).into_iter().collect();
    let mut usable = |id: MonitorId| id > 0 && i64::from(id) <= drawn && used.insert(id);
    let chosen: Vec<Option<MonitorId>> = wanted.into_iter().map(|id| id.filter(|&id| usable(id))).collect();
    let missing = chosen.iter().filter(|id| id.is_none()).count() as i32;
    let mut drawn = session.query(IDS_DRAW, &[&missing]).await?.into_iter().map(|row| row.get(0));
    Ok(chosen.into_iter().filter_map(|id| id.or_else(|| drawn.next())).collect())
}

async fn pools_ensure(session: &Session, names: &[&str]) -> Result<HashMap<String, PoolId>> {
    let read = async || -> Result<HashMap<String, PoolId>> {
        let rows = session.query(POOLS, &[&names]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    };
    let pools = read().await?;
    if names.iter().all(|&name| pools.contains_key(name)) {
        return Ok(pools);
    }
    session.execute(POOLS_ADD, &[&names]).await?;
    read().await
}

async fn write_series(session: &Session, columns: &Columns<'_>) -> Result<()> {
    let names: BTreeSet<&str> = columns.pools.iter().flat_map(|pools| pools.iter().map(String::as_str)).collect();
    let pools = pools_ensure(session, &names.into_iter().collect::<Vec<_>>()).await?;
    let (mut monitors, mut pool_ids) = (Vec::new(), Vec::new());
    for (&id, names) in columns.ids.iter().zip(&columns.pools) {
        for pool in names.iter().filter_map(|name| pools.get(name)) {
            monitors.push(id);
            pool_ids.push(*pool);
        }
    }
    session.execute(SERIES_ADD, &[&monitors, &pool_ids]).await?;
    session.execute(SERIES_RETIRE, &[&columns.ids, &monitors, &pool_ids]).await?;
    Ok(())
}

/// The rows to be written, by column.
#[derive(Debug, Default)]
struct Columns<'a> {
    ids: Vec<MonitorId>,
    uids: Vec<Uuid>,
    namespaces: Vec<&'a str>,
    names: Vec<&'a str>,
    display_names: Vec<&'a str>,
    sources: Vec<&'a str>,
    groups: Vec<&'a str>,
    types: Vec<i16>,
    targets: Vec<String>,
    intervals: Vec<i32>,
    suspended: Vec<bool>,
    buckets: Vec<i16>,
    activated: Vec<Slot>,
    generations: Vec<i64>,
    specs: Vec<&'a Value>,
    defs: Vec<&'a Value>,
    metas: Vec<&'a Value>,
    spec_hashes: Vec<&'a [u8]>,
    content_hashes: Vec<&'a [u8]>,
    activation_hashes: Vec<&'a [u8]>,
    pools: Vec<&'a [String]>,
}

impl<'a> Columns<'a> {
    fn push(&mut self, id: MonitorId, p: &'a Prepared<'a>, activated_at: Slot) {
        let MonitorWrite { id: _, uid, namespace, name, source, spec, def, generation, meta } = p.write;
        self.ids.push(id);
        self.uids.push(*uid);
        self.namespaces.push(namespace);
        self.names.push(name);
        self.display_names.push(&def.display_name);
        self.sources.push(source.as_str());
        self.groups.push(&def.group);
        self.types.push(def.probe_type().code());
        self.targets.push(def.target.address());
        self.intervals.push(def.interval.as_millis() as i32);
        self.suspended.push(def.suspended);
        self.buckets.push(slot::bucket(slot::hash(uid.as_bytes())) as i16);
        self.activated.push(activated_at);
        self.generations.push(*generation);
        self.specs.push(spec);
        self.defs.push(&p.def);
        self.metas.push(meta);
        self.spec_hashes.push(&p.spec_hash);
        self.content_hashes.push(&p.content_hash);
        self.activation_hashes.push(&p.activation_hash);
        self.pools.push(&def.pools);
    }

    async fn write(&self, session: &Session, installation: &str, rev: Revision) -> Result<()> {
        session
            .execute(
                UPSERT,
                &[
                    &installation,
                    &rev,
                    &self.ids,
                    &self.uids,
                    &self.namespaces,
                    &self.names,
                    &self.display_names,
                    &self.sources,
                    &self.groups,
                    &self.types,
                    &self.targets,
                    &self.intervals,
                    &self.suspended,
                    &self.buckets,
                    &self.activated,
                    &self.generations,
                    &self.specs,
                    &self.defs,
                    &self.metas,
                    &self.spec_hashes,
                    &self.content_hashes,
                    &self.activation_hashes,
                ],
            )
            .await?;
        Ok(())
    }
}
