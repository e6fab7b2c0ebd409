//! The dealer against a real PostgreSQL; the runners are rows that these tests keep alive.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use nanomon_core::monitor::TcpTarget;
use nanomon_core::status::Phases;
use nanomon_core::{MonitorDef, Reason, Status, Target, Verdict};
use nanomon_dealer::{DealerConfig, LEASE};
use nanomon_sql::monitors::{MonitorWrite, Source};
use nanomon_sql::results::NewResult;
use nanomon_sql::retention::Retention;
use nanomon_sql::runners::Heartbeat;
use nanomon_sql::shards::{ShardMove, ShardRow};
use nanomon_sql::{PoolId, RunnerId, Settings, Store, StoreError};
use nanomon_testkit::postgres::{Options, Postgres};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

const PATIENCE: Duration = Duration::from_secs(40);

struct World {
    store: Store,
    pool: PoolId,
    dsn: String,
}

/// A member that is alive until dropped.
struct Member {
    id: RunnerId,
    _beats: AbortOnDropHandle<()>,
}

struct Dealer {
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl World {
    async fn new() -> Result<Self> {
        Self::on(Postgres::shared().await).await
    }

    async fn on(postgres: &Postgres) -> Result<Self> {
        let dsn = postgres.create_dsn().await?;
        let store = Store::new(&Settings::parse(&dsn, None)?.with_pool(6, "test"))?;
        store.migrate().await?;
        let pool = store.pool_ensure("default").await?;
        Ok(Self { store, pool, dsn })
    }

    async fn member(&self, identity: &str, draining: bool) -> Result<Member> {
        let id = self.store.runner_register(identity, identity, self.pool, "test").await?;
        let beat = beat_of(identity, id, draining);
        self.store.runner_heartbeat(&beat).await?;
        let store = self.store.clone();
        let beats = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(500)).await;
                let _ = store.runner_heartbeat(&beat).await;
            }
        });
        Ok(Member { id, _beats: AbortOnDropHandle::new(beats) })
    }

    fn deal(&self, holder: &str, takeover_after: Duration) -> Dealer {
        let stop = CancellationToken::new();
        let config = DealerConfig { holder: holder.to_owned(), takeover_after, retention: Retention::default() };
        let task = tokio::spawn(nanomon_dealer::run(self.store.clone(), config, stop.clone()));
        Dealer { stop, task: AbortOnDropHandle::new(task) }
    }

    async fn map(&self) -> Result<Vec<ShardRow>> {
        Ok(self.store.shard_list(self.pool).await?.1)
    }

    async fn wait_map(&self, what: &str, holds: impl Fn(&[ShardRow]) -> bool) -> Result<Duration> {
        wait_for(what, || async { Ok(holds(&self.map().await?)) }).await
    }
}

impl Dealer {
    async fn leave(self) -> Result<()> {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await??;
        Ok(())
    }
}

fn beat_of(identity: &str, runner_id: RunnerId, draining: bool) -> Heartbeat {
    let identity = identity.to_owned();
    Heartbeat { runner_id, identity, backlog_from: None, rate: 0.0, lag_ms: 0, offset_ms: 0, draining }
}

