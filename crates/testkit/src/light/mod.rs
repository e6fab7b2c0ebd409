//! The light target: answers `GET /m/<number>` with 1 KiB and closes, and logs each arrival. One thread of its own, no
//! allocation per request, so that it disturbs neither what is measured nor who measures. Its log is the judge of what a
//! runner did.

mod log;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

pub use log::{HitLog, Summary, percentile};

/// How the target behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Behaviour {
    /// The answer is written exactly this long after the request was read.
    pub delay: Duration,
    /// Connections are accepted and never answered.
    pub silent: bool,
    /// TLS with a self-made certificate.
    pub tls: bool,
}

/// A running target on its own thread, which ends when this is dropped.
#[derive(Debug)]
pub struct Target {
    /// Its ports on 127.0.0.1.
    pub ports: Vec<u16>,
    commands: Option<mpsc::Sender<Command>>,
    waker: std::net::SocketAddr,
    hits: Arc<AtomicU64>,
}

enum Command {
    Take(mpsc::Sender<HitLog>),
    Copy(mpsc::Sender<HitLog>),
}

impl Target {
    /// Starts it on this many ports.
    pub fn start(ports: usize, behaviour: Behaviour) -> Result<Self> {
        let (ready, ports_ready) = mpsc::channel();
        let (commands, inbox) = mpsc::channel();
        let hits = Arc::new(AtomicU64::new(0));
        let counter = hits.clone();
        std::thread::Builder::new().name("target".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return };
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, serve(ports, behaviour, counter, ready, inbox));
        })?;
        let (ports, waker) = ports_ready.recv()?;
        Ok(Self { ports, commands: Some(commands), waker, hits })
    }

    /// Requests that were read so far, ever.
    pub fn hits_total(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// The URL under which this number is logged, on the first port.
    pub fn url(&self, number: u32) -> String {
        format!("http://127.0.0.1:{}/m/{number}", self.ports.first().copied().unwrap_or_default())
    }

    /// Takes the log so far and empties it.
    pub fn take_log(&self) -> Result<HitLog> {
        self.ask(Command::Take)
    }

    /// A copy of the log so far.
    pub fn log(&self) -> Result<HitLog> {
        self.ask(Command::Copy)
    }

    fn ask(&self, command: impl FnOnce(mpsc::Sender<HitLog>) -> Command) -> Result<HitLog> {
        let (answer, log) = mpsc::channel();
        self.commands.as_ref().context("the target has ended")?.send(command(answer))?;
        self.wake()?;
        Ok(log.recv()?)
    }

    /// The serving thread sleeps in epoll: a connection to its control port wakes it.
    #[expect(clippy::disallowed_methods, reason = "a test's own socket")]
    fn wake(&self) -> std::io::Result<()> {
        std::net::TcpStream::connect(self.waker).map(drop)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.commands = None;
        // The thread then sees that nobody is there.
        let _ = self.wake();
    }
}

/// What the connections of one target share.
#[derive(Clone)]
struct Log {
    hits: Rc<RefCell<HitLog>>,
    total: Arc<AtomicU64>,
}

async fn serve(
    ports: usize,
    behaviour: Behaviour,
    total: Arc<AtomicU64>,
    ready: mpsc::Sender<(Vec<u16>, std::net::SocketAddr)>,
    inbox: mpsc::Receiver<Command>,
) {
    let log = Log { hits: Rc::default(), total };
    let tls = if behaviour.tls { acceptor().ok() } else { None };
    let mut bound = Vec::new();
    for _ in 0..ports {
        let Ok(listener) = listener() else { return };
        bound.push(listener.local_addr().map(|a| a.port()).unwrap_or_default());
        tokio::task::spawn_local(accept(listener, behaviour, tls.clone(), log.clone()));
    }
    let Ok(control) = listener() else { return };
    let Ok(address) = control.local_addr() else { return };
    if ready.send((bound, address)).is_err() {
        return;
    }
    while control.accept().await.is_ok() {
        loop {
            match inbox.try_recv() {
                Ok(Command::Take(answer)) => {
                    let _ = answer.send(std::mem::take(&mut *log.hits.borrow_mut()));
                }
                Ok(Command::Copy(answer)) => {
                    let _ = answer.send(log.hits.borrow().clone());
                }
                Err(mpsc::TryRecvError::Empty) => break,
                Err(mpsc::TryRecvError::Disconnected) => return,
            }
        }
    }
}

fn listener() -> Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    // A deep backlog: the target must not be what drops connections.
    Ok(socket.listen(4096)?)
}

fn acceptor() -> Result<tokio_rustls::TlsAcceptor> {
    let certified = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into(), "localhost".into()])?;
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der())
        .map_err(anyhow::Error::msg)?;
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)?;
    Ok(tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config)))
}

async fn accept(listener: TcpListener, behaviour: Behaviour, tls: Option<tokio_rustls::TlsAcceptor>, log: Log) {
    let mut held: Vec<TcpStream> = Vec::new();
    while let Ok((stream, _)) = listener.accept().await {
        if behaviour.silent {
            // Held open until the prober gives up; the oldest are long closed by then.
            if held.len() > 20_000 {
                held.drain(..10_000);
            }
            held.push(stream);
            continue;
        }
        let (log, tls) = (log.clone(), tls.clone());
        tokio::task::spawn_local(async move {
            let _ = stream.set_nodelay(true);
            match tls {
                None => answer(stream, behaviour, log).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        answer(stream, behaviour, log).await;
                    }
                }
            }
        });
    }
}

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 1024\r\nconnection: close\r\n\r\n";

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, behaviour: Behaviour, log: Log) {
    let mut buffer = [0u8; 2048];
    let mut filled = 0;
    loop {
        match stream.read(&mut buffer[filled..]).await {
            Ok(0) | Err(_) => return,
            Ok(n) => filled += n,
        }
        if buffer[..filled].windows(4).any(|w| w == b"\r\n\r\n") {
            break;
        }
        if filled == buffer.len() {
            return;
        }
    }
    let arrived = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as i64;
    let started = std::time::Instant::now();
    // GET /m/123 HTTP/1.1
    let number = buffer[..filled].strip_prefix(b"GET /m/").map(|rest| {
        rest.iter().take_while(|b| b.is_ascii_digit()).fold(0u32, |n, b| n.wrapping_mul(10) + u32::from(b - b'0'))
    });
    if let Some(number) = number {
        log.hits.borrow_mut().hits.entry(number).or_default().push(arrived);
        log.total.fetch_add(1, Ordering::Relaxed);
    }
    if !behaviour.delay.is_zero() {
        let _ = wait_exactly(behaviour.delay.saturating_sub(started.elapsed())).await;
    }
    let mut body = [b'x'; ANSWER.len() + 1024];
    body[..ANSWER.len()].copy_from_slice(ANSWER.as_bytes());
    if stream.write_all(&body).await.is_ok() {
        let _ = stream.shutdown().await;
    }
}

/// A kernel timer of its own: tokio's has steps of 1 ms.
#[expect(deprecated, reason = "its successor is unsafe, for descriptors that are not owned; this one is")]
async fn wait_exactly(delay: Duration) -> Result<()> {
    use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
    let timer =
        rustix::time::timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
    let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
    let value = Timespec { tv_sec: delay.as_secs() as i64, tv_nsec: i64::from(delay.subsec_nanos()).max(1) };
    rustix::time::timerfd_settime(
        &timer,
        TimerfdTimerFlags::empty(),
        &Itimerspec { it_interval: zero, it_value: value },
    )?;
    let _ready = tokio::io::unix::AsyncFd::new(timer)?.readable().await?;
    Ok(())
}
