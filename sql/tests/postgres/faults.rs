//! Faults on the way to PostgreSQL: what is unknown is sent again, nothing is stored twice, nothing hangs.

use std::time::{Duration, Instant};

use nanomon_sql::results::{BatchReport, NewResult};
use nanomon_sql::{Settings, Store, StoreError};
use nanomon_testkit::pg_proxy::{Fault, PgProxy};
use nanomon_testkit::postgres::{Options, Postgres};

use crate::support::{connect, ok, put_id, series_of};

struct Away {
    postgres: Postgres,
    proxy: PgProxy,
    /// By the proxy.
    store: Store,
    /// Straight.
    direct: Store,
    sql: tokio_postgres::Client,
}

async fn away() -> Away {
    let postgres = Postgres::start_with(Options::default()).await.unwrap();
    let proxy = PgProxy::start(&postgres).await.unwrap();
    let name = postgres.create_database().await.unwrap();
    let direct = connect(&postgres.dsn(&name));
    direct.migrate().await.unwrap();
    let store = connect(&proxy.dsn(&name));
    let sql = nanomon_testkit::postgres::connect(&postgres.dsn(&name)).await.unwrap();
    Away { postgres, proxy, store, direct, sql }
}

impl Away {
    async fn now(&self) -> i32 {
        self.sql.query_one("select floor(extract(epoch from now()))::int4", &[]).await.unwrap().get(0)
    }
}

/// As the recorder does it: the same batch until there is an answer.
async fn write_until_answered(store: &Store, batch: &[NewResult]) -> (BatchReport, u32) {
    let deadline = Instant::now() + Duration::from_mins(1);
    for tries in 1.. {
        match store.result_write_batch(batch).await {
            Ok(report) => return (report, tries),
            Err(error) => assert!(error.is_transient() && Instant::now() < deadline, "{error:?}"),
        }
    }
    unreachable!("the loop ends by its answer or its deadline")
}