async fn wait_for<F: Future<Output = Result<bool>>>(what: &str, mut holds: impl FnMut() -> F) -> Result<Duration> {
    let begin = Instant::now();
    while !holds().await? {
        if begin.elapsed() > PATIENCE {
            bail!("{what}: not within {PATIENCE:?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(begin.elapsed())
}

fn owned_by(map: &[ShardRow], id: RunnerId) -> usize {
    map.iter().filter(|row| row.owner == Some(id)).count()
}

/// Nobody stores results any more, so no batch says that nothing is known: the dealer does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn monitors_that_fell_silent_are_looked_for() -> Result<()> {
    let world = World::new().await?;
    let store = &world.store;
    let target = TcpTarget { host: "127.0.0.1".to_owned(), port: 9, timeout: Duration::from_secs(1) };
    let def = MonitorDef {
        display_name: "a".to_owned(),
        group: "default".to_owned(),
        interval: Duration::from_secs(10),
        suspended: false,
        target: Target::Tcp(target),
        rule: None,
        pools: vec!["default".to_owned()],
    };
    let write = MonitorWrite {
        id: None,
        uid: uuid::Uuid::from_u128(1),
        namespace: "default".to_owned(),
        name: "a".to_owned(),
        source: Source::Api,
        spec: serde_json::json!({}),
        def,
        generation: 1,
        meta: serde_json::json!({}),
    };
    let id = store.monitor_write_batch("test", None, &[write]).await?[0].id;
    let series_id = store.monitor_get(id).await?.context("written")?.series[0].id;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs() as i32;
    let result = NewResult {
        series_id,
        slot: now - 120,
        verdict: Verdict::new(Status::Ok),
        reason: Reason::Ok,
        value: None,
        start_ms: 0,
        runner_id: 1,
        phases: Phases::default(),
        outputs: vec![],
    };
    store.result_write_batch(&[result]).await?;
    let state = || async { anyhow::Ok(store.health_changes(None).await?.1[0].state) };
    ensure!(state().await? == Some(Status::Ok));
    let dealer = world.deal("dealer", Duration::ZERO);
    let took = wait_for("nothing is known of it", || async { Ok(state().await?.is_none()) }).await?;
    ensure!(took >= Duration::from_secs(5), "judged after {took:?}, before a full timeout of own reads");
    dealer.leave().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_are_dealt_moved_by_cut_and_taken_from_the_dead() -> Result<()> {
    let world = World::new().await?;
    let one = world.member("one", false).await?;
    let dealer = world.deal("dealer", Duration::ZERO);
    world.wait_map("the only one has all", |map| owned_by(map, one.id) == 1024).await?;

    let two = world.member("two", false).await?;
    let going = |map: &[ShardRow]| map.iter().filter(|row| row.next == Some(two.id)).count();
    world.wait_map("half is on its way", |map| (450..=570).contains(&going(map))).await?;
    ensure!(owned_by(&world.map().await?, one.id) == 1024, "the owner keeps what is not cut");
    let coming: Vec<i16> =
        world.map().await?.iter().filter(|row| row.next == Some(two.id)).map(|row| row.bucket).collect();
    ensure!(world.store.shard_cut_batch(two.id, &coming).await?.len() == coming.len());
    let took = world.wait_map("the cut has passed", |map| owned_by(map, two.id) == coming.len()).await?;
    ensure!(took >= Duration::from_secs(2), "not before the cut: {took:?}");

    // Dead: its shards go at once, and its row is no member any more.
    let id = two.id;
    drop(two);
    let took = world.wait_map("the dead one's shards are taken", |map| owned_by(map, one.id) == 1024).await?;
    ensure!(took >= Duration::from_secs(4), "declared dead after {took:?}");
    ensure!(world.store.runner_list().await?.iter().all(|row| row.id != id));

    // Leaving: everything goes to the other, by cuts.
    let three = world.member("three", false).await?;
    let leaving = world.member("one", true).await?;
    ensure!(leaving.id == one.id, "the same identity, the same row");
    drop(one);
    world.wait_map("all is on its way", |map| map.iter().all(|row| row.next == Some(three.id))).await?;
    dealer.leave().await
}

/// A fault in one pool's shards is that pool's alone: others are dealt, and their dead are found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_cannot_be_dealt_does_not_hold_up_others() -> Result<()> {
    let world = World::new().await?;
    let other = world.store.pool_ensure("other").await?;
    ensure!(world.pool < other, "the one that fails comes first");
    let client = nanomon_testkit::postgres::connect(&world.dsn).await?;
    let refuse = format!(
        "create function refuse() returns trigger language plpgsql as $$ begin raise exception 'refused'; end $$; \
         create trigger refuse before insert or update on shards for each row when (new.pool_id = {}) \
         execute function refuse()",
        world.pool
    );
    client.batch_execute(&refuse).await?;
    let _stuck = world.member("stuck", false).await?;
    let other = World { store: world.store.clone(), pool: other, dsn: world.dsn.clone() };
    let (one, two) = (other.member("one", false).await?, other.member("two", false).await?);
    let dealer = world.deal("dealer", Duration::ZERO);
    let is_dealt = |map: &[ShardRow]| owned_by(map, one.id) + owned_by(map, two.id) == 1024;
    other.wait_map("the other pool is dealt", is_dealt).await?;
    drop(two);
    other.wait_map("the dead one's shards are taken", |map| owned_by(map, one.id) == 1024).await?;
    // Its turn comes when it can be dealt again.
    client.batch_execute("drop trigger refuse on shards").await?;
    world
        .wait_map("the first pool is dealt", |map| map.len() == 1024 && map.iter().all(|row| row.owner.is_some()))
        .await?;
    dealer.leave().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_deals_at_a_time_and_another_follows() -> Result<()> {
    let world = World::new().await?;
    let first = world.deal("first", Duration::ZERO);
    wait_for("the first deals", || async { Ok(world.store.lease_idle(LEASE).await?.is_none()) }).await?;
    let second = world.deal("second", Duration::ZERO);
    let third = world.deal("third, a runner", Duration::from_secs(10));
    let member = world.member("one", false).await?;
    world.wait_map("dealt", |map| owned_by(map, member.id) == 1024).await?;
    // Given back at its end, so that the next need not wait for the lease to run out.
    first.leave().await?;
    let other = world.member("two", false).await?;
    let took = world.wait_map("the second deals", |map| map.iter().any(|row| row.next == Some(other.id))).await?;
    ensure!(took < Duration::from_secs(10), "{took:?}");
    // Ended without a word: the lease runs out, then the runner waits its ten seconds.
    drop(second);
    wait_for("the lease has run out", || async { Ok(world.store.lease_idle(LEASE).await?.is_some()) }).await?;
    let took = wait_for("the runner holds it", || async { Ok(world.store.lease_idle(LEASE).await?.is_none()) }).await?;
    ensure!(took > Duration::from_secs(8), "a runner waits until nobody else wants it: {took:?}");
    let last = world.member("three", false).await?;
    world.wait_map("and deals", |map| map.iter().any(|row| row.next == Some(last.id))).await?;
    third.leave().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_dealers_writes_are_refused() -> Result<()> {
    let world = World::new().await?;
    let old = world.store.lease_take(LEASE, "old", Duration::from_millis(200)).await?.unwrap();
    let member = world.member("one", false).await?;
    let moves = [ShardMove { bucket: 3, to: member.id, at_once: true }];
    world.store.shard_move_batch(old.epoch, world.pool, &moves).await?;
    wait_for("the lease runs out", || async {
        Ok(world.store.lease_take(LEASE, "new", Duration::from_secs(30)).await?.is_some())
    })
    .await?;
    let refused = world.store.shard_move_batch(old.epoch, world.pool, &[ShardMove { bucket: 4, ..moves[0] }]).await;
    ensure!(matches!(refused, Err(StoreError::Fenced)), "{refused:?}");
    let owned: BTreeSet<i16> =
        world.map().await?.iter().filter(|row| row.owner.is_some()).map(|row| row.bucket).collect();
    ensure!(owned == [3].into(), "{owned:?}");
    Ok(())
}

/// Statements of all sessions so far, by the transactions that PostgreSQL counts.
async fn transactions(client: &tokio_postgres::Client) -> Result<i64> {
    let sql = "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()";
    Ok(client.query_one(sql, &[]).await?.get(0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_dealer_asks_little() -> Result<()> {
    // The server's own errands would be counted too.
    let options = Options { settings: vec!["autovacuum=off".to_owned()], ..Options::default() };
    let postgres = Postgres::start_with(options).await?;
    let world = World::on(&postgres).await?;
    let id = world.store.runner_register("one", "one", world.pool, "test").await?;
    world.store.runner_heartbeat(&beat_of("one", id, false)).await?;
    let dealer = world.deal("dealer", Duration::ZERO);
    world.wait_map("dealt", |map| owned_by(map, id) == 1024).await?;
    let client = nanomon_testkit::postgres::connect(&world.dsn).await?;
    // After the first look at partitions it is quiet. Busy sessions report their counts about once a second, idle ones after
    // ten: until then what they did at the beginning would be counted.
    let begin = Instant::now();
    wait_for("twelve seconds", || async { Ok(begin.elapsed() > Duration::from_secs(12)) }).await?;
    let (before, begin) = (transactions(&client).await?, Instant::now());
    wait_for("eight seconds more", || async { Ok(begin.elapsed() > Duration::from_secs(8)) }).await?;
    let asked = transactions(&client).await? - before;
    ensure!(asked as f64 / begin.elapsed().as_secs_f64() < 2.5, "{asked} statements in {:?}", begin.elapsed());
    dealer.leave().await
}
