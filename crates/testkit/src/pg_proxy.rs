//! A faulty way to PostgreSQL: cuts between COMMIT and its answer, withholds answers, swallows everything without a word.
//!
//! It understands the server's messages only as far as needed: their length, and the tag of a finished command. So it works
//! without TLS, and a `CancelRequest` passes as any other connection. Faults begin and end while connections are open.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream, UnixStream, unix};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::guard::Running;
use crate::postgres::Postgres;

/// What the way does to what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// The answer to every n-th COMMIT is lost: PostgreSQL has committed, the client sees its connection break. 1: every one.
    CutAfterCommit(u64),
    /// Each answer arrives this much later; pipelined ones do not add up.
    Delay(Duration),
    /// Connections stay open and nothing passes, in either direction, ever again: not after the fault has ended either, as
    /// when a firewall has forgotten them. New ones are accepted and swallowed likewise, for as long as it lasts.
    BlackHole,
    /// The next connection that begins a transaction is swallowed in the middle of it, as if its client had frozen there:
    /// what it locked stays locked until PostgreSQL itself loses patience.
    SwallowAtBegin,
}

/// The proxy. Dropped, it and all its connections end.
#[derive(Debug)]
pub struct PgProxy {
    addr: SocketAddr,
    fault: watch::Sender<Fault>,
    counts: Arc<Counts>,
    _running: Running,
}

#[derive(Debug, Default)]
struct Counts {
    commits: AtomicU64,
    cut: AtomicU64,
    swallowed: AtomicU64,
}

impl PgProxy {
    /// Starts before this server, on a free port of 127.0.0.1.
    pub async fn start(postgres: &Postgres) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("binding the proxy")?;
        let addr = listener.local_addr()?;
        let (fault, seen) = watch::channel(Fault::None);
        let counts = Arc::new(Counts::default());
        let running = Running::spawn(serve(listener, postgres.socket(), seen, counts.clone()));
        Ok(Self { addr, fault, counts, _running: running })
    }

    /// The DSN of a database by this way.
    pub fn dsn(&self, database: &str) -> String {
        format!("host=127.0.0.1 port={} user=nanomon dbname={database} sslmode=disable", self.addr.port())
    }

    /// Begins a fault, or ends it with [`Fault::None`].
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// COMMITs whose answers reached this proxy.
    pub fn commits(&self) -> u64 {
        self.counts.commits.load(Ordering::Relaxed)
    }

    /// Connections that were cut after a COMMIT.
    pub fn cut(&self) -> u64 {
        self.counts.cut.load(Ordering::Relaxed)
    }

    /// Connections that were swallowed.
    pub fn swallowed(&self) -> u64 {
        self.counts.swallowed.load(Ordering::Relaxed)
    }
}

async fn serve(listener: TcpListener, upstream: PathBuf, fault: watch::Receiver<Fault>, counts: Arc<Counts>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        let _ = client.set_nodelay(true);
        connections.spawn(pass(client, upstream.clone(), fault.clone(), counts.clone()));
    }
}

/// One connection, until either side ends it or a fault does.
async fn pass(client: TcpStream, upstream: PathBuf, mut fault: watch::Receiver<Fault>, counts: Arc<Counts>) {
    let Ok(server) = UnixStream::connect(upstream).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mut until = fault.clone();
    let ended = tokio::select! {
        biased;
        // The sender lives as long as the proxy.
        _ = until.wait_for(|fault| *fault == Fault::BlackHole) => End::Swallowed,
        ended = converse(&mut from_client, &mut to_server, &mut from_server, &mut to_client, &fault, &counts) => ended,
    };
    if ended == End::Closed {
        return;
    }
    // All four halves stay open: neither side hears of it.
    counts.swallowed.fetch_add(1, Ordering::Relaxed);
    let mut nowhere = [0; 4096];
    while from_client.read(&mut nowhere).await.is_ok_and(|read| read > 0) {}
    // The client has given up; PostgreSQL cannot know before the way is back.
    let _ = fault.wait_for(|fault| !matches!(fault, Fault::BlackHole | Fault::SwallowAtBegin)).await;
}

/// How a conversation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Closed,
    Swallowed,
}

