//! `Monitor`: one thing that is probed at an interval.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::rules;
use super::status::MonitorStatus;

/// What is probed, how often, and by which rule an answer is judged.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::duplicated_attributes, reason = "each printcolumn has its own type and priority")]
#[kube(
    group = "nanomon.io",
    version = "v1alpha1",
    kind = "Monitor",
    plural = "monitors",
    doc = "A Monitor probes one target at an interval and judges each answer by a rule.",
    namespaced,
    status = "MonitorStatus",
    derive = "PartialEq",
    shortname = "nmon",
    category = "nanomon",
    selectable = ".spec.group",
    selectable = ".status.state",
    selectable = ".status.type",
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = ".status.state",
        description = "OK, Error, Failed or Unknown."
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether the newest generation runs; a target that is down is Ready too."
    ),
    printcolumn(name = "Type", type_ = "string", json_path = ".status.type"),
    printcolumn(name = "Target", type_ = "string", json_path = ".status.target"),
    printcolumn(
        name = "Value",
        type_ = "string",
        json_path = ".status.lastValue",
        description = "The last measured value in milliseconds."
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Interval", type_ = "string", json_path = ".spec.interval", priority = 1),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.failureReason",
        priority = 1,
        description = "Why the last run was not OK."
    ),
    printcolumn(
        name = "Since",
        type_ = "date",
        json_path = ".status.since",
        priority = 1,
        description = "When the state began."
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::one_target(),
    validation = rules::timeout_shorter("http"),
    validation = rules::timeout_shorter("tcp"),
    validation = rules::timeout_shorter("ping"),
    validation = rules::timeout_shorter("dns"),
    validation = rules::ping_train()
)]
pub struct MonitorSpec {
    /// Free text for people. Default: the object's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    #[x_kube(validation = rules::display_name())]
    pub display_name: Option<String>,

    /// Group on the dashboard.
    #[serde(default = "defaults::group")]
    #[schemars(length(min = 1, max = 100))]
    #[x_kube(validation = rules::group())]
    pub group: String,

    /// Time between two runs, from 1s to 24h, in Go's duration syntax (30s, 5m, 1h30m).
    #[serde(default = "defaults::interval")]
    #[schemars(length(max = 40))]
    #[x_kube(validation = rules::interval_form(), validation = rules::interval_bounds())]
    pub interval: String,

    /// While true the monitor keeps its history but is not probed.
    #[serde(default)]
    pub suspend: bool,

    /// Probes by an HTTP or HTTPS request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpProbe>,

    /// Probes by opening a TCP connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpProbe>,

    /// Probes by ICMP echo requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ping: Option<PingProbe>,

    /// Probes by a DNS lookup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsProbe>,

    /// A CEL expression over the outputs of a run; while it is false the state is Error. Without one every answer is OK.
    /// Example: status >= 200 && status < 300 && respTime < 5000
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    #[x_kube(validation = rules::rule_text())]
    pub rule: Option<String>,

    /// Names of the runner pools that probe the target, each on its own.
    #[serde(default = "defaults::runner_pools")]
    #[schemars(length(min = 1, max = 8), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = rules::pools())]
    pub runner_pools: Vec<String>,
}

/// An HTTP or HTTPS request per run. Outputs: status, respTime, body, bodyLen, certExpiryDays, regexMatch and the phases.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpProbe {
    /// An absolute http or https URL without user info.
    #[schemars(length(max = 2048))]
    #[x_kube(
        validation = rules::url_scheme(),
        validation = rules::url_form(),
        validation = rules::url_user_info(),
        validation = rules::url_forbidden()
    )]
    pub url: String,

    /// The request's method.
    #[serde(default = "defaults::method")]
    #[schemars(length(max = 31))]
    #[x_kube(validation = rules::method())]
    pub method: String,

    /// Time for the whole run, from 1ms to 60s and shorter than the interval.
    /// Default: 5s or 0.8 of the interval, whichever is shorter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    #[x_kube(validation = rules::timeout_form(), validation = rules::timeout_bounds())]
    pub timeout: Option<String>,

    /// Request headers. A header Host replaces the one of the URL.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub headers: Vec<HttpHeader>,

    /// The request's body, 64 KiB at most.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 65536))]
    #[x_kube(validation = rules::body())]
    pub body: String,

    /// A regular expression that is run over the answer's body; its first group (or else its whole match) becomes the
    /// output regexMatch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    #[x_kube(validation = rules::body_regex())]
    pub body_regex: Option<String>,

    /// While false any certificate is accepted; its expiry is still reported.
    #[serde(default = "defaults::yes", rename = "validateTLS")]
    pub validate_tls: bool,

    /// While false a redirect itself is the answer.
    #[serde(default = "defaults::yes")]
    pub follow_redirects: bool,
}

/// A request header.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpHeader {
    /// The header's name.
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = rules::header_name(), validation = rules::header_reserved())]
    pub name: String,

    /// The header's value.
    #[schemars(length(max = 4096))]
    #[x_kube(validation = rules::header_value())]
    pub value: String,
}

