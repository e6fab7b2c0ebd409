//! The http probe: one request per hop, each on a fresh connection, in phases without a gap.

mod exchange;
mod redirect;
mod request;

use ::http::{HeaderValue, Method, StatusCode, Version, header};
use bytes::Bytes;
use nanomon_core::monitor::{HttpTarget, limits};
use nanomon_core::{Outcome, OutputId, Reason};
use url::Url;

use super::trace::{Phase, Trace};
use super::{PrepareError, PrepareHints, Prober, tls};
use redirect::Next;
pub(crate) use request::SharedHeaders;
use request::{Headers, Hop, Journey};

/// An http monitor, ready to run.
#[derive(Debug)]
pub(crate) struct HttpProbe {
    first: Hop,
    method: Method,
    headers: Headers,
    body: Bytes,
    follow_redirects: bool,
    validate_tls: bool,
    keep_body: bool,
    namespace: Option<Box<str>>,
}

/// What one hop brought.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    location: Option<HeaderValue>,
    body: Body,
}

/// A body as far as it was read.
#[derive(Debug, Default)]
struct Body {
    /// Its bytes, if somebody needs them.
    kept: Option<Vec<u8>>,
    /// How many bytes were read.
    read: usize,
    /// What the head promised.
    declared: Option<u64>,
    /// There was more than is read.
    cut: bool,
}

impl Body {
    fn new(keep: bool, declared: Option<u64>) -> Self {
        Self { kept: keep.then(Vec::new), read: 0, declared, cut: false }
    }

    /// Takes a piece; false once the limit is passed.
    fn take(&mut self, piece: &[u8]) -> bool {
        let room = limits::BODY_BYTES - self.read;
        self.cut = piece.len() > room;
        let piece = &piece[..piece.len().min(room)];
        self.read += piece.len();
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(piece);
        }
        !self.cut
    }

    fn len(&self) -> f64 {
        if self.cut { self.declared.map_or(self.read as f64, |n| n as f64) } else { self.read as f64 }
    }
}

impl HttpProbe {
    pub(crate) fn prepare(
        prober: &Prober,
        target: &HttpTarget,
        hints: &PrepareHints<'_>,
    ) -> Result<Self, PrepareError> {
        let url = Url::parse(&target.url).map_err(|_| PrepareError::Url("this is no URL"))?;
        let method = Method::from_bytes(target.method.as_bytes())
            .ok()
            .filter(|method| method != Method::CONNECT)
            .ok_or_else(|| PrepareError::Method(target.method.clone()))?;
        let (headers, host) = prober.shared.headers.build(&target.headers)?;
        let mut first = Hop::new(prober, &url, target.validate_tls, hints.namespace)?;
        if let Some(host) = host {
            first.authority = host;
        }
        Ok(Self {
            first,
            method,
            headers,
            body: Bytes::copy_from_slice(target.body.as_bytes()),
            follow_redirects: target.follow_redirects,
            validate_tls: target.validate_tls,
            keep_body: target.body_regex.is_some() || hints.rule_reads_body,
            namespace: hints.namespace.map(Into::into),
        })
    }

    pub(crate) async fn run(&self, prober: &Prober, trace: &mut Trace, outcome: &mut Outcome) -> Result<f64, Reason> {
        let mut moved: Option<Hop> = None;
        let mut method = self.method.clone();
        let mut body = self.body.clone();
        let mut journey = Journey::default();
        let mut redirects = 0u8;
        loop {
            let hop = moved.as_ref().unwrap_or(&self.first);
            let answer = self.visit(prober, hop, &method, &body, journey, trace, outcome).await?;
            outcome.outputs.set_number(OutputId::REDIRECTS, f64::from(redirects));
            let next = if self.follow_redirects {
                redirect::next(answer.status, answer.location.as_ref(), &hop.url, &method)
            } else {
                Next::Stay
            };
            match next {
                Next::Stay => return Ok(finish(answer, trace, outcome)),
                Next::Nowhere => return Err(Reason::HttpBadRedirect),
                Next::Go { .. } if redirects == limits::REDIRECTS => return Err(Reason::HttpTooManyRedirects),
                Next::Go { url, as_get } => {
                    redirects += 1;
                    let mut hop_there = Hop::new(prober, &url, self.validate_tls, self.namespace.as_deref())
                        .map_err(|_| Reason::HttpBadRedirect)?;
                    if redirect::same_origin(&hop.url, &url) {
                        hop_there.authority = hop.authority.clone();
                    } else {
                        // Once a request has left the origin, what was meant for it does not come back either.
                        journey.abroad = true;
                    }
                    if as_get {
                        method = if method == Method::HEAD { Method::HEAD } else { Method::GET };
                        body = Bytes::new();
                        journey.body_dropped = true;
                    }
                    moved = Some(hop_there);
                }
            }
        }
    }

    /// One request and its answer.
    #[expect(clippy::too_many_arguments, reason = "a hop's whole state; a struct for it would only rename the list")]
    async fn visit(
        &self,
        prober: &Prober,
        hop: &Hop,
        method: &Method,
        body: &Bytes,
        journey: Journey,
        trace: &mut Trace,
        outcome: &mut Outcome,
    ) -> Result<Answer, Reason> {
        let (tcp, _) = prober.connect(&hop.host, hop.port, trace, &mut outcome.outputs).await?;
        let Some(tls) = &hop.tls else {
            trace.enter(Phase::FirstByte);
            let request = self.headers.http1(hop, method, body, journey);
            return exchange::http1(tcp, request, self, trace, outcome).await;
        };
        trace.enter(Phase::Tls);
        // Boxed, so that plain probes do not carry the room for a handshake.
        let handshake = Box::pin(tls.config.connect(tls.name.clone(), tcp)).await;
        if let Some(not_after) = handshake.leaf_not_after {
            outcome.outputs.set_number(OutputId::CERT_EXPIRY_DAYS, tls::days_until(not_after) as f64);
        }
        let stream = handshake.stream?;
        trace.end(Phase::Tls);
        trace.enter(Phase::FirstByte);
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            let request = self.headers.http2(hop, method, body, journey).map_err(|_| Reason::Internal)?;
            Box::pin(exchange::http2(stream, request, body.clone(), self, trace, outcome)).await
        } else {
            let request = self.headers.http1(hop, method, body, journey);
            Box::pin(exchange::http1(stream, request, self, trace, outcome)).await
        }
    }

    /// Whether this answer's body is not worth reading, since the run goes on elsewhere.
    fn leaves(&self, status: StatusCode, has_location: bool) -> bool {
        self.follow_redirects && has_location && redirect::is_redirect(status)
    }
}

/// Notes an answer's head as soon as it is there, so that a run that fails in the body shows it.
fn note_head(outcome: &mut Outcome, status: StatusCode, version: Version) {
    outcome.outputs.set_number(OutputId::STATUS, f64::from(status.as_u16()));
    let version = match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    };
    outcome.outputs.set_text(OutputId::HTTP_VERSION, version);
}

fn finish(answer: Answer, trace: &Trace, outcome: &mut Outcome) -> f64 {
    let Answer { status: _, location: _, body } = answer;
    outcome.outputs.set_number(OutputId::BODY_LEN, body.len());
    outcome.outputs.set_number(OutputId::RESP_TIME, trace.total_ms());
    outcome.body_cut = body.cut;
    outcome.body = body.kept.map(lossy);
    trace.total_ms()
}

/// Bytes as text; what is no UTF-8 becomes U+FFFD. A body in UTF-8 is not copied.
fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

/// The declared length of a body, if the head gives one.
fn declared_length(headers: &::http::HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}
