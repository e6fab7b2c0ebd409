//! What all tests need: a migrated database, and definitions to fill it.

use std::time::Duration;

use nanomon_core::monitor::{HttpTarget, Target};
use nanomon_core::status::Phases;
use nanomon_core::{MonitorDef, Reason, Status, Verdict};
use nanomon_sql::monitors::{MonitorWrite, Source, Written};
use nanomon_sql::results::NewResult;
use nanomon_sql::{MonitorId, SeriesId, Settings, Slot, Store};
use nanomon_testkit::postgres::Postgres;
use serde_json::json;
use uuid::Uuid;

/// The installation that the tests write as.
pub const INSTALLATION: &str = "test";

/// A migrated database of its own.
pub async fn store() -> Store {
    fixture().await.store
}

/// A migrated database with its DSN and a plain connection.
pub struct Fixture {
    pub store: Store,
    pub dsn: String,
    pub sql: tokio_postgres::Client,
}

/// See [`Fixture`].
pub async fn fixture() -> Fixture {
    let dsn = Postgres::shared().await.create_dsn().await.unwrap();
    let store = connect(&dsn);
    store.migrate().await.unwrap();
    let sql = nanomon_testkit::postgres::connect(&dsn).await.unwrap();
    Fixture { store, dsn, sql }
}

/// Another process's handle to the same database.
pub fn connect(dsn: &str) -> Store {
    Store::new(&Settings::parse(dsn, None).unwrap().with_pool(4, "nanomon-test")).unwrap()
}

/// A definition that probes every `interval_s` in the pool `default`.
pub fn def(name: &str, interval_s: u64) -> MonitorDef {
    MonitorDef {
        display_name: name.to_owned(),
        group: "default".to_owned(),
        interval: Duration::from_secs(interval_s),
        suspended: false,
        target: Target::Http(HttpTarget {
            url: format!("http://127.0.0.1:9/{name}"),
            method: "GET".to_owned(),
            timeout: Duration::from_millis(500),
            headers: vec![],
            body: String::new(),
            body_regex: None,
            validate_tls: true,
            follow_redirects: true,
        }),
        rule: Some("status == 200".to_owned()),
        pools: vec!["default".to_owned()],
    }
}

/// A write of that definition; the uid follows from the name.
pub fn write(name: &str, def: MonitorDef) -> MonitorWrite {
    let mut uid = [0_u8; 16];
    for (index, byte) in name.bytes().enumerate() {
        uid[index % 16] = uid[index % 16].wrapping_mul(31).wrapping_add(byte);
    }
    MonitorWrite {
        id: None,
        uid: Uuid::from_bytes(uid),
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        source: Source::Kubernetes,
        spec: json!({"interval": format!("{}s", def.interval.as_secs()), "suspend": def.suspended, "pools": def.pools}),
        def,
        generation: 1,
        meta: json!({"labels": {}}),
    }
}

/// Writes one definition.
pub async fn put(store: &Store, name: &str, def: MonitorDef) -> Written {
    store.monitor_write_batch(INSTALLATION, None, &[write(name, def)]).await.unwrap()[0]
}

/// Writes one definition and answers its id.
pub async fn put_id(store: &Store, name: &str, interval_s: u64) -> MonitorId {
    put(store, name, def(name, interval_s)).await.id
}

/// The one series of a monitor.
pub async fn series_of(store: &Store, id: MonitorId) -> SeriesId {
    store.monitor_get(id).await.unwrap().unwrap().series[0].id
}

/// An OK result.
pub fn ok(series_id: SeriesId, slot: Slot) -> NewResult {
    result(series_id, slot, Status::Ok)
}

/// A result with this status.
pub fn result(series_id: SeriesId, slot: Slot, status: Status) -> NewResult {
    NewResult {
        series_id,
        slot,
        verdict: Verdict::new(status),
        reason: if status == Status::Ok { Reason::Ok } else { Reason::ConnectRefused },
        value: Some(1.5),
        start_ms: 7,
        runner_id: 1,
        phases: Phases::default(),
        outputs: vec![],
    }
}
