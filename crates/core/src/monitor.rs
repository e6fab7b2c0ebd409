//! What a monitor is: a definition that cannot be wrong.
//!
//! [`MonitorDef`] is made in one place only, `nanomon_crds::convert`, from the user's spec; it is stored as JSON in
//! `monitors.def`, and the runner reads it back without validating again. Every default is already resolved in it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::duration::serde_ms;

/// Bounds that the schema, the conversion and the runner share.
pub mod limits {
    use std::time::Duration;

    /// Shortest interval between two runs.
    pub const INTERVAL_MIN: Duration = Duration::from_secs(1);
    /// Longest interval between two runs.
    pub const INTERVAL_MAX: Duration = Duration::from_hours(24);
    /// Longest timeout of a run.
    pub const TIMEOUT_MAX: Duration = Duration::from_mins(1);
    /// Shortest timeout of a run.
    pub const TIMEOUT_MIN: Duration = Duration::from_millis(1);
    /// Most echo requests in one ping run.
    pub const PING_COUNT_MAX: u8 = 20;
    /// Shortest pause between two echo requests of one run.
    pub const PING_INTERVAL_MIN: Duration = Duration::from_millis(100);
    /// Characters in a rule.
    pub const RULE_CHARS: usize = 1024;
    /// Characters in a URL.
    pub const URL_CHARS: usize = 2048;
    /// Characters in a host name or address.
    pub const HOST_CHARS: usize = 253;
    /// Characters in a display name.
    pub const DISPLAY_NAME_CHARS: usize = 200;
    /// Characters in a group name.
    pub const GROUP_CHARS: usize = 100;
    /// Bytes of a request body.
    pub const REQUEST_BODY_BYTES: usize = 64 * 1024;
    /// Request headers.
    pub const HEADERS: usize = 50;
    /// Characters in a header's name, and in its value.
    pub const HEADER_NAME_CHARS: usize = 128;
    /// See [`HEADER_NAME_CHARS`].
    pub const HEADER_VALUE_CHARS: usize = 4096;
    /// Characters of a body regex.
    pub const REGEX_CHARS: usize = 1024;
    /// Runner pools of one monitor.
    pub const POOLS: usize = 8;
    /// Bytes of an answer's body that are read and shown to the rule.
    pub const BODY_BYTES: usize = 1024 * 1024;
    /// Bytes of `regexMatch` that are kept.
    pub const REGEX_MATCH_BYTES: usize = 256;
    /// DNS answers that are kept.
    pub const DNS_ANSWERS: usize = 20;
    /// Bytes of each DNS answer that are kept.
    pub const DNS_ANSWER_BYTES: usize = 255;
    /// Redirects that are followed.
    pub const REDIRECTS: u8 = 10;
}

/// The four kinds of probe. Numbers are stored: never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(i16)]
pub enum ProbeType {
    /// An HTTP or HTTPS request.
    Http = 1,
    /// A TCP connection.
    Tcp = 2,
    /// ICMP echo requests.
    Ping = 3,
    /// A DNS lookup.
    Dns = 4,
}

impl ProbeType {
    /// All types in the order of their numbers.
    pub const ALL: [ProbeType; 4] = [Self::Http, Self::Tcp, Self::Ping, Self::Dns];

    /// The word used in the API, metrics and columns.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Ping => "ping",
            Self::Dns => "dns",
        }
    }

    /// Reads the word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.as_str() == word)
    }

    /// The stored number.
    pub fn code(self) -> i16 {
        self as i16
    }

    /// Reads the stored number.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.code() == code)
    }

    /// The reference's default timeout; the effective one is the smaller of this and 0.8 × interval.
    pub fn default_timeout(self) -> Duration {
        match self {
            Self::Http | Self::Tcp => Duration::from_secs(5),
            Self::Ping => Duration::from_secs(1),
            Self::Dns => Duration::from_secs(2),
        }
    }
}

