//! Requests: what is known once per generation, and the little that is put together per run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use ::http::uri::PathAndQuery;
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use bytes::Bytes;
use http_body_util::Full;
use nanomon_core::monitor::Header;
use rustls::pki_types::ServerName;
use url::Url;

use crate::probe::resolve::Host;
use crate::probe::tls::{SharedTls, TlsSettings};
use crate::probe::{PrepareError, PrepareHints, Prober};

/// How we introduce ourselves.
const USER_AGENT: &str = concat!("NanoMon/", env!("CARGO_PKG_VERSION"));

/// Where a request goes: all that one URL decides.
#[derive(Debug)]
pub(crate) struct Hop {
    pub url: Url,
    pub host: Host,
    pub port: u16,
    /// The `Host` header: the URL's host and port, or what the user wrote.
    pub authority: HeaderValue,
    /// Path and query, as the request line has them.
    pub target: Uri,
    /// Present for https.
    pub tls: Option<HopTls>,
}

/// The TLS part of a hop.
#[derive(Debug)]
pub(crate) struct HopTls {
    pub config: Arc<SharedTls>,
    pub name: ServerName<'static>,
}

impl Hop {
    pub(crate) fn new(
        prober: &Prober,
        url: &Url,
        validate_tls: bool,
        namespace: Option<&str>,
    ) -> Result<Self, PrepareError> {
        let encrypted = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(PrepareError::Url("the scheme must be http or https")),
        };
        let written = url.host_str().ok_or(PrepareError::Url("a host is missing"))?;
        let bare = written.trim_start_matches('[').trim_end_matches(']');
        let host = prober.host(bare, &PrepareHints { namespace, rule_reads_body: false })?;
        let port = url.port_or_known_default().ok_or(PrepareError::Url("a port is missing"))?;
        let authority = match url.port() {
            Some(port) => format!("{written}:{port}"),
            None => written.to_owned(),
        };
        let authority =
            HeaderValue::try_from(authority).map_err(|_| PrepareError::Url("the host cannot be sent in a request"))?;
        let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let target = if target.is_empty() { "/" } else { target };
        let target = PathAndQuery::try_from(target)
            .map(Uri::from)
            .map_err(|_| PrepareError::Url("the path or query cannot be sent in a request"))?;
        let tls = if encrypted {
            let name = ServerName::try_from(bare.trim_end_matches('.').to_owned())
                .map_err(|_| PrepareError::Url("the host cannot be named in a TLS handshake"))?;
            Some(HopTls { config: prober.shared.tls.get(TlsSettings { validate: validate_tls })?, name })
        } else {
            None
        };
        Ok(Self { url: url.clone(), host, port, authority, target, tls })
    }
}

/// A header as it is sent.
type Field = (HeaderName, HeaderValue);

/// The headers of a monitor without `Host`; equal lists are one.
#[derive(Clone, Debug)]
pub(crate) struct Headers {
    list: Arc<[Field]>,
}

/// Header lists in use, so that ten thousand monitors without headers of their own share one.
#[derive(Debug, Default)]
pub(crate) struct SharedHeaders {
    lists: Mutex<HashMap<Vec<Field>, Weak<[Field]>>>,
}

impl SharedHeaders {
    /// The list for a monitor, and the `Host` if its headers give one.
    pub(crate) fn build(&self, own: &[Header]) -> Result<(Headers, Option<HeaderValue>), PrepareError> {
        let mut list = Vec::with_capacity(own.len() + 3);
        let mut host = None;
        for Header { name, value } in own {
            let refuse = || PrepareError::Header(name.clone());
            let value = HeaderValue::from_str(value).map_err(|_| refuse())?;
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refuse())?;
            if name == header::HOST {
                host = Some(value);
            } else if !is_framing(&name) {
                list.push((name, value));
            }
        }
        let defaults = [
            (header::USER_AGENT, HeaderValue::from_static(USER_AGENT)),
            (header::ACCEPT, HeaderValue::from_static("*/*")),
            // Each run has its own connection, and the server should know that it may close it.
            (header::CONNECTION, HeaderValue::from_static("close")),
        ];
        for (name, value) in defaults {
            if list.iter().all(|(own, _)| *own != name) {
                list.push((name, value));
            }
        }
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = lists.get(&list).and_then(Weak::upgrade) {
            return Ok((Headers { list: shared }, host));
        }
        lists.retain(|_, shared| shared.strong_count() > 0);
        let shared: Arc<[_]> = list.clone().into();
        lists.insert(list, Arc::downgrade(&shared));
        Ok((Headers { list: shared }, host))
    }
}

impl Headers {
    /// A request as HTTP/1.1 writes it.
    pub(crate) fn http1(&self, hop: &Hop, method: &Method, body: &Bytes, journey: Journey) -> Request<Full<Bytes>> {
        let mut headers = HeaderMap::with_capacity(self.list.len() + 1);
        headers.insert(header::HOST, hop.authority.clone());
        for (name, value) in self.sent(journey) {
            headers.append(name, value.clone());
        }
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = method.clone();
        *request.uri_mut() = hop.target.clone();
        *request.headers_mut() = headers;
        request
    }

    /// A request's head as HTTP/2 writes it: the host is part of the URI, headers about the connection do not exist.
    pub(crate) fn http2(
        &self,
        hop: &Hop,
        method: &Method,
        body: &Bytes,
        journey: Journey,
    ) -> Result<Request<()>, ::http::Error> {
        let uri = Uri::builder().scheme("https").authority(hop.authority.as_bytes());
        let uri = uri.path_and_query(hop.target.path_and_query().map_or("/", PathAndQuery::as_str)).build()?;
        let mut request = Request::new(());
        *request.method_mut() = method.clone();
        *request.uri_mut() = uri;
        *request.version_mut() = ::http::Version::HTTP_2;
        let headers = request.headers_mut();
        for (name, value) in self.sent(journey) {
            if !is_hop_by_hop(name) {
                headers.append(name, value.clone());
            }
        }
        if !body.is_empty() {
            headers.insert(header::CONTENT_LENGTH, body.len().into());
        }
        Ok(request)
    }

    fn sent(&self, journey: Journey) -> impl Iterator<Item = &Field> {
        self.list.iter().filter(move |(name, _)| {
            let of_body = matches!(*name, header::CONTENT_TYPE | header::CONTENT_ENCODING | header::CONTENT_LANGUAGE);
            (!journey.abroad || is_harmless(name)) && !(journey.body_dropped && of_body)
        })
    }
}

/// What redirects have done to the request so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Journey {
    /// It has left the origin that the user wrote; headers that could be secrets stayed behind, for good.
    pub abroad: bool,
    /// The method became GET, so the body and the headers about it are gone.
    pub body_dropped: bool,
}

/// Where a message ends is our connection's business.
fn is_framing(name: &HeaderName) -> bool {
    matches!(*name, header::CONTENT_LENGTH | header::TRANSFER_ENCODING | header::TE | header::TRAILER)
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(*name, header::CONNECTION | header::UPGRADE | header::PROXY_AUTHORIZATION)
        || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

/// What another origin may see: nothing that could be a secret, that is, no header but these.
fn is_harmless(name: &HeaderName) -> bool {
    matches!(
        *name,
        header::USER_AGENT
            | header::ACCEPT
            | header::ACCEPT_LANGUAGE
            | header::ACCEPT_ENCODING
            | header::CONNECTION
            | header::CONTENT_TYPE
    )
}
