//! Lease rows on PostgreSQL's clock, each with a fencing epoch. Written by whoever competes for them.

use std::time::Duration;

use crate::Store;
use crate::error::Result;

/// A lease that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Fences every write made under it.
    pub epoch: i64,
}

// clock_timestamp, not now: the statement may have waited for the row's lock. One that is ours and has run out was held by
// nobody else meanwhile, so that its epoch still fences.
const TAKE: &str = "insert into leases as l (name, holder, epoch, until) \
    values ($1, $2, 1, clock_timestamp() + $3::float8 * interval '1 second') \
    on conflict (name) do update set holder = excluded.holder, \
      epoch = l.epoch + case when l.holder = excluded.holder then 0 else 1 end, \
      until = clock_timestamp() + $3::float8 * interval '1 second' \
    where l.until <= clock_timestamp() or l.holder = excluded.holder or l.holder is null \
    returning epoch";

const IDLE: &str = "select extract(epoch from clock_timestamp() - \
      coalesce(l.until, h.migrated_at))::float8, coalesce(l.holder is not null and l.until > clock_timestamp(), false) \
    from heads h left join leases l on l.name = $1";

const RELEASE: &str = "update leases set holder = null, until = clock_timestamp() where name = $1 and holder = $2";

impl Store {
    /// Takes the lease if it is free, run out, or already ours (then it is renewed under the same epoch). `None`: somebody
    /// else holds it.
    pub async fn lease_take(&self, name: &str, holder: &str, ttl: Duration) -> Result<Option<Lease>> {
        let session = self.session("lease_take").await?;
        let row = session.query_opt(TAKE, &[&name, &holder, &ttl.as_secs_f64()]).await?;
        Ok(row.map(|row| Lease { epoch: row.get(0) }))
    }

    /// How long ago the lease ran out; `None` while it is held; a lease never taken counts from the migration.
    pub async fn lease_idle(&self, name: &str) -> Result<Option<Duration>> {
        let session = self.session("lease_idle").await?;
        let row = session.query_one(IDLE, &[&name]).await?;
        let (idle, held): (f64, bool) = (row.get(0), row.get(1));
        Ok((!held).then(|| Duration::from_secs_f64(idle.max(0.0))))
    }

    /// Gives it back if it is ours.
    pub async fn lease_release(&self, name: &str, holder: &str) -> Result<()> {
        let session = self.session("lease_release").await?;
        session.execute(RELEASE, &[&name, &holder]).await?;
        Ok(())
    }
}