/// A complete, valid definition with all defaults resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorDef {
    /// Free text for people; the object's name if the user gave none.
    pub display_name: String,
    /// Dashboard group.
    pub group: String,
    /// Time between two slots.
    #[serde(with = "serde_ms", rename = "interval_ms")]
    pub interval: Duration,
    /// Not probed while true.
    pub suspended: bool,
    /// What is probed.
    pub target: Target,
    /// The rule's source as the user wrote it; it is known to compile. `None`: every answer is OK.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Names of the runner pools that probe it, sorted and without duplicates; at least one.
    pub pools: Vec<String>,
}

impl MonitorDef {
    /// The kind of probe.
    pub fn probe_type(&self) -> ProbeType {
        self.target.probe_type()
    }

    /// A hash of what decides how a run goes (target, rule, interval, pools). A change of it makes a new activation, hence
    /// an initial run; display name, group and suspension do not.
    pub fn activation_hash(&self) -> u128 {
        let key = serde_json::to_vec(&(&self.target, &self.rule, self.interval.as_millis() as u64, &self.pools));
        xxh3_128(&key.unwrap_or_default())
    }
}

/// What a monitor probes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// See [`HttpTarget`].
    Http(HttpTarget),
    /// See [`TcpTarget`].
    Tcp(TcpTarget),
    /// See [`PingTarget`].
    Ping(PingTarget),
    /// See [`DnsTarget`].
    Dns(DnsTarget),
}

impl Target {
    /// The kind of probe.
    pub fn probe_type(&self) -> ProbeType {
        match self {
            Self::Http(_) => ProbeType::Http,
            Self::Tcp(_) => ProbeType::Tcp,
            Self::Ping(_) => ProbeType::Ping,
            Self::Dns(_) => ProbeType::Dns,
        }
    }

    /// The effective timeout of a whole run.
    pub fn timeout(&self) -> Duration {
        match self {
            Self::Http(t) => t.timeout,
            Self::Tcp(t) => t.timeout,
            Self::Ping(t) => t.timeout,
            Self::Dns(t) => t.timeout,
        }
    }

    /// The reference's `target` string: URL, `host:port` (IPv6 in brackets), host, or name.
    pub fn address(&self) -> String {
        match self {
            Self::Http(t) => t.url.clone(),
            Self::Tcp(t) => host_port(&t.host, t.port),
            Self::Ping(t) => t.host.clone(),
            Self::Dns(t) => t.name.clone(),
        }
    }

    /// The target as it may be shown, logged and mailed: a URL's query keeps its names only, its fragment goes.
    pub fn display(&self) -> String {
        let Self::Http(t) = self else { return self.address() };
        let Ok(mut url) = url::Url::parse(&t.url) else { return String::new() };
        url.set_fragment(None);
        let names: Vec<String> = url.query_pairs().map(|(name, _)| format!("{name}=…")).collect();
        url.set_query(None);
        if names.is_empty() { url.to_string() } else { format!("{url}?{}", names.join("&")) }
    }
}

/// `host:port`, with brackets around an IPv6 literal.
pub fn host_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// One HTTP(S) request per run, redirects followed if wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HttpTarget {
    /// An absolute `http` or `https` URL with a host and without user info.
    pub url: String,
    /// An upper-case method token.
    pub method: String,
    /// Whole run, redirects and body included.
    #[serde(with = "serde_ms", rename = "timeout_ms")]
    pub timeout: Duration,
    /// Valid header names (as the user wrote them) and values, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header>,
    /// Sent with every method if not empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// Known to compile. Its first group (or whole match) becomes `regexMatch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_regex: Option<String>,
    /// False: any certificate is taken (its expiry is still reported).
    pub validate_tls: bool,
    /// False: a redirect is the answer.
    pub follow_redirects: bool,
}

/// A request header.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Header {
    /// A valid header name.
    pub name: String,
    /// A valid header value.
    pub value: String,
}

/// One TCP connection per run, closed at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TcpTarget {
    /// A host name or an IP literal without brackets.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
    /// Name resolution and connection together.
    #[serde(with = "serde_ms", rename = "timeout_ms")]
    pub timeout: Duration,
}

