//! `verify` finds what is broken, and nothing else.

use nanomon_core::Status;
use nanomon_sql::results::NewResult;

use crate::support::{fixture, ok, put_id, result, series_of};

#[tokio::test]
async fn each_planted_fault_is_found_and_named() {
    let f = fixture().await;
    let series = series_of(&f.store, put_id(&f.store, "a", 10).await).await;
    let now: i32 = f.sql.query_one("select floor(extract(epoch from now()))::int4", &[]).await.unwrap().get(0);
    let mut batch: Vec<NewResult> = (0..200).map(|n| ok(series, now - 2000 + n * 10)).collect();
    batch[50] = result(series, batch[50].slot, Status::Failed);
    f.store.result_write_batch(&batch).await.unwrap();
    f.store.result_write_batch(&[ok(series, now - 1995)]).await.unwrap();
    let report = f.store.verify().await.unwrap();
    assert_eq!((report.series, report.rows, report.faults), (1, 201, vec![]));

    for (planted, named) in [
        ("update monitor_states set last_slot = last_slot - 10", "the state is"),
        ("update monitor_states set since = since + 1", "the state is"),
        ("update monitor_states set confirmed = 2", "the state is"),
        ("update monitor_states set streak = streak - 1", "the state is"),
        ("update monitor_states set n_ok = n_ok + 1", "the state is"),
        ("update monitor_states set value = 7", "the state is"),
        ("update monitor_states set live = false", "copy of the definition"),
        ("update monitor_states set interval_ms = 20000", "copy of the definition"),
        ("update series_schedule set interval_ms = 20000", "copy of the definition"),
        ("update rollup_5m set n_ok = n_ok + 1 where bucket = (select min(bucket) from rollup_5m)", "rollup_5m"),
        ("update rollup_hour set value_max_us = value_max_us + 1", "rollup_hour"),
        ("update rollup_day set n_failed = 0", "rollup_day"),
        ("delete from rollup_day", "rollup_day"),
        ("delete from results where slot = (select min(slot) from results)", "rollup_5m"),
        ("update results set verdict = 1 where slot = (select max(slot) from results)", "the state is"),
        (
            "insert into rollup_day select series_id, bucket, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 from rollup_day \
          on conflict (series_id, bucket) do update set n_error = 1",
            "rollup_day",
        ),
        (
            "insert into incidents (key, monitor_id, kind, opened, resolved, reason) select 'k', id, 1, 20, 10, 0 from monitors",
            "incident",
        ),
    ] {
        // verify reads committed data only: the plant is taken back from a copy.
        f.sql
            .batch_execute(
                "drop schema if exists backup cascade; create schema backup; \
                 create table backup.s as table monitor_states; create table backup.c as table series_schedule; \
                 create table backup.f as table rollup_5m; create table backup.h as table rollup_hour; \
                 create table backup.d as table rollup_day; create table backup.r as table results",
            )
            .await
            .unwrap();
        f.sql.batch_execute(planted).await.unwrap();
        let faults = f.store.verify().await.unwrap().faults;
        assert!(faults.iter().any(|fault| fault.contains(named)), "{planted}: {faults:?}");
        f.sql
            .batch_execute(
                "delete from monitor_states; insert into monitor_states table backup.s; \
                 delete from series_schedule; insert into series_schedule table backup.c; \
                 delete from rollup_5m; insert into rollup_5m table backup.f; \
                 delete from rollup_hour; insert into rollup_hour table backup.h; \
                 delete from rollup_day; insert into rollup_day table backup.d; \
                 delete from results; insert into results table backup.r; delete from incidents",
            )
            .await
            .unwrap();
        assert_eq!(f.store.verify().await.unwrap().faults, Vec::<String>::new(), "after {planted}");
    }
}
