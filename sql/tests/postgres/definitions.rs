//! Definitions: batches, revisions, tombstones, schedules, the fence.

use std::time::Instant;

use nanomon_core::slot;
use nanomon_sql::monitors::{Change, MonitorFilter, Source};
use nanomon_sql::{Store, StoreError};
use serde_json::json;

use crate::support::{INSTALLATION, connect, def, fixture, put, put_id, store, write};

#[tokio::test]
async fn several_processes_migrate_at_once_and_a_newer_schema_is_refused() {
    let dsn = nanomon_testkit::postgres::Postgres::shared().await.create_dsn().await.unwrap();
    let stores: Vec<Store> = (0..6).map(|_| connect(&dsn)).collect();
    assert!(matches!(stores[0].schema_check().await, Err(StoreError::Schema(text)) if text.contains("migrate")));
    let runs = futures::future::join_all(stores.iter().map(Store::migrate)).await;
    let runs: Vec<_> = runs.into_iter().map(Result::unwrap).collect();
    assert_eq!(runs.iter().filter(|run| run.from == 0).count(), 1, "{runs:?}");
    assert!(runs.iter().all(|run| run.to == nanomon_sql::migrate::VERSION));
    stores[0].schema_check().await.unwrap();
    let sql = nanomon_testkit::postgres::connect(&dsn).await.unwrap();
    let bump = |version: i32| format!("insert into schema_versions (version, name) values ({version}, 'later')");
    sql.batch_execute(&bump(nanomon_sql::migrate::VERSION + 1)).await.unwrap();
    stores[0].schema_check().await.unwrap();
    stores[0].migrate().await.unwrap();
    sql.batch_execute(&bump(nanomon_sql::migrate::VERSION + 2)).await.unwrap();
    assert!(matches!(stores[0].schema_check().await, Err(StoreError::Schema(_))));
    assert!(matches!(stores[0].migrate().await, Err(StoreError::Schema(_))));
}

#[tokio::test]
async fn a_definition_is_created_changed_left_alone_deleted_and_revived() {
    let store = store().await;
    let created = put(&store, "a", def("a", 10)).await;
    assert_eq!((created.change, created.rev), (Change::Created, 1));
    let row = store.monitor_get(created.id).await.unwrap().unwrap();
    assert_eq!(row.def, Some(def("a", 10)));
    assert_eq!((row.namespace.as_str(), row.name.as_str(), row.source), ("shop", "a", Source::Kubernetes));
    assert_eq!(row.series.len(), 1);
    assert_eq!(row.bucket, slot::bucket(slot::hash(row.uid.as_bytes())) as i16);
    assert_eq!(store.monitor_get_by_name(INSTALLATION, "shop", "a").await.unwrap().unwrap().id, created.id);

    let same = put(&store, "a", def("a", 10)).await;
    assert_eq!((same.id, same.change, same.rev), (created.id, Change::Unchanged, 1));
    assert_eq!(store.heads_read().await.unwrap().catalog_rev, 1);

    // A new name for people is no new activation; a new interval is.
    let mut renamed = def("a", 10);
    renamed.display_name = "Shop".to_owned();
    let mut relabelled = write("a", renamed.clone());
    relabelled.meta = json!({"labels": {"team": "x"}});
    let changed = store.monitor_write_batch(INSTALLATION, None, &[relabelled]).await.unwrap()[0];
    assert_eq!((changed.id, changed.change, changed.rev), (created.id, Change::Updated, 2));
    let after = store.monitor_get(created.id).await.unwrap().unwrap();
    assert_eq!((after.activated_at, after.meta["labels"]["team"].as_str()), (row.activated_at, Some("x")));
    put(&store, "a", def("a", 20)).await;
    let faster = store.monitor_get(created.id).await.unwrap().unwrap();
    assert!(faster.activated_at > row.activated_at);

    assert_eq!(store.monitor_tombstone_batch(INSTALLATION, None, &[created.id, 999]).await.unwrap(), 1);
    assert_eq!(store.monitor_tombstone_batch(INSTALLATION, None, &[created.id]).await.unwrap(), 0);
    assert!(store.monitor_get(created.id).await.unwrap().is_none());
    assert!(store.monitor_list(&MonitorFilter::default()).await.unwrap().is_empty());
    let changes = store.catalog_changes(faster.rev, None).await.unwrap();
    assert_eq!(changes.monitors.len(), 1);
    assert!(changes.monitors[0].tombstoned && changes.monitors[0].def.is_none());
    assert!(store.catalog_changes(0, None).await.unwrap().monitors.is_empty());

    let mut again = write("a", def("a", 20));
    again.uid = uuid::Uuid::from_u128(7);
    let revived = store.monitor_write_batch(INSTALLATION, None, &[again]).await.unwrap()[0];
    assert_eq!((revived.id, revived.change), (created.id, Change::Revived));
    let alive = store.monitor_get(created.id).await.unwrap().unwrap();
    assert_eq!(alive.series, row.series);
    assert!(alive.activated_at > faster.activated_at);
}

