//! The forms of texts, written once: the schema's CEL rules and the conversion use the same patterns and sentences.
//!
//! The patterns mean the same in Go's RE2 (API server) and in the `regex` crate. None of them contains a single quote,
//! because CEL rules embed them as `r'…'`.

use std::net::IpAddr;
use std::sync::LazyLock;

use regex::Regex;

/// A Go duration of at most four parts, each part below 32 years, so that CEL's `duration()` cannot overflow.
pub(crate) const DURATION: &str =
    r"^([0-9]{1,9}(\.[0-9]{1,9})?(ms|s)|[0-9]{1,7}(\.[0-9]{1,9})?m|[0-9]{1,5}(\.[0-9]{1,9})?h){1,4}$";

/// Characters in a duration.
pub(crate) const DURATION_CHARS: usize = 40;

/// A host name without the anchors: labels of letters, digits, `-` and `_`, optionally absolute.
const NAME: &str = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*\.?";

/// A port without the anchors, 1 to 65535.
const PORT: &str = r"([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";

/// The beginning of a web address.
pub(crate) const URL_SCHEME: &str = r"^[Hh][Tt][Tt][Pp][Ss]?://";
/// User info before the host. A backslash ends the authority for browsers and for our URL reader.
pub(crate) const URL_USER_INFO: &str = r"^[^/?#\\]*//[^/?#\\]*@";
/// What no URL contains.
pub(crate) const URL_FORBIDDEN: &str = r"[\p{Cc}\s\\]";
/// Characters that no line of text contains.
pub(crate) const CONTROL: &str = r"\p{Cc}";
/// Control characters other than tab and line breaks, which a text of several lines has.
pub(crate) const CONTROL_IN_TEXT: &str = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x{80}-\x{9f}]";
/// An HTTP method.
pub(crate) const METHOD: &str = r"^[A-Za-z][A-Za-z-]{0,30}$";
/// A method that opens a tunnel instead of asking for something.
pub(crate) const METHOD_TUNNEL: &str = r"^[Cc][Oo][Nn][Nn][Ee][Cc][Tt]$";
/// An HTTP header's name.
pub(crate) const HEADER_NAME: &str = r"^[A-Za-z0-9!#$%&*+.^_`|~-]+$";
/// Headers that belong to the connection or to the body's framing.
pub(crate) const HEADER_RESERVED: &str =
    r"^(?i:content-length|transfer-encoding|connection|keep-alive|proxy-connection|te|trailer|upgrade|http2-settings)$";
/// What no header value contains.
pub(crate) const HEADER_VALUE_FORBIDDEN: &str = r"[\x00-\x08\x0a-\x1f\x7f]";
/// A runner pool's name (a DNS label).
pub(crate) const POOL_NAME: &str = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";

/// A host name, whole.
pub(crate) fn name_pattern() -> String {
    format!("^{NAME}$")
}

/// What a DNS question may ask for: a name, or the root.
pub(crate) fn question_pattern() -> String {
    format!(r"^({NAME}|\.)$")
}

/// `name:digits`.
pub(crate) fn name_and_port_pattern() -> String {
    format!("^{NAME}:[0-9]+$")
}

/// `name` or `name:digits`.
pub(crate) fn name_and_optional_port_pattern() -> String {
    format!("^{NAME}(:[0-9]+)?$")
}

/// Ends in a port between 1 and 65535.
pub(crate) fn ends_in_port_pattern() -> String {
    format!(":{PORT}$")
}

/// A pattern that is compiled when it is first used.
pub(crate) struct Pattern(LazyLock<Regex>);

impl Pattern {
    const fn new(compile: fn() -> Regex) -> Self {
        Self(LazyLock::new(compile))
    }

    /// Whether the text contains a match.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is a constant of this file and compiled in its test")
}

