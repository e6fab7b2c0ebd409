//! Partitions ahead, retention by days and bytes, tombstones.

use nanomon_sql::results::NewResult;
use nanomon_sql::retention::Retention;

use crate::support::{Fixture, INSTALLATION, fixture, ok, put_id, series_of};

async fn names(f: &Fixture, parent: &str) -> Vec<String> {
    let sql = "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid \
        where i.inhparent = $1::text::regclass order by 1";
    f.sql.query(sql, &[&parent]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// Makes the partitions that a database of this age would have.
async fn age(f: &Fixture, days: i32) {
    for parent in ["results", "rollup_5m", "rollup_hour", "rollup_day"] {
        let sql = format!(
            "select partition_ensure('{parent}', (extract(epoch from now()) - d * 86400)::int4) \
             from generate_series(0, {days}) d"
        );
        f.sql.batch_execute(&sql).await.unwrap();
    }
}

#[tokio::test]
async fn partitions_are_ahead_and_old_ones_go() {
    let f = fixture().await;
    age(&f, 40).await;
    let before = names(&f, "results").await;
    assert_eq!(before.len(), 41);
    let done = f.store.maintain(&Retention::default()).await.unwrap();
    assert_eq!(done.days_ahead, 7);
    assert!(done.created.iter().any(|name| name.starts_with("results_")), "{done:?}");
    let after = names(&f, "results").await;
    assert_eq!(after.len(), 30 + 1 + 7, "30 whole days, today, 7 ahead");
    assert_eq!(names(&f, "rollup_5m").await.len(), 8 + 1 + 7);
    assert!(names(&f, "rollup_hour").await.len() >= 2);
    assert!(done.dropped.contains(&before[0]));
    let leftovers: i64 = f
        .sql
        .query_one("select count(*) from pg_class where relname = any($1)", &[&done.dropped])
        .await
        .unwrap()
        .get(0);
    assert_eq!(leftovers, 0);
    let again = f.store.maintain(&Retention::default()).await.unwrap();
    assert!(again.created.is_empty() && again.dropped.is_empty(), "{again:?}");
}

#[tokio::test]
async fn stragglers_do_not_bring_a_dropped_day_back() {
    let f = fixture().await;
    let series = series_of(&f.store, put_id(&f.store, "a", 10).await).await;
    let now: i32 = f.sql.query_one("select floor(extract(epoch from now()))::int4", &[]).await.unwrap().get(0);
    let batch: Vec<NewResult> = (0..46).map(|hour| ok(series, now - hour * 3600)).collect();
    f.store.result_write_batch(&batch).await.unwrap();
    let days = names(&f, "results").await;
    let done = f.store.maintain(&Retention { raw_days: 0, ..Retention::default() }).await.unwrap();
    assert!(done.dropped.len() >= days.len() - 1, "{done:?}");
    let old = f.store.result_write_batch(&[ok(series, now - 40 * 3600 - 1)]).await.unwrap();
    assert_eq!((old.stored.len(), old.dropped_out_of_range), (0, 1));
    let report = f.store.verify().await.unwrap();
    assert_eq!(report.faults, Vec::<String>::new());
}

/// A monitor that was paused, or an installation that was off, for longer than a level is kept: the bucket that was left
/// open then belongs to a partition that is gone, and must not stand in the way of what comes.
#[tokio::test]
async fn a_bucket_left_open_for_longer_than_it_is_kept_stops_nothing() {
    let f = fixture().await;
    let series = series_of(&f.store, put_id(&f.store, "a", 10).await).await;
    let now: i32 = f.sql.query_one("select floor(extract(epoch from now()))::int4", &[]).await.unwrap().get(0);
    f.store.result_write_batch(&[ok(series, now - 40 * 3600)]).await.unwrap();
    let retention = Retention { raw_days: 0, five_minute_days: 0, hour_days: 0, ..Retention::default() };
    let done = f.store.maintain(&retention).await.unwrap();
    assert!(done.dropped.iter().any(|name| name.starts_with("rollup_5m_")), "{done:?}");
    let report = f.store.result_write_batch(&[ok(series, now)]).await.unwrap();
    assert_eq!(report.stored.len(), 1);
    let days: i64 = f.sql.query_one("select sum(n_ok) from rollup_day", &[]).await.unwrap().get(0);
    assert_eq!(days, 1, "levels that are kept have it");
    assert_eq!(f.store.verify().await.unwrap().faults, Vec::<String>::new());
}

#[tokio::test]
async fn the_oldest_days_go_when_the_bytes_do_not_suffice() {
    let f = fixture().await;
    age(&f, 5).await;
    let done = f.store.maintain(&Retention { max_bytes: Some(1), ..Retention::default() }).await.unwrap();
    assert_eq!(done.dropped.iter().filter(|name| name.starts_with("results_")).count(), 5, "all but today: {done:?}");
    let done = f.store.maintain(&Retention { max_bytes: Some(u64::MAX), ..Retention::default() }).await.unwrap();
    assert!(done.dropped.is_empty());
}

/// A reader holds its snapshot on the partition: the round goes on, writers too, and a later round finishes.
#[tokio::test]
async fn a_reader_in_the_way_delays_the_drop_and_stops_nobody() {
    let f = fixture().await;
    age(&f, 33).await;
    let series = series_of(&f.store, put_id(&f.store, "a", 10).await).await;
    let now: i32 = f.sql.query_one("select floor(extract(epoch from now()))::int4", &[]).await.unwrap().get(0);
    let reader = nanomon_testkit::postgres::connect(&f.dsn).await.unwrap();
    reader.batch_execute("begin isolation level repeatable read; select count(*) from results").await.unwrap();
    let retention = Retention { five_minute_days: 3650, ..Retention::default() };
    let round = f.store.maintain(&retention);
    let write = async { f.store.result_write_batch(&[ok(series, now)]).await };
    let (round, written) = tokio::join!(round, write);
    assert_eq!(written.unwrap().stored.len(), 1);
    assert!(round.unwrap().dropped.is_empty());
    reader.batch_execute("commit").await.unwrap();
    let done = f.store.maintain(&retention).await.unwrap();
    assert!(done.dropped.iter().filter(|name| name.starts_with("results_")).count() >= 3, "{done:?}");
    assert_eq!(names(&f, "results").await.len(), 38);
}

#[tokio::test]
async fn old_tombstones_go_with_all_that_hangs_on_them() {
    let f = fixture().await;
    let (gone, stays) = (put_id(&f.store, "gone", 10).await, put_id(&f.store, "stays", 10).await);
    let now: i32 = f.sql.query_one("select floor(extract(epoch from now()))::int4", &[]).await.unwrap().get(0);
    for id in [gone, stays] {
        let series = series_of(&f.store, id).await;
        f.store.result_write_batch(&[ok(series, now - 700), ok(series, now)]).await.unwrap();
    }
    f.store.monitor_tombstone_batch(INSTALLATION, None, &[gone]).await.unwrap();
    assert_eq!(f.store.maintain(&Retention::default()).await.unwrap().tombstones_purged, 0);
    f.sql
        .batch_execute("update monitors set tombstoned_at = now() - interval '8 days' where tombstoned_at is not null")
        .await
        .unwrap();
    assert_eq!(f.store.maintain(&Retention::default()).await.unwrap().tombstones_purged, 1);
    for table in ["monitors", "series", "monitor_states", "monitor_health", "series_schedule"] {
        let rows: i64 = f.sql.query_one(&format!("select count(*) from {table}"), &[]).await.unwrap().get(0);
        assert_eq!(rows, 1, "{table}");
    }
    assert_eq!(f.store.verify().await.unwrap().faults, Vec::<String>::new());
    assert_ne!(put_id(&f.store, "gone", 10).await, gone, "ids are never reused");
}