#[tokio::test]
async fn drawn_ids_are_used_and_others_are_not() {
    let store = store().await;
    let drawn = store.monitor_id_draw().await.unwrap();
    let mut wanted = write("a", def("a", 10));
    wanted.id = Some(drawn);
    let mut same = write("b", def("b", 10));
    same.id = Some(drawn);
    let mut invented = write("c", def("c", 10));
    invented.id = Some(i32::MAX);
    let written = store.monitor_write_batch(INSTALLATION, None, &[wanted, same, invented]).await.unwrap();
    let ids: Vec<i32> = written.iter().map(|w| w.id).collect();
    assert_eq!(ids, [drawn, drawn + 1, drawn + 2]);
}

#[tokio::test]
async fn pools_make_and_retire_series_and_every_change_has_its_schedule_row() {
    let f = fixture().await;
    let mut two = def("a", 10);
    two.pools = vec!["default".to_owned(), "edge".to_owned()];
    let id = put(&f.store, "a", two.clone()).await.id;
    let first = f.store.monitor_get(id).await.unwrap().unwrap();
    assert_eq!(first.series.len(), 2);
    assert_eq!(f.store.pool_list().await.unwrap().len(), 2);

    put(&f.store, "a", def("a", 10)).await;
    let one = f.store.monitor_get(id).await.unwrap().unwrap();
    assert_eq!(one.series, first.series[..1]);
    let mut suspended = def("a", 10);
    suspended.suspended = true;
    put(&f.store, "a", suspended).await;
    put(&f.store, "a", two).await;
    let back = f.store.monitor_get(id).await.unwrap().unwrap();
    assert_eq!(back.series, first.series, "a series that comes back is the same one");

    // Rows of one second replace each other, so that the last one counts.
    let rows = f
        .sql
        .query(
            "select distinct on (series_id) interval_ms, phase_ms, active from series_schedule \
             order by series_id, from_slot desc",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(rows.len(), 2);
    let phase = slot::phase_ms(slot::hash(back.uid.as_bytes()), 10_000) as i32;
    for row in rows {
        assert_eq!((row.get::<_, i32>(0), row.get::<_, i32>(1), row.get::<_, bool>(2)), (10_000, phase, true));
    }
}

#[tokio::test]
async fn an_old_leader_changes_nothing() {
    let store = store().await;
    let old = store.operator_epoch_take().await.unwrap();
    let id = store.monitor_write_batch(INSTALLATION, Some(old), &[write("a", def("a", 10))]).await.unwrap()[0].id;
    let new = store.operator_epoch_take().await.unwrap();
    assert!(new > old);
    let late = store.monitor_write_batch(INSTALLATION, Some(old), &[write("a", def("a", 30))]).await;
    assert!(matches!(late, Err(StoreError::Fenced)), "{late:?}");
    let late = store.monitor_tombstone_batch(INSTALLATION, Some(old), &[id]).await;
    assert!(matches!(late, Err(StoreError::Fenced)), "{late:?}");
    assert_eq!(store.heads_read().await.unwrap().catalog_rev, 1);
    store.monitor_write_batch(INSTALLATION, Some(new), &[write("a", def("a", 30))]).await.unwrap();
}

#[tokio::test]
async fn bad_text_is_a_data_error_and_leaves_nothing() {
    let store = store().await;
    let mut bad = write("bad", def("bad", 10));
    bad.def.display_name = "a\0b".to_owned();
    let result = store.monitor_write_batch(INSTALLATION, None, &[write("good", def("good", 10)), bad]).await;
    assert!(matches!(result, Err(StoreError::Data(_))), "{result:?}");
    assert!(store.monitor_list(&MonitorFilter::default()).await.unwrap().is_empty());
    store.ping().await.unwrap();
}

#[tokio::test]
async fn filters_narrow_the_list() {
    let store = store().await;
    put_id(&store, "alpha", 10).await;
    let mut beta = write("beta", def("beta", 10));
    beta.namespace = "other".to_owned();
    beta.def.group = "web".to_owned();
    beta.def.display_name = "100% Shop".to_owned();
    store.monitor_write_batch(INSTALLATION, None, &[beta]).await.unwrap();
    let names = async |filter: MonitorFilter| -> Vec<String> {
        store.monitor_list(&filter).await.unwrap().into_iter().map(|row| row.name).collect()
    };
    let search = |text: &str| MonitorFilter { search: Some(text.to_owned()), ..MonitorFilter::default() };
    assert_eq!(names(search("0% sHOP")).await, ["beta"]);
    assert_eq!(names(search("127.0.0.1:9/AL")).await, ["alpha"]);
    assert_eq!(names(search("_")).await, Vec::<String>::new());
    assert_eq!(names(MonitorFilter { group: Some("web".into()), ..Default::default() }).await, ["beta"]);
    assert_eq!(names(MonitorFilter { namespaces: Some(vec!["shop".into()]), ..Default::default() }).await, ["alpha"]);
    assert_eq!(names(MonitorFilter { namespaces: Some(vec![]), ..Default::default() }).await, Vec::<String>::new());
}

#[tokio::test]
async fn ten_thousand_definitions_take_seconds_and_nothing_when_unchanged() {
    let f = fixture().await;
    let writes: Vec<_> = (0..10_000).map(|n| write(&format!("m{n:05}"), def(&format!("m{n:05}"), 10))).collect();
    let started = Instant::now();
    for batch in writes.chunks(500) {
        f.store.monitor_write_batch(INSTALLATION, None, batch).await.unwrap();
    }
    let took = started.elapsed();
    assert_eq!(f.store.heads_read().await.unwrap().catalog_rev, 20);
    let started = Instant::now();
    for batch in writes.chunks(500) {
        let written = f.store.monitor_write_batch(INSTALLATION, None, batch).await.unwrap();
        assert!(written.iter().all(|w| w.change == Change::Unchanged));
    }
    println!("10,000 definitions: {took:?}, unchanged: {:?}", started.elapsed());
    assert_eq!(f.store.heads_read().await.unwrap().catalog_rev, 20);
    assert!(took.as_secs() < 30, "{took:?}");
    let started = Instant::now();
    assert_eq!(f.store.catalog_changes(0, None).await.unwrap().monitors.len(), 10_000);
    println!("read: {:?}", started.elapsed());
    let buckets: Vec<i16> = (0..10).collect();
    let some = f.store.catalog_changes(0, Some(&buckets)).await.unwrap().monitors;
    assert!(!some.is_empty() && some.iter().all(|row| row.bucket < 10));
}

/// Revisions become visible in their order: a reader that follows `rev > last` never misses a row.
#[tokio::test]
async fn followers_of_the_revision_miss_nothing() {
    let f = fixture().await;
    let writers = 4;
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let store = connect(&f.dsn);
            tokio::spawn(async move {
                for n in 0..25 {
                    put_id(&store, &format!("w{writer}-{n}"), 10).await;
                }
            })
        })
        .collect();
    let (mut seen, mut last) = (std::collections::BTreeSet::new(), 0);
    loop {
        let done = tasks.iter().all(tokio::task::JoinHandle::is_finished);
        let changes = f.store.catalog_changes(last, None).await.unwrap();
        last = changes.rev;
        seen.extend(changes.monitors.into_iter().map(|row| row.name));
        if done {
            break;
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(seen.len(), writers * 25);
}
