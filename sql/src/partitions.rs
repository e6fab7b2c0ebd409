//! Partitions on demand: made by whoever inserts, when retention's round has not made them ahead.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::{Slot, Store};

/// The tables that are partitioned.
pub(crate) const PARENTS: [&str; 4] = ["results", "rollup_5m", "rollup_hour", "rollup_day"];

const DAY_S: i64 = 86_400;

// Slots that the insert would refuse anyway must not make a partition.
const ENSURE: &str = "select count(partition_ensure(p.name, d.slot)) from unnest($1::text[]) p(name), \
      unnest($2::int4[]) d(slot) \
    where d.slot between extract(epoch from now())::int4 - 3 * 86400 and extract(epoch from now())::int4 + 86400 \
      and d.slot >= (select from_slot / 86400 * 86400 from kept where name = 'results')";

impl Store {
    /// Makes the partitions that hold these slots, in all tables.
    pub(crate) async fn partitions_ensure(&self, slots: &[Slot]) -> Result<()> {
        let days: BTreeSet<Slot> =
            slots.iter().map(|&slot| (i64::from(slot).div_euclid(DAY_S) * DAY_S) as Slot).collect();
        let days: Vec<Slot> = days.into_iter().collect();
        let session = self.session("partitions_ensure").await?;
        let made: i64 = session.query_one(ENSURE, &[&PARENTS.as_slice(), &days]).await?.get(0);
        tracing::info!(made, "partitions were made on demand");
        Ok(())
    }
}