pub(crate) static IS_DURATION: Pattern = Pattern::new(|| compiled(DURATION));
pub(crate) static HAS_URL_SCHEME: Pattern = Pattern::new(|| compiled(URL_SCHEME));
pub(crate) static HAS_USER_INFO: Pattern = Pattern::new(|| compiled(URL_USER_INFO));
pub(crate) static HAS_URL_FORBIDDEN: Pattern = Pattern::new(|| compiled(URL_FORBIDDEN));
pub(crate) static HAS_CONTROL: Pattern = Pattern::new(|| compiled(CONTROL));
pub(crate) static HAS_CONTROL_IN_TEXT: Pattern = Pattern::new(|| compiled(CONTROL_IN_TEXT));
pub(crate) static IS_METHOD: Pattern = Pattern::new(|| compiled(METHOD));
pub(crate) static IS_METHOD_TUNNEL: Pattern = Pattern::new(|| compiled(METHOD_TUNNEL));
pub(crate) static IS_HEADER_NAME: Pattern = Pattern::new(|| compiled(HEADER_NAME));
pub(crate) static IS_HEADER_RESERVED: Pattern = Pattern::new(|| compiled(HEADER_RESERVED));
pub(crate) static HAS_HEADER_VALUE_FORBIDDEN: Pattern = Pattern::new(|| compiled(HEADER_VALUE_FORBIDDEN));
pub(crate) static IS_POOL_NAME: Pattern = Pattern::new(|| compiled(POOL_NAME));
static IS_NAME: Pattern = Pattern::new(|| compiled(&name_pattern()));
static IS_QUESTION: Pattern = Pattern::new(|| compiled(&question_pattern()));

/// Whether the text is an IP address as CEL's `isIP` sees it: no zone, no IPv4-mapped IPv6.
fn is_ip(text: &str) -> bool {
    match text.parse() {
        Ok(IpAddr::V4(_)) => true,
        Ok(IpAddr::V6(address)) => address.to_ipv4_mapped().is_none(),
        Err(_) => false,
    }
}

/// Whether the text is a host name or an IP address without brackets.
pub(crate) fn is_host(text: &str) -> bool {
    IS_NAME.matches(text) || is_ip(text)
}

/// Whether the text can be asked for in DNS.
pub(crate) fn is_question(text: &str) -> bool {
    IS_QUESTION.matches(text)
}

/// Why a text is no `host:port`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HostPortError {
    /// Not of the form.
    Form,
    /// The port is not between 1 and 65535.
    Port,
}

/// Splits `host:port` or `[v6]:port`; without a port (and brackets are then optional) the default is taken, if there is
/// one. The host comes back without brackets.
pub(crate) fn split_host_port(text: &str, default_port: Option<u16>) -> Result<(String, u16), HostPortError> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or(HostPortError::Form)?;
        if !host.contains(':') || !is_ip(host) {
            return Err(HostPortError::Form);
        }
        match after.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if after.is_empty() => (host, None),
            None => return Err(HostPortError::Form),
        }
    } else if default_port.is_some() && is_ip(text) {
        (text, None)
    } else {
        match text.split_once(':') {
            Some((host, port)) if IS_NAME.matches(host) => (host, Some(port)),
            None if IS_NAME.matches(text) => (text, None),
            _ => return Err(HostPortError::Form),
        }
    };
    let port = match port {
        None => default_port.ok_or(HostPortError::Form)?,
        Some(digits) if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) => {
            return Err(HostPortError::Form);
        }
        Some(digits) if digits.starts_with('0') => return Err(HostPortError::Port),
        Some(digits) => digits.parse().map_err(|_| HostPortError::Port)?,
    };
    Ok((host.to_owned(), port))
}