/// A TCP connection per run, closed at once. Outputs: respTime, ipAddress and the phases.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TcpProbe {
    /// host:port, an IPv6 address in brackets.
    #[schemars(length(max = 261))]
    #[x_kube(validation = rules::address_form(), validation = rules::address_port())]
    pub address: String,

    /// Time for name resolution and connection, from 1ms to 60s and shorter than the interval.
    /// Default: 5s or 0.8 of the interval, whichever is shorter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    #[x_kube(validation = rules::timeout_form(), validation = rules::timeout_bounds())]
    pub timeout: Option<String>,
}

/// A train of ICMP echo requests per run. Outputs: minRtt, avgRtt, maxRtt, packetsRecv, packetLoss, ipAddress.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PingProbe {
    /// A host name or an IP address.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::host())]
    pub host: String,

    /// Echo requests per run.
    #[serde(default = "defaults::ping_count")]
    #[schemars(range(min = 1, max = 20))]
    pub count: i32,

    /// Pause between two echo requests, at least 100ms.
    #[serde(default = "defaults::ping_interval")]
    #[schemars(length(max = 40))]
    #[x_kube(validation = rules::ping_interval_form(), validation = rules::ping_interval_min())]
    pub interval: String,

    /// Time for the reply to each request, from 1ms to 60s; the whole train must end before the next run.
    /// Default: 1s or 0.8 of the interval less the pauses, whichever is shorter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    #[x_kube(validation = rules::timeout_form(), validation = rules::timeout_bounds())]
    pub timeout: Option<String>,
}

/// A DNS lookup per run. Outputs: respTime, resultCount, result1, result2 and so on.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DnsProbe {
    /// The name that is asked for.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::dns_name())]
    pub name: String,

    /// The kind of record.
    #[serde(default)]
    pub record_type: DnsRecordType,

    /// The server that is asked, as host or host:port. Default: the runner's own resolvers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 261))]
    #[x_kube(validation = rules::server_form(), validation = rules::server_port())]
    pub server: Option<String>,

    /// Which addresses a lookup of type A returns: ip4, ip6, or ip for both.
    #[serde(default)]
    pub network: DnsNetwork,

    /// Time for the lookup, from 1ms to 60s and shorter than the interval.
    /// Default: 2s or 0.8 of the interval, whichever is shorter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    #[x_kube(validation = rules::timeout_form(), validation = rules::timeout_bounds())]
    pub timeout: Option<String>,
}

/// Kinds of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names are the DNS's own, and a doc comment would reorder the schema's list")]
pub enum DnsRecordType {
    #[default]
    A,
    Aaaa,
    Cname,
    Txt,
    Mx,
    Ns,
}

/// Families of addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "explained at the field, and a doc comment would reorder the schema's list")]
pub enum DnsNetwork {
    #[default]
    Ip,
    Ip4,
    Ip6,
}

/// The schema's defaults. They are constants: what depends on another field is resolved by the conversion.
pub(crate) mod defaults {
    pub(crate) fn group() -> String {
        "default".to_owned()
    }
    pub(crate) fn interval() -> String {
        "30s".to_owned()
    }
    pub(crate) fn runner_pools() -> Vec<String> {
        vec!["default".to_owned()]
    }
    pub(crate) fn method() -> String {
        "GET".to_owned()
    }
    pub(crate) fn yes() -> bool {
        true
    }
    pub(crate) fn ping_count() -> i32 {
        3
    }
    pub(crate) fn ping_interval() -> String {
        "150ms".to_owned()
    }
}

impl Default for MonitorSpec {
    /// The schema's defaults without a target; not valid until one is set.
    fn default() -> Self {
        Self {
            display_name: None,
            group: defaults::group(),
            interval: defaults::interval(),
            suspend: false,
            http: None,
            tcp: None,
            ping: None,
            dns: None,
            rule: None,
            runner_pools: defaults::runner_pools(),
        }
    }
}

impl HttpProbe {
    /// A GET of the URL with the schema's defaults.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            method: defaults::method(),
            timeout: None,
            headers: Vec::new(),
            body: String::new(),
            body_regex: None,
            validate_tls: true,
            follow_redirects: true,
        }
    }
}

impl TcpProbe {
    /// A connection to `host:port` with the schema's defaults.
    pub fn new(address: impl Into<String>) -> Self {
        Self { address: address.into(), timeout: None }
    }
}

impl PingProbe {
    /// Echo requests to the host with the schema's defaults.
    pub fn new(host: impl Into<String>) -> Self {
        Self { host: host.into(), count: defaults::ping_count(), interval: defaults::ping_interval(), timeout: None }
    }
}

impl DnsProbe {
    /// A lookup of the name's addresses with the schema's defaults.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            record_type: DnsRecordType::default(),
            server: None,
            network: DnsNetwork::default(),
            timeout: None,
        }
    }
}