/// A train of ICMP echo requests per run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PingTarget {
    /// A host name or an IP literal without brackets.
    pub host: String,
    /// Echo requests, 1 to 20.
    pub count: u8,
    /// Pause between two requests.
    #[serde(with = "serde_ms", rename = "interval_ms")]
    pub interval: Duration,
    /// How long the reply to each request is waited for.
    #[serde(with = "serde_ms", rename = "timeout_ms")]
    pub timeout: Duration,
}

/// One DNS question per run (two for `network: ip` with an address type left to us).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DnsTarget {
    /// The name that is asked, as the user wrote it.
    pub name: String,
    /// The kind of record.
    pub record_type: RecordType,
    /// The server asked, as host and port; `None`: the system's resolvers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<DnsServer>,
    /// Which addresses an `A` lookup returns: `ip` asks for A and AAAA, `ip4` for A only, `ip6` for AAAA only (the
    /// reference's meaning). Other record types ignore it.
    pub network: Network,
    /// The whole lookup.
    #[serde(with = "serde_ms", rename = "timeout_ms")]
    pub timeout: Duration,
}

/// A DNS server to ask.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DnsServer {
    /// A host name or an IP literal without brackets.
    pub host: String,
    /// 53 unless written.
    pub port: u16,
}

/// Record types that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names are the DNS's own")]
pub enum RecordType {
    A,
    Aaaa,
    Cname,
    Txt,
    Mx,
    Ns,
}

impl RecordType {
    /// All types.
    pub const ALL: [RecordType; 6] = [Self::A, Self::Aaaa, Self::Cname, Self::Txt, Self::Mx, Self::Ns];

    /// The DNS's own word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Txt => "TXT",
            Self::Mx => "MX",
            Self::Ns => "NS",
        }
    }

    /// Reads the word, in upper case.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.as_str() == word)
    }
}

/// Address families that a lookup may return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// Both.
    Ip,
    /// IPv4 only.
    Ip4,
    /// IPv6 only.
    Ip6,
}

impl Network {
    /// The reference's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Ip4 => "ip4",
            Self::Ip6 => "ip6",
        }
    }

    /// Reads the word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Ip, Self::Ip4, Self::Ip6].into_iter().find(|n| n.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(url: &str) -> Target {
        Target::Http(HttpTarget {
            url: url.to_owned(),
            method: "GET".to_owned(),
            timeout: Duration::from_secs(5),
            headers: vec![],
            body: String::new(),
            body_regex: None,
            validate_tls: true,
            follow_redirects: true,
        })
    }

    #[test]
    fn display_cuts_the_query_to_names() {
        assert_eq!(http("https://a.example/p?token=secret&q=1#f").display(), "https://a.example/p?token=…&q=…");
        assert_eq!(http("https://a.example/p").display(), "https://a.example/p");
    }

    #[test]
    fn activation_ignores_names_and_suspension() {
        let def = MonitorDef {
            display_name: "x".into(),
            group: "g".into(),
            interval: Duration::from_secs(10),
            suspended: false,
            target: http("http://a.example/"),
            rule: None,
            pools: vec!["default".into()],
        };
        let renamed = MonitorDef { display_name: "y".into(), group: "h".into(), suspended: true, ..def.clone() };
        assert_eq!(def.activation_hash(), renamed.activation_hash());
        let ruled = MonitorDef { rule: Some("status == 200".into()), ..def.clone() };
        assert_ne!(def.activation_hash(), ruled.activation_hash());
    }

    #[test]
    fn definitions_round_trip_through_json() {
        let def = MonitorDef {
            display_name: "x".into(),
            group: "g".into(),
            interval: Duration::from_millis(1250),
            suspended: false,
            target: Target::Dns(DnsTarget {
                name: "a.example".into(),
                record_type: RecordType::Aaaa,
                server: Some(DnsServer { host: "::1".into(), port: 5353 }),
                network: Network::Ip6,
                timeout: Duration::from_secs(2),
            }),
            rule: Some("resultCount > 0".into()),
            pools: vec!["default".into()],
        };
        let json = serde_json::to_string(&def).unwrap();
        assert_eq!(serde_json::from_str::<MonitorDef>(&json).unwrap(), def);
    }
}