#[tokio::test]
async fn an_unknown_commit_is_sent_again_and_folded_once() {
    let away = away().await;
    let series = series_of(&away.direct, put_id(&away.direct, "a", 10).await).await;
    let now = away.now().await;
    let mut duplicates = 0;
    for round in 0..30 {
        away.proxy.set(if round % 2 == 0 { Fault::CutAfterCommit(1) } else { Fault::None });
        let batch: Vec<NewResult> = (0..20).map(|n| ok(series, now - 6500 + round * 200 + n * 10)).collect();
        match away.store.result_write_batch(&batch).await {
            Ok(report) => assert_eq!(report.stored.len(), 20),
            Err(StoreError::Unavailable(_)) => {
                away.proxy.set(Fault::None);
                let (report, _) = write_until_answered(&away.store, &batch).await;
                assert!(report.stored.is_empty(), "it was committed");
                duplicates += report.duplicate;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!(away.proxy.cut() >= 10 && duplicates >= 200, "{} cuts, {duplicates} duplicates", away.proxy.cut());
    let rows: i64 = away.sql.query_one("select count(*) from results", &[]).await.unwrap().get(0);
    assert_eq!(rows, 600);
    assert_eq!(away.direct.verify().await.unwrap().faults, Vec::<String>::new());
}

#[tokio::test]
async fn slow_answers_are_waited_for() {
    let away = away().await;
    let series = series_of(&away.direct, put_id(&away.direct, "a", 10).await).await;
    let now = away.now().await;
    away.store.result_write_batch(&[ok(series, now)]).await.unwrap();
    away.proxy.set(Fault::Delay(Duration::from_secs(2)));
    let started = Instant::now();
    assert_eq!(away.store.result_write_batch(&[ok(series, now + 1)]).await.unwrap().stored, [0]);
    let took = started.elapsed();
    // Two round trips, however many statements are in them.
    assert!(took >= Duration::from_secs(4) && took < Duration::from_secs(6), "{took:?}");
}

/// Nothing is prepared yet, and buckets of all levels close: still one try, for else the next would begin unprepared too.
#[tokio::test]
async fn slow_answers_on_a_new_connection_are_waited_for() {
    let away = away().await;
    let series = series_of(&away.direct, put_id(&away.direct, "a", 10).await).await;
    let now = away.now().await;
    away.direct.result_write_batch(&[ok(series, now - 90_000)]).await.unwrap();
    away.proxy.set(Fault::Delay(Duration::from_secs(2)));
    let report = away.store.result_write_batch(&[ok(series, now)]).await.unwrap();
    assert_eq!(report.stored, [0]);
    for table in ["rollup_5m", "rollup_hour", "rollup_day"] {
        let rows: i64 = away.sql.query_one(&format!("select count(*) from {table}"), &[]).await.unwrap().get(0);
        assert!(rows > 0, "{table}");
    }
}

#[tokio::test]
async fn a_black_hole_ends_by_the_deadline_and_its_locks_by_the_server() {
    let away = away().await;
    let series = series_of(&away.direct, put_id(&away.direct, "a", 10).await).await;
    let now = away.now().await;
    away.store.result_write_batch(&[ok(series, now - 20)]).await.unwrap();
    away.proxy.set(Fault::BlackHole);
    let started = Instant::now();
    let lost = away.store.result_write_batch(&[ok(series, now - 10)]).await;
    assert!(matches!(lost, Err(StoreError::Unavailable(_))), "{lost:?}");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    assert!(!away.store.is_up());
    away.proxy.set(Fault::None);
    let (report, _) = write_until_answered(&away.store, &[ok(series, now - 10)]).await;
    assert_eq!(report.stored.len() + report.duplicate, 1);
    assert!(away.store.is_up());
    assert_eq!(away.direct.verify().await.unwrap().faults, Vec::<String>::new());
}

/// A writer that is frozen while it holds the locks: the server ends it after 3 s, and the next writer goes on.
#[tokio::test]
async fn a_frozen_writer_gives_its_locks_back() {
    let away = away().await;
    let series = series_of(&away.direct, put_id(&away.direct, "a", 10).await).await;
    let now = away.now().await;
    away.direct.result_write_batch(&[ok(series, now - 20)]).await.unwrap();
    // As the write path begins its transactions.
    away.sql
        .batch_execute(
            "begin; set local idle_in_transaction_session_timeout = '3s'; \
             select from monitor_states order by series_id for update",
        )
        .await
        .unwrap();
    let started = Instant::now();
    let (report, tries) = write_until_answered(&away.direct, &[ok(series, now - 10)]).await;
    assert_eq!(report.stored, [0]);
    assert!(tries > 1 && started.elapsed() < Duration::from_secs(8), "{tries} tries, {:?}", started.elapsed());
}

#[tokio::test]
async fn a_killed_server_is_found_again_and_has_what_was_committed() {
    let away = away().await;
    let series = series_of(&away.direct, put_id(&away.direct, "a", 10).await).await;
    let now = away.now().await;
    away.direct.result_write_batch(&[ok(series, now - 40)]).await.unwrap();
    for round in 0..3 {
        away.postgres.kill().await.unwrap();
        let batch = [ok(series, now - 30 + round * 10)];
        let lost = away.direct.result_write_batch(&batch).await;
        assert!(matches!(lost, Err(StoreError::Unavailable(_))), "{lost:?}");
        assert!(!away.direct.is_up());
        away.postgres.start().await.unwrap();
        let (report, _) = write_until_answered(&away.direct, &batch).await;
        assert_eq!(report.stored, [0]);
    }
    let report = away.direct.verify().await.unwrap();
    assert_eq!((report.rows, report.faults), (4, vec![]));
}

#[tokio::test]
async fn a_server_that_became_read_only_is_left() {
    let away = away().await;
    let series = series_of(&away.direct, put_id(&away.direct, "a", 10).await).await;
    let now = away.now().await;
    away.direct.result_write_batch(&[ok(series, now - 20)]).await.unwrap();
    for sql in ["alter system set default_transaction_read_only = on", "select pg_reload_conf()"] {
        away.sql.batch_execute(sql).await.unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match away.direct.result_write_batch(&[ok(series, now - 10)]).await {
            Err(StoreError::Unavailable(_)) => break,
            other => assert!(Instant::now() < deadline, "{other:?}"),
        }
    }
    // New sessions are refused too: only a server that can be written to will do.
    let lost = away.direct.result_write_batch(&[ok(series, now - 10)]).await;
    assert!(matches!(lost, Err(StoreError::Unavailable(_))), "{lost:?}");
    for sql in ["alter system reset default_transaction_read_only", "select pg_reload_conf()"] {
        away.sql.batch_execute(sql).await.unwrap();
    }
    write_until_answered(&away.direct, &[ok(series, now - 10)]).await;
}

#[tokio::test]
async fn without_a_server_everything_says_so() {
    let settings =
        Settings::parse("host=127.0.0.1 port=1 user=x dbname=y sslmode=disable connect_timeout=1", None).unwrap();
    let store = Store::new(&settings).unwrap();
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    assert!(!store.is_up());
    store.close();
    assert!(matches!(store.board_read().await, Err(StoreError::Unavailable(_))));
}
