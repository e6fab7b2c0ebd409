//! Where an answer sends the request, as Go's client and browsers understand it. Pure.

use ::http::{HeaderValue, Method, StatusCode};
use url::Url;

/// What an answer means for the run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It is the final answer.
    Stay,
    /// Ask there.
    Go {
        /// Absolute, http or https, without user info and fragment.
        url: Url,
        /// The method becomes GET (HEAD stays) and the body is dropped.
        as_get: bool,
    },
    /// It redirects to no address that could be asked.
    Nowhere,
}

/// Whether answers with this status redirect if they say where to.
pub(crate) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// What follows from an answer. Without a `Location` a redirect is an answer like any other.
pub(crate) fn next(status: StatusCode, location: Option<&HeaderValue>, from: &Url, method: &Method) -> Next {
    let Some(location) = location.filter(|_| is_redirect(status)) else {
        return Next::Stay;
    };
    let Some(mut url) = std::str::from_utf8(location.as_bytes()).ok().and_then(|text| from.join(text).ok()) else {
        return Next::Nowhere;
    };
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Next::Nowhere;
    }
    // A target does not get to choose credentials, nor do we show any.
    if url.set_username("").is_err() || url.set_password(None).is_err() {
        return Next::Nowhere;
    }
    url.set_fragment(None);
    let keeps = matches!(status.as_u16(), 307 | 308) || method == Method::GET || method == Method::HEAD;
    Next::Go { url, as_get: !keeps }
}

/// Same scheme, host and port: the server the user wrote the headers for.
pub(crate) fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme() && a.host() == b.host() && a.port_or_known_default() == b.port_or_known_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn go(status: u16, location: &str, method: &str) -> Next {
        let from = Url::parse("https://a.example:8443/x/y?q").unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        next(StatusCode::from_u16(status).unwrap(), HeaderValue::from_str(location).ok().as_ref(), &from, &method)
    }

    fn to(url: &str, as_get: bool) -> Next {
        Next::Go { url: Url::parse(url).unwrap(), as_get }
    }

    #[test]
    fn locations() {
        assert_eq!(go(302, "/z", "GET"), to("https://a.example:8443/z", false));
        assert_eq!(go(302, "z#f", "GET"), to("https://a.example:8443/x/z", false));
        assert_eq!(go(301, "//b.example/", "GET"), to("https://b.example/", false));
        assert_eq!(go(301, "http://u:p@b.example/", "GET"), to("http://b.example/", false));
        for nowhere in
            ["ftp://b.example/", "file:///etc/passwd", "http://", "http://[::1", "javascript:alert(1)", "http://a b/"]
        {
            assert_eq!(go(302, nowhere, "GET"), Next::Nowhere, "{nowhere}");
        }
    }

    #[test]
    fn methods() {
        for status in [301, 302, 303] {
            assert_eq!(go(status, "/z", "POST"), to("https://a.example:8443/z", true), "{status}");
            assert_eq!(go(status, "/z", "HEAD"), to("https://a.example:8443/z", false), "{status}");
        }
        for status in [307, 308] {
            assert_eq!(go(status, "/z", "POST"), to("https://a.example:8443/z", false), "{status}");
        }
        for status in [200, 201, 300, 304, 305, 404] {
            assert_eq!(go(status, "/z", "GET"), Next::Stay, "{status}");
        }
        let from = Url::parse("http://a/").unwrap();
        assert_eq!(next(StatusCode::FOUND, None, &from, &Method::GET), Next::Stay);
    }

    #[test]
    fn origins() {
        let url = |text: &str| Url::parse(text).unwrap();
        assert!(same_origin(&url("https://a/"), &url("https://A:443/x")));
        for other in ["http://a/", "https://b/", "https://a:444/", "https://x.a/"] {
            assert!(!same_origin(&url("https://a/"), &url(other)), "{other}");
        }
    }
}
