//! Reading definitions.

use nanomon_core::MonitorDef;
use serde_json::Value;
use tokio_postgres::Row;

use super::{CatalogChanges, MonitorDigest, MonitorFilter, MonitorRow, SeriesRef, Source};
use crate::error::{Result, StoreError};
use crate::{MonitorId, PoolId, Revision, SeriesId, Store};

const COLUMNS: &str = "m.id, m.uid, m.installation, m.namespace, m.name, m.source, m.spec, m.meta, m.def, m.generation, \
    m.activated_at, m.bucket, m.rev, m.cleared_before, m.tombstoned_at is not null, m.updated_at, m.created_at, \
    x.ids, x.pools";

const SERIES: &str = "left join lateral (select array_agg(s.id order by s.pool_id) as ids, \
      array_agg(s.pool_id order by s.pool_id) as pools \
    from series s where s.monitor_id = m.id and s.retired_at is null) x on true";

impl Store {
    /// A living monitor.
    pub async fn monitor_get(&self, id: MonitorId) -> Result<Option<MonitorRow>> {
        let session = self.session("monitor_get").await?;
        let sql = format!("select {COLUMNS} from monitors m {SERIES} where m.id = $1 and m.tombstoned_at is null");
        session.query_opt(&sql, &[&id]).await?.as_ref().map(|row| monitor_row(row, 0)).transpose()
    }

    /// A living monitor by its object name.
    pub async fn monitor_get_by_name(
        &self,
        installation: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<MonitorRow>> {
        let session = self.session("monitor_get_by_name").await?;
        let sql = format!(
            "select {COLUMNS} from monitors m {SERIES} \
             where m.installation = $1 and m.namespace = $2 and m.name = $3 and m.tombstoned_at is null"
        );
        let row = session.query_opt(&sql, &[&installation, &namespace, &name]).await?;
        row.as_ref().map(|row| monitor_row(row, 0)).transpose()
    }

    /// Living monitors, ordered by id.
    pub async fn monitor_list(&self, filter: &MonitorFilter) -> Result<Vec<MonitorRow>> {
        let MonitorFilter { namespaces, group, probe, search } = filter;
        let probe = probe.map(nanomon_core::ProbeType::code);
        let session = self.session("monitor_list").await?;
        let sql = format!(
            "select {COLUMNS} from monitors m {SERIES} where m.tombstoned_at is null \
               and ($1::text[] is null or m.namespace = any($1)) and ($2::text is null or m.grp = $2) \
               and ($3::int2 is null or m.type = $3) \
               and ($4::text is null or strpos(lower(m.name), lower($4)) > 0 \
                 or strpos(lower(m.display_name), lower($4)) > 0 or strpos(lower(m.target), lower($4)) > 0) \
             order by m.id"
        );
        let rows = session.query(&sql, &[namespaces, group, &probe, search]).await?;
        rows.iter().map(|row| monitor_row(row, 0)).collect()
    }

    /// Everything that changed after `since`, tombstones included, in revision order; with `buckets` only of those shards
    /// (of any pool). `since` 0 reads all living ones.
    pub async fn catalog_changes(&self, since: Revision, buckets: Option<&[i16]>) -> Result<CatalogChanges> {
        let session = self.session("catalog_changes").await?;
        // One statement, one snapshot: what it returns is complete up to the revision that it reads.
        let sql = format!(
            "select h.catalog_rev, {COLUMNS} from heads h left join monitors m on m.rev > $1 \
               and ($1 > 0 or m.tombstoned_at is null) and ($2::int2[] is null or m.bucket = any($2)) \
             {SERIES} order by m.rev, m.id"
        );
        let rows = session.query(&sql, &[&since, &buckets]).await?;
        let rev = rows.first().map_or(since, |row| row.get(0));
        let found = rows.iter().filter(|row| row.get::<_, Option<MonitorId>>(1).is_some());
        Ok(CatalogChanges { rev, monitors: found.map(|row| monitor_row(row, 1)).collect::<Result<_>>()? })
    }

    /// (id, rev) of all living monitors: the full comparison done every 10 minutes.
    pub async fn catalog_revisions(&self) -> Result<Vec<(MonitorId, Revision)>> {
        let session = self.session("catalog_revisions").await?;
        let rows = session.query("select id, rev from monitors where tombstoned_at is null order by id", &[]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// The living rows of an installation, for a resync.
    pub async fn monitor_digests(&self, installation: &str) -> Result<Vec<MonitorDigest>> {
        let session = self.session("monitor_digests").await?;
        let sql = "select id, uid, namespace, name, generation, spec_hash from monitors \
            where installation = $1 and tombstoned_at is null order by id";
        let rows = session.query(sql, &[&installation]).await?;
        Ok(rows
            .iter()
            .map(|row| MonitorDigest {
                id: row.get(0),
                uid: row.get(1),
                namespace: row.get(2),
                name: row.get(3),
                generation: row.get(4),
                spec_hash: row.get(5),
            })
            .collect())
    }
}

/// Reads [`COLUMNS`] from column `at` on.
fn monitor_row(row: &Row, at: usize) -> Result<MonitorRow> {
    let source: &str = row.get(at + 5);
    let source = Source::from_word(source)
        .ok_or_else(|| StoreError::Schema(format!("a monitor has the source \"{source}\", unknown to this version")))?;
    let id: MonitorId = row.get(at);
    let tombstoned: bool = row.get(at + 14);
    let series = row
        .get::<_, Option<Vec<SeriesId>>>(at + 17)
        .unwrap_or_default()
        .into_iter()
        .zip(row.get::<_, Option<Vec<PoolId>>>(at + 18).unwrap_or_default())
        .map(|(id, pool_id)| SeriesRef { id, pool_id })
        .collect();
    Ok(MonitorRow {
        id,
        uid: row.get(at + 1),
        installation: row.get(at + 2),
        namespace: row.get(at + 3),
        name: row.get(at + 4),
        source,
        spec: row.get(at + 6),
        meta: row.get(at + 7),
        def: if tombstoned { None } else { read_def(id, row.get(at + 8)) },
        generation: row.get(at + 9),
        activated_at: row.get(at + 10),
        bucket: row.get(at + 11),
        rev: row.get(at + 12),
        cleared_before: row.get(at + 13),
        tombstoned,
        updated_at: row.get(at + 15),
        created_at: row.get(at + 16),
        series,
    })
}

/// One definition of a newer version must not hide all others.
fn read_def(id: MonitorId, def: Value) -> Option<MonitorDef> {
    serde_json::from_value(def)
        .inspect_err(|error| tracing::warn!(monitor = id, %error, "a stored definition cannot be read by this version"))
        .ok()
}
