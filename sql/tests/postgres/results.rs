//! The write path: batches, idempotence, what is dropped and why, partitions, health and incidents.

use nanomon_core::codec::encode;
use nanomon_core::status::Phases;
use nanomon_core::{OutputId, Outputs, ProbeType, Reason, Status, Verdict};
use nanomon_sql::results::NewResult;
use nanomon_sql::{MonitorId, SeriesId, Slot, Store};

use crate::support::{Fixture, INSTALLATION, connect, def, fixture, ok, put, put_id, result, series_of};

/// PostgreSQL's present second.
async fn now(f: &Fixture) -> Slot {
    f.sql.query_one("select floor(extract(epoch from now()))::int4", &[]).await.unwrap().get(0)
}

async fn count(f: &Fixture, what: &str) -> i64 {
    f.sql.query_one(&format!("select count(*) from {what}"), &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_batch_is_stored_folded_and_sent_again_without_effect() {
    let f = fixture().await;
    let id = put_id(&f.store, "a", 10).await;
    let series = series_of(&f.store, id).await;
    let now = now(&f).await;
    let batch: Vec<NewResult> = [30, 20, 10].iter().map(|ago| ok(series, now - ago)).collect();
    let report = f.store.result_write_batch(&batch).await.unwrap();
    assert_eq!(report.stored, [0, 1, 2]);
    assert_eq!((report.late, report.duplicate), (0, 0));
    assert_eq!(report.transitions.len(), 1);
    assert_eq!((report.transitions[0].0, report.transitions[0].2.to), (id, Status::Ok));
    let state = |sql: &'static str| f.sql.query_one(sql, &[]);
    let before = format!("{:?}", state("select t::text from monitor_states t").await.unwrap().get::<_, String>(0));

    let again = f.store.result_write_batch(&batch).await.unwrap();
    assert_eq!((again.stored.len(), again.duplicate), (0, 3));
    let after = format!("{:?}", state("select t::text from monitor_states t").await.unwrap().get::<_, String>(0));
    assert_eq!(before, after);

    // A straggler is stored and marked, but changes no state.
    let late = f.store.result_write_batch(&[result(series, now - 25, Status::Failed)]).await.unwrap();
    assert_eq!((late.stored.len(), late.late), (1, 1));
    let board = f.store.board_read().await.unwrap();
    assert_eq!(
        (board[0].last_slot, board[0].status, board[0].confirmed),
        (Some(now - 10), Some(Status::Ok), Some(Status::Ok))
    );
    let history = f.store.result_list(id, 100).await.unwrap();
    assert_eq!(history.iter().map(|r| now - r.slot).collect::<Vec<_>>(), [10, 20, 25, 30]);
    assert!(history[2].verdict.is_late() && history[2].verdict.status() == Status::Failed);
    assert_eq!(f.store.verify().await.unwrap().faults, Vec::<String>::new());
}

#[tokio::test]
async fn outputs_come_back_as_they_were() {
    let f = fixture().await;
    let id = put_id(&f.store, "a", 10).await;
    let series = series_of(&f.store, id).await;
    let mut outputs = Outputs::default();
    outputs.set_number(OutputId::RESP_TIME, 12.5);
    outputs.set_number(OutputId::STATUS, 200.0);
    outputs.set_number(OutputId::DNS_TIME, 0.25);
    outputs.set_text(OutputId::IP_ADDRESS, "127.0.0.1");
    let mut new = ok(series, now(&f).await);
    new.value = Some(12.5);
    new.outputs = encode(ProbeType::Http, &outputs, new.value);
    new.phases = Phases::from_outputs(&outputs);
    f.store.result_write_batch(&[new]).await.unwrap();
    let row = f.store.result_list(id, 1).await.unwrap().remove(0);
    assert_eq!((row.outputs, row.outputs_unreadable, row.value), (outputs, false, Some(12.5)));
    f.sql.batch_execute("update results set outputs = '\\xff01'").await.unwrap();
    let row = f.store.result_list(id, 1).await.unwrap().remove(0);
    assert!(row.outputs_unreadable && row.outputs.is_empty());
}

#[tokio::test]
async fn what_cannot_be_stored_is_dropped_and_counted_by_reason() {
    let f = fixture().await;
    let id = put_id(&f.store, "a", 10).await;
    let gone = put_id(&f.store, "gone", 10).await;
    let (series, gone_series) = (series_of(&f.store, id).await, series_of(&f.store, gone).await);
    f.store.monitor_tombstone_batch(INSTALLATION, None, &[gone]).await.unwrap();
    let now = now(&f).await;
    let batch = [
        ok(series, now - 100),
        ok(gone_series, now),
        ok(99_999, now),
        ok(series, now + 60),
        ok(series, now - 49 * 3600),
        ok(series, i32::MAX),
        ok(series, i32::MIN),
        ok(series, now - 100),
    ];
    let report = f.store.result_write_batch(&batch).await.unwrap();
    assert_eq!(report.stored, [0]);
    assert_eq!((report.dropped_gone, report.dropped_out_of_range, report.duplicate), (2, 4, 1));
    assert_eq!(count(&f, "results").await, 1);
    f.store.monitor_clear_results(&[id], now - 50).await.unwrap();
    let report = f.store.result_write_batch(&[ok(series, now - 60), ok(series, now - 50)]).await.unwrap();
    assert_eq!((report.dropped_cleared, report.stored), (1, vec![1]));
    assert_eq!(f.store.result_list(id, 10).await.unwrap().len(), 1);
    assert_eq!(f.store.verify().await.unwrap().faults, Vec::<String>::new());
}

#[tokio::test]
async fn partitions_are_made_on_demand_across_days() {
    let f = fixture().await;
    let series = series_of(&f.store, put_id(&f.store, "a", 10).await).await;
    assert_eq!(count(&f, "pg_inherits where inhparent = 'results'::regclass").await, 0);
    let now = now(&f).await;
    let batch: Vec<NewResult> = (0..40).map(|n| ok(series, now - n * 3600)).collect();
    assert_eq!(f.store.result_write_batch(&batch).await.unwrap().stored.len(), 40);
    assert!((2..=3).contains(&count(&f, "pg_inherits where inhparent = 'results'::regclass").await));
    assert_eq!(f.store.verify().await.unwrap().faults, Vec::<String>::new());

    // Several writers meet the same missing partition.
    let fresh = fixture().await;
    let series = series_of(&fresh.store, put_id(&fresh.store, "a", 10).await).await;
    let writers = (0..6).map(|n| {
        let store = connect(&fresh.dsn);
        async move { store.result_write_batch(&[ok(series, now - n)]).await }
    });
    for written in futures::future::join_all(writers).await {
        assert_eq!(written.unwrap().stored.len(), 1);
    }
}

async fn incidents(f: &Fixture) -> Vec<(Slot, Option<Slot>, Option<i16>)> {
    let rows = f.sql.query("select opened, resolved, closed_by from incidents order by opened", &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

async fn health(f: &Fixture, id: MonitorId) -> (Option<Status>, Slot) {
    let (_, rows) = f.store.health_changes(None).await.unwrap();
    let row = rows.iter().find(|row| row.monitor_id == id).unwrap();
    (row.state, row.since)
}

#[tokio::test]
async fn incidents_open_and_close_with_their_true_times() {
    let f = fixture().await;
    let id = put_id(&f.store, "a", 10).await;
    let series = series_of(&f.store, id).await;
    let t = now(&f).await - 200;
    let write =
        async |ago: Slot, status: Status| f.store.result_write_batch(&[result(series, t + ago, status)]).await.unwrap();
    write(0, Status::Ok).await;
    assert_eq!(health(&f, id).await, (Some(Status::Ok), t));
    for n in 1..=2 {
        assert!(write(n * 10, Status::Failed).await.transitions.is_empty());
    }
    assert_eq!(incidents(&f).await, []);
    assert_eq!(write(30, Status::Error).await.transitions.len(), 1);
    assert_eq!(incidents(&f).await, [(t + 30, None, None)]);
    assert_eq!(health(&f, id).await, (Some(Status::Error), t + 30));
    write(40, Status::Ok).await;
    assert_eq!(incidents(&f).await, [(t + 30, Some(t + 40), Some(1))]);
    assert_eq!(health(&f, id).await, (Some(Status::Ok), t + 40));

    // A backlog in one batch: down and up again within it.
    let backlog: Vec<NewResult> = [(50, Status::Failed), (60, Status::Failed), (70, Status::Failed), (80, Status::Ok)]
        .map(|(at, status)| result(series, t + at, status))
        .to_vec();
    assert_eq!(f.store.result_write_batch(&backlog).await.unwrap().transitions.len(), 2);
    assert_eq!(incidents(&f).await[1..], [(t + 70, Some(t + 80), Some(1))]);

    // Suspending closes what is open, and a resumed monitor is judged again by its initial run.
    for n in 9..=11 {
        write(n * 10, Status::Failed).await;
    }
    assert_eq!(incidents(&f).await[2], (t + 110, None, None));
    let mut paused = def("a", 10);
    paused.suspended = true;
    put(&f.store, "a", paused).await;
    assert_eq!(incidents(&f).await[2].2, Some(2));
    assert_eq!(health(&f, id).await.0, None);
    put(&f.store, "a", def("a", 10)).await;
    assert_eq!(health(&f, id).await.0, None);
    let activated = f.store.monitor_get(id).await.unwrap().unwrap().activated_at;
    let mut initial = result(series, activated, Status::Failed);
    initial.verdict = initial.verdict.with(Verdict::EXTRA);
    f.store.result_write_batch(&[initial]).await.unwrap();
    assert_eq!(health(&f, id).await, (Some(Status::Failed), activated));
    assert_eq!(incidents(&f).await[3], (activated, None, None));
    assert_eq!(f.store.board_read_of(&[id]).await.unwrap()[0].activation, activated);
    f.store.monitor_tombstone_batch(INSTALLATION, None, &[id]).await.unwrap();
    assert_eq!(incidents(&f).await[3].2, Some(3));
    assert_eq!(f.store.verify().await.unwrap().faults, Vec::<String>::new());
}

/// Two runners of two pools change the same monitor at the same moment, each under its own state's lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_pools_that_fail_and_recover_at_once_make_exactly_one_incident() {
    const ROUNDS: i32 = 100;
    let f = fixture().await;
    let mut two = def("a", 10);
    two.pools = vec!["default".to_owned(), "edge".to_owned()];
    let id = put(&f.store, "a", two).await.id;
    let pools: Vec<SeriesId> = f.store.monitor_get(id).await.unwrap().unwrap().series.iter().map(|s| s.id).collect();
    let start = now(&f).await - ROUNDS * 10;
    let stores = [connect(&f.dsn), connect(&f.dsn)];
    let barrier = std::sync::Arc::new(tokio::sync::Barrier::new(2));
    for round in 0..ROUNDS {
        let slots: Vec<Slot> = (0..3).map(|n| start + round * 10 + n).collect();
        for (status, slots) in [(Status::Failed, &slots[..]), (Status::Ok, &[start + round * 10 + 5][..])] {
            let writes = stores.iter().zip(&pools).map(|(store, &series)| {
                let (store, barrier): (Store, _) = (store.clone(), barrier.clone());
                let batch: Vec<NewResult> = slots.iter().map(|&slot| result(series, slot, status)).collect();
                tokio::spawn(async move {
                    barrier.wait().await;
                    store.result_write_batch(&batch).await.unwrap()
                })
            });
            for written in futures::future::join_all(writes).await {
                assert_eq!(written.unwrap().stored.len(), slots.len());
            }
        }
    }
    let found = incidents(&f).await;
    assert_eq!(found.len(), ROUNDS as usize, "one incident a round");
    assert!(found.iter().all(|incident| incident.2 == Some(1)), "each closed");
    assert_eq!(f.store.verify().await.unwrap().faults, Vec::<String>::new());
}

#[tokio::test]
async fn the_sweep_forgets_silent_monitors_and_remembers_those_that_speak_again() {
    let f = fixture().await;
    let id = put_id(&f.store, "a", 10).await;
    let series = series_of(&f.store, id).await;
    let now = now(&f).await;
    f.store.result_write_batch(&[ok(series, now - 120)]).await.unwrap();
    assert_eq!(health(&f, id).await.0, Some(Status::Ok));
    let runner = f.store.runner_register("r", "r", 1, "1").await.unwrap();
    let beat = nanomon_sql::runners::Heartbeat {
        runner_id: runner,
        identity: "r".to_owned(),
        backlog_from: Some(now - 110),
        rate: 0.0,
        lag_ms: 0,
        offset_ms: 0,
        draining: false,
    };
    f.store.runner_heartbeat(&beat).await.unwrap();
    assert_eq!(f.store.health_sweep().await.unwrap(), 0, "a backlog is no silence");
    f.store.runner_heartbeat(&nanomon_sql::runners::Heartbeat { backlog_from: None, ..beat }).await.unwrap();
    assert_eq!(f.store.health_sweep().await.unwrap(), 1);
    assert_eq!(health(&f, id).await.0, None);
    assert_eq!(f.store.health_sweep().await.unwrap(), 0);
    f.store.result_write_batch(&[ok(series, now)]).await.unwrap();
    assert_eq!(f.store.health_sweep().await.unwrap(), 1);
    assert_eq!(health(&f, id).await.0, Some(Status::Ok));
}

/// Eight writers with overlapping batches in every order: ordered locks cannot deadlock, each row is folded once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_never_deadlock_and_store_each_row_once() {
    let f = fixture().await;
    let mut series = Vec::new();
    for n in 0..40 {
        series.push(series_of(&f.store, put_id(&f.store, &format!("m{n}"), 10).await).await);
    }
    let start = now(&f).await - 3000;
    let tasks: Vec<_> = (0..8)
        .map(|writer: usize| {
            let (store, series) = (connect(&f.dsn), series.clone());
            tokio::spawn(async move {
                let mut stored = 0;
                for round in 0..30 {
                    let mut batch: Vec<NewResult> = series.iter().map(|&s| ok(s, start + round * 10)).collect();
                    let turn = (writer * 13 + round as usize * 7) % batch.len();
                    batch.rotate_left(turn);
                    if writer % 2 == 1 {
                        batch.reverse();
                    }
                    stored += store.result_write_batch(&batch).await.unwrap().stored.len();
                }
                stored
            })
        })
        .collect();
    let mut stored = 0;
    for task in tasks {
        stored += task.await.unwrap();
    }
    assert_eq!(stored, 40 * 30);
    assert_eq!(count(&f, "results").await, 40 * 30);
    assert_eq!(f.store.verify().await.unwrap().faults, Vec::<String>::new());
}

#[tokio::test]
async fn bad_values_are_data_errors() {
    let f = fixture().await;
    let series = series_of(&f.store, put_id(&f.store, "a", 10).await).await;
    let now = now(&f).await;
    // Not a fault of the data for PostgreSQL: kept, and the rollup leaves it out.
    let mut nan = ok(series, now);
    nan.value = Some(f32::NAN);
    nan.reason = Reason::Ok;
    f.store.result_write_batch(&[nan]).await.unwrap();
    assert_eq!(f.store.verify().await.unwrap().faults, Vec::<String>::new());
    let too_many = vec![ok(series, now); nanomon_sql::results::BATCH_MAX + 1];
    assert!(f.store.result_write_batch(&too_many).await.is_err());
    assert_eq!(f.store.result_write_batch(&[]).await.unwrap(), nanomon_sql::results::BatchReport::default());
}
