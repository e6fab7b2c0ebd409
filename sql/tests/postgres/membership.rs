//! Runners, leases, the shard map, wake-ups.

use std::collections::BTreeSet;
use std::time::Duration;

use nanomon_sql::notify::{Channel, Wakeup, listen};
use nanomon_sql::runners::Heartbeat;
use nanomon_sql::shards::ShardMove;
use nanomon_sql::{Settings, StoreError};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::{connect, fixture, put_id, store};

const TTL: Duration = Duration::from_secs(30);

fn beat(identity: &str, runner_id: i16) -> Heartbeat {
    let identity = identity.to_owned();
    Heartbeat { runner_id, identity, backlog_from: None, rate: 1.5, lag_ms: 3, offset_ms: -2, draining: false }
}

#[tokio::test]
async fn a_runner_registers_beats_leaves_and_comes_back() {
    let f = fixture().await;
    let id = f.store.runner_register("pod-1", "runner-a", 1, "0.1").await.unwrap();
    assert_eq!(f.store.runner_register("pod-1", "runner-a", 1, "0.2").await.unwrap(), id);
    let other = f.store.runner_register("pod-2", "runner-b", 1, "0.2").await.unwrap();
    assert_ne!(id, other);
    let answer = f.store.runner_heartbeat(&beat("pod-1", id)).await.unwrap();
    let now: f64 = f.sql.query_one("select extract(epoch from now())::float8", &[]).await.unwrap().get(0);
    assert!((answer.now_us as f64 / 1e6 - now).abs() < 5.0);
    assert!(answer.known && !answer.requests_waiting);
    let rows = f.store.runner_list().await.unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[0].rate, rows[0].offset_ms, rows[0].version.as_str()), (1.5, -2, "0.2"));
    assert!(rows[0].silent_s < 5.0);

    assert!(!f.store.runner_bury(id, Duration::from_mins(1)).await.unwrap(), "it was heard just now");
    f.store.runner_leave(id).await.unwrap();
    assert!(!f.store.runner_bury(id, Duration::ZERO).await.unwrap(), "it has left already");
    assert!(!f.store.runner_heartbeat(&beat("pod-1", id)).await.unwrap().known);
    assert_eq!(f.store.runner_list().await.unwrap().len(), 1);
    // Its results still name it: a newcomer gets another id, unless retention has removed them all.
    let newcomer = f.store.runner_register("pod-3", "runner-c", 1, "0.2").await.unwrap();
    assert!(newcomer != id && newcomer != other);
    f.sql
        .batch_execute("update kept set from_slot = extract(epoch from now() + interval '1 day')::int4")
        .await
        .unwrap();
    assert_eq!(f.store.runner_register("pod-4", "runner-d", 1, "0.2").await.unwrap(), id);
    // Who had it before and wakes up now is not taken for it, and learns that it is somebody else.
    assert!(!f.store.runner_heartbeat(&beat("pod-1", id)).await.unwrap().known);
    assert!(f.store.runner_heartbeat(&beat("pod-4", id)).await.unwrap().known);
    assert_ne!(f.store.runner_register("pod-1", "runner-a", 1, "0.2").await.unwrap(), id);
}

