//! One request and its answer on a fresh connection, HTTP/1 by hyper and HTTP/2 by h2, driven in the run's own task.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use ::http::{Request, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use nanomon_core::{Outcome, Reason};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Answer, Body, HttpProbe, declared_length, note_head};
use crate::probe::dial::stream_reason;
use crate::probe::trace::{Phase, Trace};

/// Room for an answer's head, and for what is read ahead of it.
const HEAD_BYTES: usize = 64 * 1024;
/// HTTP/2 lets the server send this much unasked.
const WINDOW: u32 = 256 * 1024;

/// Polls a connection along with what waits for it, in one task.
struct Driver<C> {
    connection: C,
    ended: bool,
}

impl<C: Future + Unpin> Driver<C> {
    async fn drive<F: Future>(&mut self, work: F) -> F::Output {
        let mut work = pin!(work);
        std::future::poll_fn(|cx| self.poll_both(work.as_mut(), cx)).await
    }

    fn poll_both<F: Future>(&mut self, work: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if !self.ended {
            // How the connection ended shows in the work that waited for it.
            self.ended = Pin::new(&mut self.connection).poll(cx).is_ready();
        }
        work.poll(cx)
    }
}

/// HTTP/1.0 and 1.1.
pub(crate) async fn http1<T>(
    io: T,
    request: Request<Full<Bytes>>,
    probe: &HttpProbe,
    trace: &mut Trace,
    outcome: &mut Outcome,
) -> Result<Answer, Reason>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(HEAD_BYTES)
        .handshake(TokioIo::new(io))
        .await
        .map_err(|e| http1_reason(&e))?;
    let mut driver = Driver { connection: pin!(connection), ended: false };
    let answer = driver.drive(sender.send_request(request)).await.map_err(|e| http1_reason(&e))?;
    trace.end(Phase::FirstByte);
    trace.enter(Phase::Transfer);
    let (mut head, mut incoming) = answer.into_parts();
    note_head(outcome, head.status, head.version);
    let location = head.headers.remove(header::LOCATION);
    let mut body = Body::new(probe.keep_body, declared_length(&head.headers));
    if !probe.leaves(head.status, location.is_some()) {
        while let Some(frame) = driver.drive(incoming.frame()).await {
            let frame = frame.map_err(|e| http1_reason(&e))?;
            if frame.data_ref().is_some_and(|piece| !body.take(piece)) {
                break;
            }
        }
    }
    trace.end(Phase::Transfer);
    Ok(Answer { status: head.status, location, body })
}

/// HTTP/2, as agreed by ALPN.
pub(crate) async fn http2<T>(
    io: T,
    request: Request<()>,
    payload: Bytes,
    probe: &HttpProbe,
    trace: &mut Trace,
    outcome: &mut Outcome,
) -> Result<Answer, Reason>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let (sender, connection) = h2::client::Builder::new()
        .enable_push(false)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_header_list_size(HEAD_BYTES as u32)
        .handshake::<_, Bytes>(io)
        .await
        .map_err(|e| http2_reason(&e))?;
    let mut driver = Driver { connection: pin!(connection), ended: false };
    let mut sender = driver.drive(sender.ready()).await.map_err(|e| http2_reason(&e))?;
    let (answer, mut upload) = sender.send_request(request, payload.is_empty()).map_err(|e| http2_reason(&e))?;
    if !payload.is_empty() {
        // Pieces wait inside h2 for the server's window; the payload is bounded by the monitor's schema.
        upload.send_data(payload, true).map_err(|e| http2_reason(&e))?;
    }
    let answer = driver.drive(answer).await.map_err(|e| http2_reason(&e))?;
    trace.end(Phase::FirstByte);
    trace.enter(Phase::Transfer);
    let (mut head, mut incoming) = answer.into_parts();
    note_head(outcome, head.status, head.version);
    let location = head.headers.remove(header::LOCATION);
    let mut body = Body::new(probe.keep_body, declared_length(&head.headers));
    if !probe.leaves(head.status, location.is_some()) {
        while let Some(piece) = driver.drive(incoming.data()).await {
            let piece = piece.map_err(|e| http2_reason(&e))?;
            if !body.take(&piece) {
                break;
            }
            incoming.flow_control().release_capacity(piece.len()).map_err(|e| http2_reason(&e))?;
        }
    }
    trace.end(Phase::Transfer);
    Ok(Answer { status: head.status, location, body })
}

fn http1_reason(error: &hyper::Error) -> Reason {
    if error.is_parse() {
        return Reason::HttpProtocol;
    }
    if error.is_incomplete_message() {
        return Reason::HttpClosed;
    }
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return stream_reason(io);
        }
        source = cause.source();
    }
    if error.is_canceled() || error.is_closed() { Reason::HttpClosed } else { Reason::HttpProtocol }
}

fn http2_reason(error: &h2::Error) -> Reason {
    if let Some(io) = error.get_io() {
        return stream_reason(io);
    }
    // The server takes back a stream it had begun, or says good-bye before the end.
    if error.is_remote() { Reason::HttpClosed } else { Reason::HttpProtocol }
}
