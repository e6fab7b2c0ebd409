//! Overview, status, configuration and what rules may name.

use std::collections::BTreeMap;

use nanomon_core::outcome::{OutputId, OutputKind};
use nanomon_core::{ProbeType, monitor::limits};
use serde::Serialize;
use utoipa::ToSchema;

use super::monitor::StateWord;

/// How many monitors are in which state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct StateCounts {
    /// All.
    pub total: usize,
    /// In state OK.
    pub ok: usize,
    /// In state Error.
    pub error: usize,
    /// In state Failed.
    pub failed: usize,
    /// Suspended.
    pub paused: usize,
    /// Without a fresh result.
    pub unknown: usize,
}

impl StateCounts {
    /// Counts one monitor.
    pub fn add(&mut self, state: StateWord) {
        self.total += 1;
        match state {
            StateWord::Ok => self.ok += 1,
            StateWord::Error => self.error += 1,
            StateWord::Failed => self.failed += 1,
            StateWord::Paused => self.paused += 1,
            StateWord::Unknown => self.unknown += 1,
        }
    }
}

/// Counts over everything and per group.
#[derive(Debug, Serialize, ToSchema)]
pub struct Overview {
    /// Over everything.
    #[serde(flatten)]
    pub counts: StateCounts,
    /// Per group, by name.
    pub groups: Vec<GroupCounts>,
}

/// Counts of a group.
#[derive(Debug, Serialize, ToSchema)]
pub struct GroupCounts {
    /// The group.
    pub group: String,
    /// Its counts.
    #[serde(flatten)]
    pub counts: StateCounts,
}

/// Whether the API can answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`.
    pub status: &'static str,
}

/// What runs here.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusView {
    /// `nanomon-api`.
    pub service: &'static str,
    /// Whether the database answers.
    pub healthy: bool,
    /// The program's version.
    pub version: String,
    /// Commit and date of the build.
    pub build_info: String,
    /// Time since the start, such as `1h2m3s`.
    pub uptime: String,
    /// Seconds since the start.
    pub uptime_seconds: u64,
    /// `up` or `down`.
    pub database: &'static str,
    /// Living monitors; null while the database is away.
    pub monitors: Option<usize>,
    /// `standalone` or `cluster`.
    pub mode: &'static str,
    /// Operating system.
    pub os: &'static str,
    /// Processor.
    pub arch: &'static str,
}

/// What the dashboard must know before it starts; the upper-case names are the reference's.
#[derive(Debug, Serialize, ToSchema)]
#[expect(non_snake_case, reason = "the reference's names")]
#[serde(rename_all = "camelCase")]
pub struct DashboardConfig {
    /// Where the API is.
    #[serde(rename = "API_ENDPOINT")]
    pub API_ENDPOINT: String,
    /// Sign-in; empty: off.
    #[serde(rename = "AUTH_CLIENT_ID")]
    pub AUTH_CLIENT_ID: String,
    /// Sign-in.
    #[serde(rename = "AUTH_TENANT")]
    pub AUTH_TENANT: String,
    /// The program's version.
    #[serde(rename = "VERSION")]
    pub VERSION: String,
    /// Commit and date of the build.
    #[serde(rename = "BUILD_INFO")]
    pub BUILD_INFO: String,
    /// Whether the API takes writes from everybody.
    pub writable: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub write_blocked_reason: Option<&'static str>,
    /// `standalone` or `cluster`.
    pub mode: &'static str,
}

/// An output that a rule may name.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OutputInfo {
    /// The name in rules.
    pub name: String,
    /// `ms`, `count`, `number` or `text`.
    pub kind: &'static str,
    /// One sentence.
    pub help: &'static str,
}

/// The outputs of each type, in display order.
pub fn outputs_by_type() -> BTreeMap<&'static str, Vec<OutputInfo>> {
    ProbeType::ALL
        .into_iter()
        .map(|probe| {
            let results = (1..=limits::DNS_ANSWERS).filter_map(OutputId::result).filter(|id| id.belongs_to(probe));
            let outputs = OutputId::of(probe).iter().copied().chain(results);
            (
                probe.as_str(),
                outputs
                    .map(|id| OutputInfo { name: id.name().into_owned(), kind: kind_word(id), help: help(id) })
                    .collect(),
            )
        })
        .collect()
}

fn kind_word(id: OutputId) -> &'static str {
    match id.kind() {
        OutputKind::Millis => "ms",
        OutputKind::Count => "count",
        OutputKind::Number => "number",
        OutputKind::Text | OutputKind::Either => "text",
    }
}

fn help(id: OutputId) -> &'static str {
    match id {
        OutputId::RESP_TIME => "Time of the whole run.",
        OutputId::DNS_TIME => "Time of the name resolution.",
        OutputId::CONNECT_TIME => "Time until the TCP connection stood.",
        OutputId::TLS_TIME => "Time of the TLS handshake.",
        OutputId::FIRST_BYTE_TIME => "Time from the request to the first byte of the answer.",
        OutputId::TRANSFER_TIME => "Time from the first byte to the end of the body.",
        OutputId::STATUS => "HTTP status code.",
        OutputId::BODY_LEN => "Bytes of the body.",
        OutputId::CERT_EXPIRY_DAYS => "Days until the certificate expires; null without TLS.",
        OutputId::REGEX_MATCH => "What bodyRegex found; null if nothing.",
        OutputId::IP_ADDRESS => "The address that was talked to.",
        OutputId::HTTP_VERSION => "1.0, 1.1 or 2.",
        OutputId::REDIRECTS => "Redirects followed.",
        OutputId::MIN_RTT => "Smallest round trip.",
        OutputId::AVG_RTT => "Average round trip.",
        OutputId::MAX_RTT => "Largest round trip.",
        OutputId::PACKETS_RECV => "Replies received.",
        OutputId::PACKET_LOSS => "Percentage of requests without a reply.",
        OutputId::RESULT_COUNT => "Records in the answer.",
        OutputId::BODY => "The body, up to 1 MiB; never stored.",
        OutputId::REASON => "Why the run failed; \"ok\" if it did not.",
        _ => "A record of the answer; null if there are fewer.",
    }
}