/// The sentences that the API server and the conversion say alike. Each names its field.
pub(crate) mod sentences {
    pub(crate) const ONE_TARGET: &str = "exactly one of http, tcp, ping and dns must be set";
    pub(crate) const DISPLAY_NAME: &str = "displayName must not contain control characters";
    pub(crate) const GROUP: &str = "group must not contain control characters";
    pub(crate) const INTERVAL_FORM: &str = "interval must be a duration such as 30s, 5m or 1h30m";
    pub(crate) const INTERVAL_BOUNDS: &str = "interval must be between 1s and 24h";
    pub(crate) const TIMEOUT_FORM: &str = "timeout must be a duration such as 500ms or 5s";
    pub(crate) const TIMEOUT_BOUNDS: &str = "timeout must be between 1ms and 60s";
    pub(crate) const TIMEOUT_INTERVAL: &str = "timeout must be shorter than the interval";
    pub(crate) const RULE: &str = "rule must not contain control characters";
    pub(crate) const POOL: &str =
        "runnerPools must hold names of lower-case letters, digits and hyphens, 63 characters at most";
    pub(crate) const URL_SCHEME: &str = "url must begin with http:// or https://";
    pub(crate) const URL_FORM: &str = "url must be an absolute URL with a host";
    pub(crate) const URL_HOST: &str =
        "url must have an IP address or a name of labels of letters, digits, hyphens and underscores as its host";
    pub(crate) const URL_USER_INFO: &str = "url must not contain user info; send credentials in a header instead";
    pub(crate) const URL_FORBIDDEN: &str = "url must not contain spaces, backslashes or control characters";
    pub(crate) const METHOD: &str = "method must be an HTTP method such as GET or POST; CONNECT is not possible";
    pub(crate) const HEADER_NAME: &str = "name must be an HTTP header name: letters, digits and !#$%&*+.^_`|~-";
    pub(crate) const HEADER_RESERVED: &str =
        "name must not be a header of the connection or of the body's framing, which NanoMon sets itself";
    pub(crate) const HEADER_VALUE: &str = "value must not contain control characters";
    pub(crate) const BODY: &str = "body must not be longer than 65536 bytes";
    pub(crate) const BODY_REGEX: &str = "bodyRegex must not contain control characters";
    pub(crate) const ADDRESS_FORM: &str = "address must be host:port, an IPv6 address in brackets as in [::1]:443";
    pub(crate) const ADDRESS_PORT: &str = "address must end in a port between 1 and 65535";
    pub(crate) const HOST: &str = "host must be a host name or an IP address without brackets and port";
    pub(crate) const PING_COUNT: &str = "count must be between 1 and 20";
    pub(crate) const PING_INTERVAL_FORM: &str = "interval must be a duration such as 150ms or 1s";
    pub(crate) const PING_INTERVAL_MIN: &str = "interval must be at least 100ms";
    pub(crate) const PING_TRAIN: &str = "ping must end before the monitor's next run: (count - 1) * interval + timeout must be shorter than the monitor's interval";
    pub(crate) const DNS_NAME: &str = "name must be a DNS name of labels of letters, digits, hyphens and underscores";
    pub(crate) const SERVER_FORM: &str =
        "server must be a host name or an IP address, optionally with :port, an IPv6 address with a port in brackets";
    pub(crate) const SERVER_PORT: &str = "server must have a port between 1 and 65535 or none";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_pattern_contains_a_single_quote() {
        for pattern in [
            DURATION,
            NAME,
            PORT,
            URL_SCHEME,
            URL_USER_INFO,
            URL_FORBIDDEN,
            CONTROL,
            CONTROL_IN_TEXT,
            METHOD,
            METHOD_TUNNEL,
            HEADER_NAME,
            HEADER_RESERVED,
            HEADER_VALUE_FORBIDDEN,
            POOL_NAME,
        ] {
            assert!(!pattern.contains('\''), "{pattern}");
            compiled(pattern);
        }
    }

    #[test]
    fn durations_stay_far_from_overflow() {
        for good in ["1s", "1.5s", "500ms", "1h30m", "24h", "1h1m1s1ms", "86400s", "0.5h"] {
            assert!(IS_DURATION.matches(good), "{good}");
            assert!(nanomon_core::duration::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "1", "s", "-1s", "+1s", "1d", "1 s", "999999h", "1h1h1h1h1h", ".5s", "1.s", "1us", "1s\n"] {
            assert!(!IS_DURATION.matches(bad), "{bad:?}");
        }
    }

    #[test]
    fn ports_are_exact() {
        let ends_in_port = compiled(&ends_in_port_pattern());
        for port in 0..=70_000u32 {
            assert_eq!(ends_in_port.is_match(&format!("a:{port}")), (1..=65_535).contains(&port), "{port}");
        }
    }

    #[test]
    fn hosts_and_ports_split() {
        let split = |text: &str| split_host_port(text, None);
        assert_eq!(split("a.example:443"), Ok(("a.example".into(), 443)));
        assert_eq!(split("[::1]:443"), Ok(("::1".into(), 443)));
        assert_eq!(split("10.0.0.1:80"), Ok(("10.0.0.1".into(), 80)));
        for bad in
            ["a.example", "::1", "[::1]", "[10.0.0.1]:80", "a b:80", "a:", ":80", "http://a:80", "a:x", "[::1]x:1"]
        {
            assert_eq!(split(bad), Err(HostPortError::Form), "{bad}");
        }
        for bad in ["a:0", "a:65536", "a:080", "[::1]:99999999999"] {
            assert_eq!(split(bad), Err(HostPortError::Port), "{bad}");
        }
        let server = |text: &str| split_host_port(text, Some(53));
        assert_eq!(server("::1"), Ok(("::1".into(), 53)));
        assert_eq!(server("[::1]"), Ok(("::1".into(), 53)));
        assert_eq!(server("[::1]:5353"), Ok(("::1".into(), 5353)));
        assert_eq!(server("9.9.9.9"), Ok(("9.9.9.9".into(), 53)));
        assert_eq!(server("dns.example:5353"), Ok(("dns.example".into(), 5353)));
        assert_eq!(server("::ffff:1.2.3.4"), Err(HostPortError::Form));
    }
}