async fn converse(
    from_client: &mut OwnedReadHalf,
    to_server: &mut unix::OwnedWriteHalf,
    from_server: &mut unix::OwnedReadHalf,
    to_client: &mut OwnedWriteHalf,
    fault: &watch::Receiver<Fault>,
    counts: &Counts,
) -> End {
    let (queue, mut queued) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let upwards = tokio::io::copy(from_client, to_server);
    let answers = async {
        let mut messages = Messages::default();
        while let Some(message) = messages.next(from_server).await {
            let fault = *fault.borrow();
            if fault == Fault::SwallowAtBegin && is_complete(&message, b"BEGIN\0") {
                return End::Swallowed;
            }
            if is_complete(&message, b"COMMIT\0") {
                let commits = counts.commits.fetch_add(1, Ordering::Relaxed) + 1;
                if let Fault::CutAfterCommit(every) = fault
                    && commits.is_multiple_of(every.max(1))
                {
                    counts.cut.fetch_add(1, Ordering::Relaxed);
                    return End::Closed;
                }
            }
            let delay = if let Fault::Delay(delay) = fault { delay } else { Duration::ZERO };
            if queue.send((Instant::now() + delay, message)).is_err() {
                return End::Closed;
            }
        }
        // What is on its way still arrives.
        drop(queue);
        std::future::pending().await
    };
    let downwards = async {
        while let Some((due, message)) = queued.recv().await {
            tokio::time::sleep_until(due).await;
            if to_client.write_all(&message).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = upwards => End::Closed,
        ended = answers => ended,
        () = downwards => End::Closed,
    }
}

/// The server's messages: a type byte, a length that counts itself, the rest.
#[derive(Default)]
struct Messages {
    buffer: Vec<u8>,
}

impl Messages {
    /// The next whole message; `None` at the end.
    async fn next(&mut self, from: &mut unix::OwnedReadHalf) -> Option<Vec<u8>> {
        loop {
            if let Some(length) = self.buffer.get(1..5) {
                let length = 1 + u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
                if self.buffer.len() >= length {
                    let rest = self.buffer.split_off(length);
                    return Some(std::mem::replace(&mut self.buffer, rest));
                }
            }
            if from.read_buf(&mut self.buffer).await.ok()? == 0 {
                return None;
            }
        }
    }
}

/// `CommandComplete` with this tag. (A COMMIT of a failed transaction answers ROLLBACK.)
fn is_complete(message: &[u8], tag: &[u8]) -> bool {
    message.first() == Some(&b'C') && message.get(5..) == Some(tag)
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;
    use crate::postgres::connect;

    const SOON: Duration = Duration::from_secs(20);

    async fn rows(dsn: &str) -> i64 {
        connect(dsn).await.unwrap().query_one("select count(*) from t", &[]).await.unwrap().get(0)
    }

    #[tokio::test]
    async fn each_fault_is_what_it_says() {
        let postgres = Postgres::shared().await;
        let name = postgres.create_database().await.unwrap();
        let direct = postgres.dsn(&name);
        let proxy = PgProxy::start(postgres).await.unwrap();
        let way = proxy.dsn(&name);
        let client = connect(&way).await.unwrap();
        client.batch_execute("create table t (a int)").await.unwrap();

        // The second COMMIT's answer is lost, and yet it holds.
        proxy.set(Fault::CutAfterCommit(2));
        client.batch_execute("begin; insert into t values (1); commit").await.unwrap();
        let lost = client.batch_execute("begin; insert into t values (2); commit").await.unwrap_err();
        assert!(lost.is_closed(), "{lost}");
        assert_eq!((rows(&direct).await, proxy.commits(), proxy.cut()), (2, 2, 1));

        // Late answers are late once, however many are asked for together.
        proxy.set(Fault::None);
        let client = connect(&way).await.unwrap();
        let late = Duration::from_millis(300);
        proxy.set(Fault::Delay(late));
        let asked = Instant::now();
        let (a, b) = tokio::join!(client.simple_query("select 1"), client.simple_query("select 2"));
        assert!(a.is_ok() && b.is_ok());
        assert!(asked.elapsed() >= late);
        assert!(asked.elapsed() < 2 * late, "pipelined answers do not add up: {:?}", asked.elapsed());

        // Swallowed: no answer, no end; and not afterwards either, but for new connections.
        proxy.set(Fault::BlackHole);
        assert!(timeout(2 * late, client.simple_query("select 1")).await.is_err());
        assert!(!client.is_closed() && proxy.swallowed() == 1);
        assert!(timeout(late, connect(&way)).await.is_err());
        proxy.set(Fault::None);
        assert!(timeout(late, client.simple_query("select 1")).await.is_err());
        assert_eq!(timeout(SOON, rows(&way)).await.unwrap(), 2);

        // Frozen inside a transaction: its lock stays.
        let client = connect(&way).await.unwrap();
        let swallowed = proxy.swallowed();
        proxy.set(Fault::SwallowAtBegin);
        assert!(timeout(late, client.batch_execute("begin; lock table t")).await.is_err());
        assert!(!client.is_closed() && proxy.swallowed() == swallowed + 1);
        let other = connect(&direct).await.unwrap();
        let waits = other.batch_execute("set lock_timeout = '100ms'; insert into t values (3)").await.unwrap_err();
        assert_eq!(waits.code(), Some(&tokio_postgres::error::SqlState::LOCK_NOT_AVAILABLE));
    }
}
