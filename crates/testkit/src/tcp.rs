//! TCP ports in every state that a probe can meet, and a server that plays a script on each connection.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::ServerConfig;
use socket2::{Domain, SockRef, Socket, Type};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::guard::Running;

/// One thing that a scripted server does on a connection.
#[derive(Clone, Debug)]
pub enum Step {
    /// Reads until the peer's request head has come (an empty line).
    ReadHead,
    /// Reads at least one byte; a peer that is gone ends the script.
    ReadSome,
    /// Writes these bytes.
    Write(Vec<u8>),
    /// Writes one byte after the other with this pause between them.
    Dribble(Vec<u8>, Duration),
    /// Writes these bytes again and again until the peer is gone.
    WriteForever(Vec<u8>),
    /// Waits.
    Pause(Duration),
    /// Keeps the connection open and does nothing until the peer is gone.
    Hang,
    /// Closes with a reset instead of an end; ends the script.
    Reset,
}

/// A server that plays the same script on each connection and then closes it.
#[derive(Debug)]
pub struct ScriptServer {
    addr: SocketAddr,
    accepted: Arc<AtomicUsize>,
    _running: Running,
}

impl ScriptServer {
    /// Starts on 127.0.0.1.
    pub async fn start(script: Vec<Step>) -> Result<Self> {
        Self::start_on(Ipv4Addr::LOCALHOST.into(), script).await
    }

    /// Starts on a free port of this address.
    pub async fn start_on(ip: IpAddr, script: Vec<Step>) -> Result<Self> {
        Self::start_at(SocketAddr::new(ip, 0), script).await
    }

    /// Starts on this port of this address.
    pub async fn start_at(addr: SocketAddr, script: Vec<Step>) -> Result<Self> {
        Self::serve(addr, None, script).await
    }

    /// Starts on 127.0.0.1 and plays the script inside TLS, once hands are shaken.
    pub async fn start_tls(config: Arc<ServerConfig>, script: Vec<Step>) -> Result<Self> {
        Self::serve(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), Some(TlsAcceptor::from(config)), script).await
    }

    async fn serve(addr: SocketAddr, tls: Option<TlsAcceptor>, script: Vec<Step>) -> Result<Self> {
        let listener = TcpListener::bind(addr).await.context("binding the scripted server")?;
        let addr = listener.local_addr()?;
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = accepted.clone();
        let script: Arc<[Step]> = script.into();
        let running = Running::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let (script, tls) = (script.clone(), tls.clone());
                connections.spawn(async move {
                    // A peer that is gone ends the script, as it should.
                    let _ = converse(stream, tls, &script).await;
                });
            }
        });
        Ok(Self { addr, accepted, _running: running })
    }

    /// A server that accepts and waits for the peer to leave.
    pub async fn accepting() -> Result<Self> {
        Self::start(vec![Step::Hang]).await
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

async fn converse(mut stream: TcpStream, tls: Option<TlsAcceptor>, script: &[Step]) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    match tls {
        None => {
            if play(&mut stream, script).await? == End::Reset {
                SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
            }
        }
        Some(tls) => {
            let mut stream = tls.accept(stream).await?;
            if play(&mut stream, script).await? == End::Reset {
                SockRef::from(stream.get_ref().0).set_linger(Some(Duration::ZERO))?;
            }
        }
    }
    Ok(())
}

/// How a connection ends after its script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Closed,
    Reset,
}

async fn play(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), script: &[Step]) -> std::io::Result<End> {
    for step in script {
        match step {
            Step::ReadHead => read_head(stream).await?,
            Step::ReadSome => {
                if stream.read(&mut [0u8; 1024]).await? == 0 {
                    return Ok(End::Closed);
                }
            }
            Step::Write(bytes) => {
                stream.write_all(bytes).await?;
                stream.flush().await?;
            }
            Step::Dribble(bytes, pause) => {
                for byte in bytes {
                    stream.write_all(&[*byte]).await?;
                    stream.flush().await?;
                    tokio::time::sleep(*pause).await;
                }
            }
            Step::WriteForever(bytes) => loop {
                stream.write_all(bytes).await?;
            },
            Step::Pause(pause) => tokio::time::sleep(*pause).await,
            Step::Hang => {
                let mut rest = [0u8; 4096];
                while stream.read(&mut rest).await? > 0 {}
            }
            Step::Reset => return Ok(End::Reset),
        }
    }
    Ok(End::Closed)
}

async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut piece = [0u8; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece).await? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            n => head.extend_from_slice(&piece[..n]),
        }
    }
    Ok(())
}

/// A port that refuses connections for as long as this lives: bound, hence nobody else's, but not listening.
#[derive(Debug)]
pub struct ClosedPort {
    socket: Socket,
}

impl ClosedPort {
    /// Takes a free port of 127.0.0.1.
    pub fn take() -> Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        Ok(Self { socket })
    }

    /// The refusing address.
    pub fn addr(&self) -> Result<SocketAddr> {
        self.socket.local_addr()?.as_socket().context("not an internet address")
    }
}

/// A port that answers no SYN, as behind a firewall that drops: it listens, but its accept queue is full and nobody accepts.
#[derive(Debug)]
pub struct FilteredPort {
    listener: Socket,
    _queue: Vec<Socket>,
}

impl FilteredPort {
    /// Takes a free port of 127.0.0.1 and fills its queue.
    #[expect(clippy::disallowed_methods, reason = "a test server fills its own accept queue")]
    pub fn take() -> Result<Self> {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        listener.listen(0)?;
        let addr = listener.local_addr()?;
        let mut queue = Vec::new();
        // A backlog of 0 takes one connection; the kernel drops the SYNs of all further ones.
        for _ in 0..4 {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            socket.set_nonblocking(true)?;
            // EINPROGRESS is what a connection attempt in the background answers.
            let _ = socket.connect(&addr);
            queue.push(socket);
        }
        Ok(Self { listener, _queue: queue })
    }

    /// The silent address.
    pub fn addr(&self) -> Result<SocketAddr> {
        self.listener.local_addr()?.as_socket().context("not an internet address")
    }
}
