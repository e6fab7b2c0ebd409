//! A database, runners, monitors, and a target that knows who asked it when.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use nanomon_core::monitor::HttpTarget;
use nanomon_core::{MonitorDef, Target};
use nanomon_dealer::DealerConfig;
use nanomon_runner::probe::ProbeConfig;
use nanomon_runner::{MetricsHandle, RunnerConfig};
use nanomon_sql::history::ResultRow;
use nanomon_sql::monitors::{MonitorWrite, Source};
use nanomon_sql::retention::Retention;
use nanomon_sql::{MonitorId, Settings, Store};
use nanomon_testkit::postgres::Postgres;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until something holds; `what` is said if it never does.
pub async fn wait_for<F: Future<Output = Result<bool>>>(what: &str, mut holds: impl FnMut() -> F) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await? {
        if Instant::now() > deadline {
            bail!("{what}: not within {PATIENCE:?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// An empty, migrated database.
pub struct Database {
    pub dsn: String,
    pub store: Store,
    pub settings: Settings,
}

impl Database {
    pub async fn new(postgres: &Postgres) -> Result<Self> {
        // Shown with RUST_LOG=info; a second initialisation in the same process changes nothing.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_test_writer()
            .try_init();
        let dsn = postgres.create_dsn().await?;
        let settings = Settings::parse(&dsn, None)?;
        let store = Store::new(&settings.clone().with_pool(8, "test"))?;
        store.migrate().await?;
        Ok(Self { dsn, store, settings })
    }

    /// A database that is there already, by another way.
    pub fn by(dsn: &str) -> Result<Self> {
        let settings = Settings::parse(dsn, None)?;
        let store = Store::new(&settings.clone().with_pool(8, "test"))?;
        Ok(Self { dsn: dsn.to_owned(), store, settings })
    }

    pub async fn shared() -> Result<Self> {
        Self::new(Postgres::shared().await).await
    }

    /// Writes monitors; a name that exists is changed. Answers their ids.
    pub async fn write(&self, monitors: &[(String, MonitorDef)]) -> Result<Vec<MonitorId>> {
        let mut ids = Vec::new();
        for chunk in monitors.chunks(500) {
            let writes: Vec<MonitorWrite> = chunk.iter().map(|(name, def)| write_of(name, def, uid_of(name))).collect();
            let written = self.store.monitor_write_batch("test", None, &writes).await?;
            ids.extend(written.iter().map(|written| written.id));
        }
        Ok(ids)
    }

    pub async fn write_one(&self, name: &str, def: &MonitorDef) -> Result<MonitorId> {
        Ok(self.write(&[(name.to_owned(), def.clone())]).await?[0])
    }

    pub async fn delete(&self, ids: &[MonitorId]) -> Result<()> {
        self.store.monitor_tombstone_batch("test", None, ids).await?;
        Ok(())
    }

    /// The dealer, as standalone runs it.
    pub fn deal(&self) -> Stopping {
        Stopping::start(|stop| nanomon_dealer::run(self.store.clone(), dealer_config("test dealer"), stop))
    }

    /// A runner in this process.
    pub fn runner(&self, identity: &str) -> Running {
        self.runner_with(identity, |_| {})
    }

    pub fn runner_with(&self, identity: &str, change: impl FnOnce(&mut RunnerConfig)) -> Running {
        let stop = CancellationToken::new();
        let listener = CancellationToken::new();
        let mut config = RunnerConfig::new(identity, identity, ProbeConfig::default());
        config.wakeups = Some(nanomon_sql::notify::listen(&self.settings, listener.clone()));
        change(&mut config);
        let metrics = MetricsHandle::new("default", true);
        let store = Store::new(&self.settings.clone().with_pool(3, identity)).expect("a pool");
        let task = tokio::spawn(nanomon_runner::run(config, store, metrics.clone(), stop.clone()));
        Running { stop, metrics, task, _listener: listener.drop_guard() }
    }

    pub async fn results(&self, id: MonitorId) -> Result<Vec<ResultRow>> {
        Ok(self.store.result_list(id, 1_000).await?)
    }

    /// State, incidents and rollups are what the rows say.
    pub async fn verify(&self) -> Result<()> {
        let report = self.store.verify().await?;
        ensure!(report.faults.is_empty(), "verify: {:#?}", report.faults);
        ensure!(report.rows > 0, "verify looked at nothing");
        Ok(())
    }
}

pub fn dealer_config(holder: &str) -> DealerConfig {
    DealerConfig { holder: holder.to_owned(), takeover_after: Duration::ZERO, retention: Retention::default() }
}

pub fn uid_of(name: &str) -> Uuid {
    let hash = nanomon_core::slot::hash(&nanomon_core::slot::hash(&pad(name)).to_be_bytes());
    Uuid::from_u128(hash)
}

fn pad(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (at, byte) in name.bytes().enumerate() {
        bytes[at % 16] ^= byte.wrapping_mul(at as u8 / 16 + 1);
    }
    bytes
}

pub fn write_of(name: &str, def: &MonitorDef, uid: Uuid) -> MonitorWrite {
    MonitorWrite {
        id: None,
        uid,
        namespace: "default".to_owned(),
        name: name.to_owned(),
        source: Source::Api,
        spec: serde_json::json!({ "test": name }),
        def: def.clone(),
        generation: 1,
        meta: serde_json::json!({}),
    }
}

pub fn http_def(url: &str, interval: Duration) -> MonitorDef {
    MonitorDef {
        display_name: "a test".to_owned(),
        group: "default".to_owned(),
        interval,
        suspended: false,
        target: Target::Http(HttpTarget {
            url: url.to_owned(),
            method: "GET".to_owned(),
            timeout: interval.mul_f64(0.8).min(Duration::from_secs(5)),
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

/// A part that stops when asked or dropped.
pub struct Stopping {
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Stopping {
    pub fn start<F: Future<Output = ()> + Send + 'static>(part: impl FnOnce(CancellationToken) -> F) -> Self {
        let stop = CancellationToken::new();
        let task = AbortOnDropHandle::new(tokio::spawn(part(stop.clone())));
        Self { stop, task }
    }

    pub async fn stop(self) -> Result<()> {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.context("stopping")??;
        Ok(())
    }
}

/// A runner in this process.
pub struct Running {
    stop: CancellationToken,
    pub metrics: MetricsHandle,
    task: JoinHandle<Result<(), nanomon_runner::RunError>>,
    _listener: tokio_util::sync::DropGuard,
}

impl Running {
    /// Asks it to leave and waits until it has.
    pub async fn leave(self) -> Result<()> {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.context("the runner does not leave")???;
        Ok(())
    }

    /// A sample of its metrics, a whole number; -1 if there is none.
    pub fn metric(&self, name: &str) -> i64 {
        let text = self.metrics.render_text(nanomon_service::exposition::Exposition::Text);
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or(-1)
    }
}

/// A target that answers `HTTP 200` at once, or as told, and remembers when it was asked for what.
pub struct Target1 {
    addr: SocketAddr,
    state: Arc<Mutex<TargetState>>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct TargetState {
    hits: BTreeMap<String, Vec<SystemTime>>,
    delay: Duration,
    status: u16,
}

impl Target1 {
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let state = Arc::new(Mutex::new(TargetState { status: 200, ..TargetState::default() }));
        let shared = state.clone();
        let task = tokio::spawn(async move {
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    let shared = shared.clone();
                    tokio::spawn(answer(stream, shared));
                }
            }
        });
        Ok(Self { addr, state, _task: AbortOnDropHandle::new(task) })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, TargetState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.addr)
    }

    pub fn set_status(&self, status: u16) {
        self.lock().status = status;
    }

    pub fn set_delay(&self, delay: Duration) {
        self.lock().delay = delay;
    }

    /// When this path was asked for, as milliseconds of Unix time.
    pub fn hits(&self, path: &str) -> Vec<i64> {
        let state = self.lock();
        let times = state.hits.get(path).into_iter().flatten();
        times.map(|at| at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as i64).collect()
    }

    pub fn paths(&self) -> usize {
        self.lock().hits.len()
    }

    pub fn total(&self) -> usize {
        self.lock().hits.values().map(Vec::len).sum()
    }
}

async fn answer(mut stream: tokio::net::TcpStream, state: Arc<Mutex<TargetState>>) {
    let mut head = Vec::with_capacity(512);
    let mut buffer = [0; 512];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => head.extend_from_slice(&buffer[..read]),
        }
    }
    let path = String::from_utf8_lossy(&head).split(' ').nth(1).unwrap_or("/").trim_start_matches('/').to_owned();
    let (delay, status) = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.hits.entry(path).or_default().push(SystemTime::now());
        (state.delay, state.status)
    };
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let body = format!("HTTP/1.1 {status} x\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    let _ = stream.write_all(body.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// Slots of a monitor that the target's log shows: each hit is put to the newest slot at or before it. A runner's clock is as
/// exact as half a round trip to PostgreSQL, so a hit may be a little early.
pub fn slots_hit(hits: &[i64], uid: Uuid, interval: Duration) -> BTreeMap<i64, u32> {
    let schedule = schedule_of(uid, interval);
    let mut slots = BTreeMap::new();
    for hit in hits {
        *slots.entry(schedule.last_at_or_before(*hit + 50)).or_default() += 1;
    }
    slots
}

pub fn schedule_of(uid: Uuid, interval: Duration) -> nanomon_core::slot::Schedule {
    nanomon_core::slot::Schedule::new(nanomon_core::slot::hash(uid.as_bytes()), interval.as_millis() as u32)
}
