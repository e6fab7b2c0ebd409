//! A real HTTP/1.1 and HTTP/2 server whose paths say how it answers. It counts hits by path; faults below HTTP are
//! [`crate::tcp::ScriptServer`]'s.
//!
//! | path | answer |
//! |---|---|
//! | `/` and unknown paths | 200, `hello` |
//! | `/status/CODE` | that status; 3xx without a `Location` |
//! | `/bytes/N` | 200 and N bytes `x`, length declared |
//! | `/chunked/N` | the same without a declared length |
//! | `/delay/MS` | 200 after that many milliseconds |
//! | `/silent` | never |
//! | `/endless` | 200 and a body without end |
//! | `/cut` | 200, declares 1,000 bytes, breaks off after 10 |
//! | `/redirect/N` | 302 to `/redirect/N-1` …, at last 200 |
//! | `/redirect-to?STATUS&URL` | that status and location, verbatim |
//! | `/echo` | 200 and the request as text: method, path, headers (one a line), empty line, body |
//! | `/binary` | 200 and bytes that are no UTF-8 |

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use bytes::Bytes;
use futures::StreamExt;
use http::{Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::guard::Running;

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// The server. Dropped, it and all its connections end.
#[derive(Debug)]
pub struct HttpServer {
    addr: SocketAddr,
    encrypted: bool,
    log: Arc<Log>,
    _running: Running,
}

/// When each path was asked for.
#[derive(Debug, Default)]
struct Log {
    hits: Mutex<HashMap<String, Vec<SystemTime>>>,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<SystemTime>>> {
        self.hits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpServer {
    /// Starts without TLS on 127.0.0.1; HTTP/1.1, or HTTP/2 with prior knowledge.
    pub async fn start() -> Result<Self> {
        Self::start_on(Ipv4Addr::LOCALHOST.into(), None).await
    }

    /// Starts with TLS on 127.0.0.1; the protocol is what ALPN agrees on.
    pub async fn start_tls(config: Arc<ServerConfig>) -> Result<Self> {
        Self::start_on(Ipv4Addr::LOCALHOST.into(), Some(config)).await
    }

    /// Starts on a free port of this address.
    pub async fn start_on(ip: IpAddr, tls: Option<Arc<ServerConfig>>) -> Result<Self> {
        let listener = TcpListener::bind((ip, 0)).await.context("binding the HTTP server")?;
        let addr = listener.local_addr()?;
        let log = Arc::new(Log::default());
        let encrypted = tls.is_some();
        let acceptor = tls.map(TlsAcceptor::from);
        let running = Running::spawn(serve(listener, acceptor, log.clone()));
        Ok(Self { addr, encrypted, log, _running: running })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The URL of a path (which begins with `/`), by address.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.encrypted { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.addr)
    }

    /// Requests for this path so far, without its query.
    pub fn hits(&self, path: &str) -> usize {
        self.log.lock().get(path).map_or(0, Vec::len)
    }

    /// When this path was asked for, in order.
    pub fn hit_times(&self, path: &str) -> Vec<SystemTime> {
        self.log.lock().get(path).cloned().unwrap_or_default()
    }

    /// Requests for any path.
    pub fn hits_total(&self) -> usize {
        self.log.lock().values().map(Vec::len).sum()
    }
}

async fn serve(listener: TcpListener, acceptor: Option<TlsAcceptor>, log: Arc<Log>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        // Those that have ended are taken out, or a long benchmark would keep them all.
        while connections.try_join_next().is_some() {}
        let (acceptor, log) = (acceptor.clone(), log.clone());
        connections.spawn(async move {
            match acceptor {
                None => converse(stream, log).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        converse(stream, log).await;
                    }
                }
            }
        });
    }
}

async fn converse<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: T, log: Arc<Log>) {
    let service = hyper::service::service_fn(move |request| answer(request, log.clone()));
    // A peer that leaves early is nothing to report.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, log: Arc<Log>) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    log.lock().entry(path.clone()).or_default().push(SystemTime::now());
    let (first, second) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    let number = second.parse::<u64>().unwrap_or(0);
    let mut response = Response::new(match first {
        "bytes" => full(vec![b'x'; number as usize]),
        "chunked" => pieces(number),
        "delay" => {
            tokio::time::sleep(Duration::from_millis(number)).await;
            full("late")
        }
        "silent" => std::future::pending().await,
        "endless" => pieces(u64::MAX),
        "cut" => cut(),
        "echo" => full(echo(request).await),
        "binary" => full(&b"caf\xe9 \xff\xfe ok"[..]),
        _ => full("hello"),
    });
    match first {
        "status" => set_status(&mut response, second),
        "cut" => {
            response.headers_mut().insert(header::CONTENT_LENGTH, 1000.into());
        }
        "redirect" if number > 0 => {
            set_status(&mut response, "302");
            set_location(&mut response, &format!("/redirect/{}", number - 1));
        }
        "redirect-to" => {
            let (status, url) = query.split_once('&').unwrap_or(("400", ""));
            set_status(&mut response, status);
            set_location(&mut response, url);
        }
        _ => {}
    }
    Ok(response)
}

fn set_status(response: &mut Response<Body>, code: &str) {
    *response.status_mut() = code.parse().ok().unwrap_or(StatusCode::BAD_REQUEST);
    if *response.status_mut() == StatusCode::NO_CONTENT || *response.status_mut() == StatusCode::NOT_MODIFIED {
        *response.body_mut() = full("");
    }
}

fn set_location(response: &mut Response<Body>, url: &str) {
    if let Ok(location) = url.parse() {
        response.headers_mut().insert(header::LOCATION, location);
    }
}

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// That many bytes in pieces of 16 KiB.
fn pieces(length: u64) -> Body {
    const PIECE: u64 = 16 * 1024;
    let piece = Bytes::from(vec![b'x'; PIECE as usize]);
    let stream = futures::stream::unfold(length, move |left| {
        let piece = piece.clone();
        async move {
            let size = left.min(PIECE);
            (size > 0).then(|| (Ok(Frame::data(piece.slice(..size as usize))), left - size))
        }
    });
    StreamBody::new(stream).boxed_unsync()
}

/// Ten bytes, then the connection breaks.
fn cut() -> Body {
    let first = Ok(Frame::data(Bytes::from_static(b"0123456789")));
    let then = futures::stream::once(async {
        // Let the piece out first; an error at once would take it back.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(std::io::Error::other("broken off on purpose"))
    });
    StreamBody::new(futures::stream::iter([first]).chain(then)).boxed_unsync()
}

async fn echo(request: Request<Incoming>) -> String {
    let (head, body) = request.into_parts();
    let mut text = format!("{} {}\n", head.method, head.uri);
    for (name, value) in &head.headers {
        let _ = writeln!(text, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
    text.push('\n');
    if let Ok(body) = body.collect().await {
        text.push_str(&String::from_utf8_lossy(&body.to_bytes()));
    }
    text
}