#[tokio::test]
async fn one_lease_has_one_holder_and_each_taking_a_new_epoch() {
    let f = fixture().await;
    assert!(f.store.lease_idle("dealer").await.unwrap().is_some());
    assert!(f.store.lease_idle("other").await.unwrap().is_some(), "counts from the migration");
    let first = f.store.lease_take("dealer", "a", TTL).await.unwrap().unwrap();
    assert_eq!(f.store.lease_idle("dealer").await.unwrap(), None);
    assert_eq!(f.store.lease_take("dealer", "b", TTL).await.unwrap(), None);
    assert_eq!(f.store.lease_take("dealer", "a", TTL).await.unwrap(), Some(first));
    f.store.lease_release("dealer", "b").await.unwrap();
    assert_eq!(f.store.lease_take("dealer", "b", TTL).await.unwrap(), None);
    f.store.lease_release("dealer", "a").await.unwrap();
    let second = f.store.lease_take("dealer", "b", TTL).await.unwrap().unwrap();
    assert!(second.epoch > first.epoch);
    f.sql.batch_execute("update leases set until = now() - interval '7 seconds'").await.unwrap();
    let idle = f.store.lease_idle("dealer").await.unwrap().unwrap();
    assert!((7.0..20.0).contains(&idle.as_secs_f64()), "{idle:?}");

    let takers = (0..8).map(|n| {
        let store = connect(&f.dsn);
        async move { store.lease_take("dealer", &format!("t{n}"), TTL).await.unwrap() }
    });
    let won: Vec<_> = futures::future::join_all(takers).await.into_iter().flatten().collect();
    assert_eq!(won.len(), 1);
    assert!(won[0].epoch > second.epoch);
}

#[tokio::test]
async fn shards_are_dealt_handed_over_and_taken_from_the_dead() {
    let f = fixture().await;
    let (a, b) = (
        f.store.runner_register("a", "a", 1, "1").await.unwrap(),
        f.store.runner_register("b", "b", 1, "1").await.unwrap(),
    );
    let (epoch, rows) = f.store.shard_list(1).await.unwrap();
    assert_eq!((epoch, rows.len()), (0, 1024));
    assert!(rows.iter().all(|row| row.owner.is_none() && row.next.is_none()));
    let lease = f.store.lease_take("dealer", "d", TTL).await.unwrap().unwrap().epoch;
    let give = |bucket, to, at_once| ShardMove { bucket, to, at_once };

    // Nobody owns them: at once, whatever was asked.
    let epoch = f.store.shard_move_batch(lease, 1, &[give(0, a, false), give(1, a, true)]).await.unwrap();
    assert_eq!(epoch, 1);
    assert_eq!(f.store.shard_move_batch(lease, 1, &[give(0, a, false)]).await.unwrap(), 1, "nothing changed");
    let (_, mine) = f.store.shard_list_of(a).await.unwrap();
    assert_eq!(
        mine.iter().map(|row| (row.bucket, row.owner, row.next)).collect::<Vec<_>>(),
        [(0, Some(a), None), (1, Some(a), None)]
    );

    // A hand-over: named, cut by the newcomer, settled when the cut has passed.
    let epoch = f.store.shard_move_batch(lease, 1, &[give(0, b, false), give(1, b, false)]).await.unwrap();
    assert_eq!(epoch, 2);
    assert!(f.store.shard_cut_batch(a, &[0]).await.unwrap().is_empty(), "only the one named may cut");
    let cut = f.store.shard_cut_batch(b, &[0, 7]).await.unwrap();
    assert_eq!(cut.len(), 1);
    assert!(f.store.shard_cut_batch(b, &[0]).await.unwrap().is_empty(), "a cut stands");
    assert_eq!(f.store.heads_read().await.unwrap().map_epoch, 3);
    let now_ms: i64 = f.sql.query_one("select (extract(epoch from now()) * 1000)::int8", &[]).await.unwrap().get(0);
    assert!((cut[0].1 - now_ms - 3000).abs() < 2500, "{cut:?} {now_ms}");
    assert_eq!(f.store.shard_settle(lease).await.unwrap(), 0);
    f.store.shard_move_batch(lease, 1, &[give(0, a, false), give(1, a, false)]).await.unwrap();
    let (_, rows) = f.store.shard_list_of(b).await.unwrap();
    assert_eq!(rows.len(), 1, "the uncut hand-over was taken back, the cut one stands");
    f.sql.batch_execute("update shards set cut_at = now() where cut_at is not null").await.unwrap();
    assert_eq!(f.store.shard_settle(lease).await.unwrap(), 1);
    let (_, rows) = f.store.shard_list_of(b).await.unwrap();
    assert_eq!((rows[0].bucket, rows[0].owner, rows[0].next, rows[0].cut_at_ms), (0, Some(b), None, None));

    f.store.shard_move_batch(lease, 1, &[give(0, a, true)]).await.unwrap();
    assert!(f.store.shard_list_of(b).await.unwrap().1.is_empty());

    let old = lease;
    f.store.lease_release("dealer", "d").await.unwrap();
    assert!(matches!(f.store.shard_move_batch(old, 1, &[give(3, b, true)]).await, Err(StoreError::Fenced)));
    let new = f.store.lease_take("dealer", "e", TTL).await.unwrap().unwrap().epoch;
    assert!(matches!(f.store.shard_move_batch(old, 1, &[give(3, b, true)]).await, Err(StoreError::Fenced)));
    f.store.shard_move_batch(new, 1, &[give(3, b, true)]).await.unwrap();
}

