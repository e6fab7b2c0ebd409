//! Read views: one statement each, few pages, little planning, on 32 partitions.

use std::time::Duration;

use nanomon_sql::{MonitorId, Settings, Store};
use nanomon_testkit::postgres::{Options, Postgres};
use prometheus_client::registry::Registry;

use crate::support::{INSTALLATION, connect, def, fixture, ok, put_id, series_of, write};

/// How many statements the store has sent under this name.
fn statements(store: &nanomon_sql::Store, query: &str) -> u64 {
    let mut registry = Registry::default();
    store.metrics().register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let line = format!("nanomon_sql_duration_seconds_count{{query=\"{query}\"}} ");
    text.lines().find_map(|found| found.strip_prefix(&line)).map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn each_view_is_one_statement() {
    let f = fixture().await;
    let id = put_id(&f.store, "a", 10).await;
    let now: i32 = f.sql.query_one("select floor(extract(epoch from now()))::int4", &[]).await.unwrap().get(0);
    let series = series_of(&f.store, id).await;
    f.store.result_write_batch(&[ok(series, now - 20), ok(series, now)]).await.unwrap();
    let store = connect(&f.dsn);
    let shop = ["shop".to_owned()];
    store.board_read().await.unwrap();
    store.board_read_of(&[id]).await.unwrap();
    store.health_changes(None).await.unwrap();
    assert_eq!(store.result_list(id, 100).await.unwrap().len(), 2);
    store.uptime_read(&[id], &[(now - 86_400, now), (now - 90 * 86_400, now)]).await.unwrap();
    assert_eq!(store.series_read(id, now - 3600, now + 1, 500).await.unwrap().points.len(), 2);
    store.catalog_changes(0, None).await.unwrap();
    store.monitor_list(&nanomon_sql::monitors::MonitorFilter::default()).await.unwrap();
    for query in [
        "board_read",
        "board_read_of",
        "health_changes",
        "result_list",
        "uptime_read",
        "series_read",
        "catalog_changes",
        "monitor_list",
    ] {
        assert_eq!(statements(&store, query), 1, "{query}");
    }
    assert_eq!(store.result_list_latest(100, None).await.unwrap().len(), 2);
    assert_eq!(store.result_list_latest(100, Some(&shop)).await.unwrap().len(), 2);
    assert!(store.result_list_latest(100, Some(&["other".to_owned()])).await.unwrap().is_empty());
    // There are fewer results than asked for: older ones are looked for.
    assert_eq!(statements(&store, "result_list_latest"), 2 + 3 + 3);
    store.result_list_latest(2, None).await.unwrap();
    store.result_list_latest(2, Some(&shop)).await.unwrap();
    assert_eq!(statements(&store, "result_list_latest"), 8 + 2);
    // A long span of a monitor without the finer level asks again, once per level.
    store.series_read(id, now - 3 * 86_400, now, 500).await.unwrap();
    assert_eq!(statements(&store, "series_read"), 2);
}

#[tokio::test]
async fn views_touch_few_pages_on_32_partitions() {
    const MONITORS: usize = 60;
    let settings = vec![
        "shared_preload_libraries=pg_stat_statements".to_owned(),
        "pg_stat_statements.track_planning=on".to_owned(),
    ];
    let Ok(postgres) = Postgres::start_with(Options { settings, ..Options::default() }).await else {
        println!("SKIPPED: pages per view are not counted, because pg_stat_statements is not on this machine");
        return;
    };
    let dsn = postgres.create_dsn().await.unwrap();
    // One connection: what it knows of the catalogue is not read again.
    let store = Store::new(&Settings::parse(&dsn, None).unwrap().with_pool(1, "nanomon-test")).unwrap();
    store.migrate().await.unwrap();
    let sql = nanomon_testkit::postgres::connect(&dsn).await.unwrap();
    let writes: Vec<_> = (0..MONITORS).map(|n| write(&format!("m{n}"), def(&format!("m{n}"), 300))).collect();
    store.monitor_write_batch(INSTALLATION, None, &writes).await.unwrap();
    sql.batch_execute(
        "select partition_ensure(p, (extract(epoch from now()) - d * 86400)::int4) \
           from unnest(array['results', 'rollup_5m', 'rollup_hour', 'rollup_day']) p, generate_series(0, 31) d; \
         insert into results select s.id, t, 1.5, 3, 1, case when (t / 300 + s.id) % 97 = 0 then 2 else 0 end, 0, '\\x0102030405060708' \
           from series s, generate_series(extract(epoch from now())::int4 - 31 * 86400, extract(epoch from now())::int4, 300) t \
           order by t, s.id; \
         create extension pg_stat_statements",
    )
    .await
    .unwrap();
    sql.batch_execute("vacuum analyze").await.unwrap();
    let ids: Vec<MonitorId> = store.catalog_revisions().await.unwrap().iter().map(|(id, _)| *id).collect();
    let shop = ["shop".to_owned()];
    let now: i32 = sql.query_one("select floor(extract(epoch from now()))::int4", &[]).await.unwrap().get(0);
    // Often enough for PostgreSQL to try a generic plan too; the first rounds fill the session's caches.
    for round in 0..15 {
        if round == 3 {
            sql.batch_execute("select pg_stat_statements_reset()").await.unwrap();
        }
        let id = ids[round * 3];
        assert_eq!(store.result_list(id, 100).await.unwrap().len(), 100);
        assert_eq!(store.result_list_latest(100, None).await.unwrap().len(), 100);
        assert_eq!(store.result_list_latest(100, Some(&shop)).await.unwrap().len(), 100);
        assert_eq!(store.series_read(id, now - 6 * 3600, now, 500).await.unwrap().points.len(), 72);
        store.series_read(id, now - 30 * 86_400, now, 500).await.unwrap();
        store.uptime_read(&ids[..50], &[(now - 86_400, now), (now - 30 * 86_400, now)]).await.unwrap();
    }
    let figures = sql
        .query(
            "select query, calls, rows::float8 / calls, (shared_blks_hit + shared_blks_read)::float8 / calls, \
               min_plan_time, min_exec_time from pg_stat_statements where calls >= 12 and query ~ 'select' order by 4 desc",
            &[],
        )
        .await
        .unwrap();
    let mut seen = 0;
    for row in &figures {
        let query: &str = row.get(0);
        let (rows, pages, plan, exec): (f64, f64, f64, f64) = (row.get(2), row.get(3), row.get(4), row.get(5));
        let (name, allowed) = match query {
            q if q.contains("r.slot >= w.bound") => ("latest of namespaces", 10.0 * rows + 100.0),
            q if q.contains("with wanted as materialized") => ("history", rows + 100.0),
            q if q.contains("order by r.slot desc, r.start_ms desc limit") => {
                ("latest", rows + 4.0 * MONITORS as f64 + 100.0)
            }
            q if q.contains("coalesce(case when c.active then c.interval_ms end") => ("raw chart", 5.0 * rows + 100.0),
            q if q.contains("join rollup_hour") => ("chart", rows + 200.0),
            q if q.contains("(win, level, a, b)") => ("uptime", 50.0 * 200.0),
            _ => continue,
        };
        seen += 1;
        println!("{name}: {rows:.0} rows, {pages:.0} pages, planning {plan:.2} ms, execution {exec:.2} ms");
        assert!(pages <= allowed, "{name}: {pages} pages for {rows} rows");
        if matches!(name, "history" | "latest") {
            assert!(plan + exec <= 2.0, "{name}: {:?}", Duration::from_secs_f64((plan + exec) / 1000.0));
        }
    }
    assert!(seen >= 5, "{seen} views were found in pg_stat_statements");
}
