//! Who may speak to us while there is no sign-in: the `Host` must be one that no stranger's DNS can point here, and a
//! page of another site may not write.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::config::ApiConfig;
use crate::error::ApiError;
use crate::state::AppState;

/// Middleware: refuses foreign hosts, and foreign origins on everything but reads.
pub async fn guard(State(state): State<AppState>, request: Request, next: Next) -> Response {
    match check(&state.config, request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// Whether a method only reads.
pub fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn check(config: &ApiConfig, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
    let host = request_host(uri, headers).ok_or_else(|| ApiError::bad_request("the Host header is missing"))?;
    if !host_allowed(config, &host) {
        return Err(ApiError::new(
            StatusCode::MISDIRECTED_REQUEST,
            "this host name is not allowed: use an IP address or localhost, or add the name to ALLOWED_HOSTS",
        ));
    }
    if !is_read(method) && !origin_allowed(config, &host, headers) {
        return Err(ApiError::forbidden(
            "writes from pages of another site are refused; add their origin to CORS_ORIGINS to allow them",
        ));
    }
    Ok(())
}

/// The authority that the client asked for, in lower case.
fn request_host(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    if let Some(authority) = uri.authority() {
        return Some(authority.as_str().to_ascii_lowercase());
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next()?.to_str().ok()?;
    (hosts.next().is_none() && !host.is_empty()).then(|| host.to_ascii_lowercase())
}

/// The name of an authority without its port and brackets.
fn host_name(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split_once(']').map_or("", |(name, _)| name);
    }
    authority.rsplit_once(':').map_or(authority, |(name, _)| name)
}

fn host_allowed(config: &ApiConfig, authority: &str) -> bool {
    let name = host_name(authority);
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost"
        || name.parse::<IpAddr>().is_ok()
        || config.allowed_hosts.iter().any(|allowed| {
            let allowed = allowed.to_ascii_lowercase();
            match allowed.strip_prefix('.') {
                Some(parent) => name.strip_suffix(parent).is_some_and(|sub| sub.ends_with('.')),
                None => name == allowed,
            }
        })
}

/// No `Origin` (no browser, or a browser's own navigation) is allowed unless the browser itself says that the request
/// comes from elsewhere.
fn origin_allowed(config: &ApiConfig, host: &str, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return headers.get("sec-fetch-site").is_none_or(|site| site != "cross-site" && site != "same-site");
    };
    let Ok(origin) = origin.to_str() else { return false };
    if config.cors_origins.iter().any(|allowed| allowed == origin) {
        return true;
    }
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    let default_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return false,
    };
    let authority = authority.to_ascii_lowercase();
    // Behind a proxy that ends TLS our scheme is not the browser's, so the default port may be written on either side.
    let bare = |text: &str| text.strip_suffix(default_port).unwrap_or(text).to_owned();
    bare(&authority) == bare(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ApiConfig {
        ApiConfig {
            allowed_hosts: vec!["mon.example".into(), ".apps.example".into()],
            cors_origins: vec!["https://other.example".into()],
            ..ApiConfig::standalone()
        }
    }

    #[test]
    fn hosts() {
        let allowed = |host: &str| host_allowed(&config(), host);
        for host in [
            "127.0.0.1",
            "127.0.0.1:8000",
            "[::1]:8000",
            "[::1]",
            "10.1.2.3:80",
            "localhost",
            "localhost:8001",
            "localhost.",
            "mon.example",
            "mon.example:443",
            "a.apps.example",
            "a.b.apps.example:8000",
        ] {
            assert!(allowed(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "xmon.example",
            "apps.example",
            "[::1",
            "",
            "xapps.example",
            "mon.example.evil",
        ] {
            assert!(!allowed(host), "{host}");
        }
    }

    #[test]
    fn origins() {
        let allowed = |host: &str, origin: Option<&str>, site: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            if let Some(site) = site {
                headers.insert("sec-fetch-site", site.parse().unwrap());
            }
            origin_allowed(&config(), host, &headers)
        };
        assert!(allowed("localhost:8000", None, None));
        assert!(allowed("localhost:8000", None, Some("same-origin")));
        assert!(allowed("localhost:8000", Some("http://localhost:8000"), None));
        assert!(allowed("mon.example", Some("https://mon.example"), None));
        assert!(allowed("mon.example:443", Some("https://mon.example"), None));
        assert!(allowed("localhost:8000", Some("https://other.example"), Some("cross-site")));
        for (host, origin, site) in [
            ("localhost:8000", Some("http://localhost:3000"), None),
            ("localhost:8000", Some("http://evil.example"), None),
            ("localhost:8000", Some("null"), None),
            ("localhost:8000", Some("file://"), None),
            ("localhost:8000", Some("https://other.example.evil"), None),
            ("localhost:8000", None, Some("cross-site")),
            ("localhost:8000", None, Some("same-site")),
            ("mon.example:80", Some("https://mon.example"), None),
        ] {
            assert!(!allowed(host, origin, site), "{origin:?} {site:?}");
        }
    }

    #[test]
    fn two_host_headers_are_none() {
        let mut headers = HeaderMap::new();
        headers.append(header::HOST, "localhost".parse().unwrap());
        headers.append(header::HOST, "evil.example".parse().unwrap());
        assert_eq!(request_host(&Uri::from_static("/api"), &headers), None);
    }
}