#[tokio::test]
async fn rates_count_what_really_runs() {
    let store = store().await;
    let id = put_id(&store, "a", 4).await;
    put_id(&store, "b", 10).await;
    let gone = put_id(&store, "gone", 1).await;
    store.monitor_tombstone_batch(crate::support::INSTALLATION, None, &[gone]).await.unwrap();
    let mut suspended = crate::support::def("s", 1);
    suspended.suspended = true;
    crate::support::put(&store, "s", suspended).await;
    let rates = store.shard_rates(1).await.unwrap();
    let total: f64 = rates.iter().map(|(_, rate)| rate).sum();
    assert!((total - 0.35).abs() < 1e-9, "{rates:?}");
    let bucket = store.monitor_get(id).await.unwrap().unwrap().bucket;
    assert!(rates.iter().any(|&(b, rate)| b == bucket && rate >= 0.25));
    assert!(store.shard_rates(2).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_listener_wakes_and_says_when_it_may_have_missed_something() {
    let f = fixture().await;
    let stop = CancellationToken::new();
    let sender = listen(&Settings::parse(&f.dsn, None).unwrap(), stop.clone());
    let mut receiver = sender.subscribe();
    let mut next = async || timeout(Duration::from_secs(20), receiver.recv()).await.expect("a wake-up").unwrap();
    assert_eq!(next().await, Wakeup::Reconnected);
    put_id(&f.store, "a", 10).await;
    assert_eq!(next().await, Wakeup::Notified(Channel::Monitors));
    f.sql
        .batch_execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where query like 'listen%' \
             and datname = current_database()",
        )
        .await
        .unwrap();
    assert_eq!(next().await, Wakeup::Reconnected);
    f.sql.batch_execute("notify shards_changed").await.unwrap();
    assert_eq!(next().await, Wakeup::Notified(Channel::Shards));
    stop.cancel();
}

/// A flood of changes wakes at most five times a second, and the last change is never swallowed.
#[tokio::test]
async fn wake_ups_are_bounded_and_the_last_one_comes() {
    let f = fixture().await;
    let stop = CancellationToken::new();
    let sender = listen(&Settings::parse(&f.dsn, None).unwrap(), stop.clone());
    let mut receiver = sender.subscribe();
    let mut next = async || timeout(Duration::from_secs(20), receiver.recv()).await.expect("a wake-up").unwrap();
    assert_eq!(next().await, Wakeup::Reconnected);
    let started = std::time::Instant::now();
    let mut names = BTreeSet::new();
    for n in 0..30 {
        let name = format!("m{n}");
        put_id(&f.store, &name, 10).await;
        names.insert(name);
    }
    let mut last = 0;
    let mut wakes = 0;
    while !names.is_empty() {
        assert_eq!(next().await, Wakeup::Notified(Channel::Monitors));
        wakes += 1;
        let changes = f.store.catalog_changes(last, None).await.unwrap();
        last = changes.rev;
        for row in changes.monitors {
            names.remove(&row.name);
        }
    }
    let allowed = 2.0 + started.elapsed().as_secs_f64() * 5.0;
    assert!(f64::from(wakes) <= allowed, "{wakes} wake-ups, {allowed} allowed");
    stop.cancel();
}
