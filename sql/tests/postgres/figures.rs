//! What rows cost: bytes on disk, HOT updates, server CPU. `cargo test -p nanomon-sql figures -- --nocapture` prints them.

use std::fs;
use std::time::{Duration, Instant};

use nanomon_core::codec::encode;
use nanomon_core::status::Phases;
use nanomon_core::{OutputId, Outputs, ProbeType};
use nanomon_sql::results::NewResult;
use nanomon_sql::{SeriesId, Slot, Store};
use nanomon_testkit::postgres::{Options, Postgres};

use crate::support::{INSTALLATION, connect, def, ok, write};

/// What an HTTP run stores.
fn http_result(series: SeriesId, slot: Slot, salt: i32) -> NewResult {
    let mut outputs = Outputs::default();
    let value = 3.0 + f64::from(salt % 997) / 250.0;
    outputs.set_number(OutputId::RESP_TIME, f64::from(value as f32));
    outputs.set_number(OutputId::CONNECT_TIME, value * 0.2);
    outputs.set_number(OutputId::FIRST_BYTE_TIME, value * 0.6);
    outputs.set_number(OutputId::TRANSFER_TIME, value * 0.2);
    outputs.set_number(OutputId::STATUS, 200.0);
    outputs.set_number(OutputId::BODY_LEN, 1024.0);
    outputs.set_text(OutputId::IP_ADDRESS, "127.0.0.1");
    outputs.set_text(OutputId::HTTP_VERSION, "1.1");
    let mut result = ok(series, slot);
    result.value = Some(value as f32);
    result.start_ms = (salt % 1000) as i16;
    result.outputs = encode(ProbeType::Http, &outputs, result.value);
    result.phases = Phases::from_outputs(&outputs);
    result
}

async fn series(store: &Store, count: usize) -> Vec<SeriesId> {
    let writes: Vec<_> = (0..count).map(|n| write(&format!("m{n:05}"), def(&format!("m{n:05}"), 10))).collect();
    for batch in writes.chunks(500) {
        store.monitor_write_batch(INSTALLATION, None, batch).await.unwrap();
    }
    store.board_read().await.unwrap().iter().map(|row| row.series_id).collect()
}

/// User and system time of processes in seconds, ended children included.
fn cpu(pids: &[u32]) -> f64 {
    let ticks: u64 = pids
        .iter()
        .filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/stat")).ok())
        .filter_map(|stat| {
            let fields: Vec<u64> = stat
                .rsplit(')')
                .next()?
                .split_ascii_whitespace()
                .skip(11)
                .take(4)
                .filter_map(|f| f.parse().ok())
                .collect();
            Some(fields.iter().sum::<u64>())
        })
        .sum();
    ticks as f64 / 100.0
}

#[tokio::test]
async fn figures_rows_are_small_updates_are_hot_and_batches_cheap() {
    const SERIES: usize = 2_000;
    const ROUNDS: i32 = 110;
    let settings = vec!["autovacuum_naptime=1s".to_owned(), "shared_buffers=512MB".to_owned()];
    let postgres = Postgres::start_with(Options { settings, ..Options::default() }).await.unwrap();
    let dsn = postgres.create_dsn().await.unwrap();
    let store = connect(&dsn);
    store.migrate().await.unwrap();
    let sql = nanomon_testkit::postgres::connect(&dsn).await.unwrap();
    let series = series(&store, SERIES).await;
    let now: Slot = sql.query_one("select floor(extract(epoch from now()))::int4", &[]).await.unwrap().get(0);
    let start = now - ROUNDS * 10;

    for (size, rounds) in [(1_000, 0..100), (100, 100..ROUNDS)] {
        let (before, own, began) = (cpu(&postgres.pids().unwrap()), cpu(&[std::process::id()]), Instant::now());
        let mut rows = 0;
        for round in rounds {
            for (chunk, ids) in series.chunks(size).enumerate() {
                let batch: Vec<NewResult> = ids
                    .iter()
                    .enumerate()
                    .map(|(n, &id)| http_result(id, start + round * 10, round * 31 + (chunk * size + n) as i32))
                    .collect();
                rows += store.result_write_batch(&batch).await.unwrap().stored.len();
            }
        }
        let thousands = rows as f64 / 1000.0;
        println!(
            "{size} rows a batch: server {:.4}, client (unoptimised, batches made) {:.4} CPU-s per 1,000 rows; {:.0} rows/s",
            (cpu(&postgres.pids().unwrap()) - before) / thousands,
            (cpu(&[std::process::id()]) - own) / thousands,
            rows as f64 / began.elapsed().as_secs_f64(),
        );
    }
    let bytes = "select sum(pg_total_relation_size(inhrelid))::float8 / (select count(*) from results) \
        from pg_inherits where inhparent = 'results'::regclass";
    let bytes: f64 = sql.query_one(bytes, &[]).await.unwrap().get(0);
    println!("{bytes:.1} bytes per HTTP result, outputs and indexes included");
    assert!(bytes <= 120.0, "{bytes}");

    // The statistics of a session come when it ends.
    store.close();
    let hot = "select n_tup_upd, n_tup_hot_upd, pg_relation_size(relid) from pg_stat_user_tables \
        where relname = 'monitor_states'";
    let deadline = Instant::now() + Duration::from_secs(30);
    let (updates, hot, size) = loop {
        let row = sql.query_one(hot, &[]).await.unwrap();
        let (updates, hot, size): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
        if updates >= SERIES as i64 * i64::from(ROUNDS) {
            break (updates, hot, size);
        }
        assert!(Instant::now() < deadline, "the statistics did not come: {updates} updates");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let share = hot as f64 / updates as f64;
    println!(
        "{updates} state updates, {:.1} % HOT, table {:.0} bytes per series",
        share * 100.0,
        size as f64 / SERIES as f64
    );
    assert!(share >= 0.95, "{share}");
    assert!(size as f64 / (SERIES as f64) < 4.0 * 400.0, "{size}");
}
