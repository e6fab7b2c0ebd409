//! From a spec to a definition that runs: the only way in.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use nanomon_core::ProbeType;
use nanomon_core::duration;
use nanomon_core::monitor::{
    DnsServer, DnsTarget, Header, HttpTarget, MonitorDef, Network, PingTarget, RecordType, Target, TcpTarget, limits,
};
use nanomon_core::rule::{BodyRegex, Rule};

use crate::grammar::{self, HostPortError, sentences};
use crate::v1alpha1::monitor::{DnsNetwork, DnsProbe, DnsRecordType, HttpProbe, MonitorSpec, PingProbe, TcpProbe};

/// The kind of a fault, which decides the reason of the condition `Accepted`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The spec breaks a bound that the schema has too (or would have if it could).
    Invalid,
    /// The rule or the body regex does not compile.
    InvalidRule,
}

/// One fault of a spec.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct FieldError {
    /// The field, such as `spec.http.url` or `spec.http.headers[2].name`.
    pub path: String,
    /// A sentence that names the field's last part and the fault.
    pub message: String,
    /// Which kind of fault.
    pub fault: Fault,
    /// For a rule: the character at which the fault begins.
    pub position: Option<usize>,
}

/// All faults of a spec, at least one, in the order of the fields.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Faults(pub Vec<FieldError>);

impl Faults {
    /// The gravest kind: a spec that breaks a bound is that, whatever its rule.
    pub fn fault(&self) -> Fault {
        if self.0.iter().all(|e| e.fault == Fault::InvalidRule) { Fault::InvalidRule } else { Fault::Invalid }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

/// Collects faults while the rest of the spec is still looked at.
#[derive(Default)]
struct Checker {
    faults: Vec<FieldError>,
}

impl Checker {
    fn fault(&mut self, path: &str, message: impl Into<String>) {
        self.faults.push(FieldError {
            path: path.to_owned(),
            message: message.into(),
            fault: Fault::Invalid,
            position: None,
        });
    }

    fn rule_fault(&mut self, path: &str, message: String, position: Option<usize>) {
        self.faults.push(FieldError { path: path.to_owned(), message, fault: Fault::InvalidRule, position });
    }

    fn require(&mut self, holds: bool, path: &str, message: &str) {
        if !holds {
            self.fault(path, message);
        }
    }

    /// A text of at least `min` and at most `max` characters.
    fn chars(&mut self, text: &str, min: usize, max: usize, path: &str) {
        let field = path.rsplit('.').next().unwrap_or(path);
        if text.is_empty() && min > 0 {
            self.fault(path, format!("{field} must not be empty"));
        } else if text.chars().count() > max {
            self.fault(path, format!("{field} must not be longer than {max} characters"));
        }
    }

    /// A duration of the schema's form.
    fn duration(&mut self, text: &str, path: &str, message: &str) -> Option<Duration> {
        let parsed = (text.chars().count() <= grammar::DURATION_CHARS && grammar::IS_DURATION.matches(text))
            .then(|| duration::parse(text).ok())
            .flatten();
        if parsed.is_none() {
            self.fault(path, message);
        }
        parsed
    }

    /// The written timeout, checked against the interval; `None` if none is written or it is no good.
    fn timeout(&mut self, text: Option<&str>, interval: Option<Duration>, path: &str) -> Option<Duration> {
        let timeout = self.duration(text?, path, sentences::TIMEOUT_FORM)?;
        if !(limits::TIMEOUT_MIN..=limits::TIMEOUT_MAX).contains(&timeout) {
            self.fault(path, sentences::TIMEOUT_BOUNDS);
        }
        if interval.is_some_and(|interval| timeout >= interval) {
            self.fault(path, sentences::TIMEOUT_INTERVAL);
        }
        Some(timeout)
    }
}

/// The timeout of a run for which none is written: the type's default, or 0.8 of what the interval leaves after the
/// pauses of a ping, whichever is shorter; in whole milliseconds.
pub(crate) fn default_timeout(probe: ProbeType, interval: Duration, pauses: Duration) -> Duration {
    let room = interval.saturating_sub(pauses) * 4 / 5;
    let room = Duration::from_millis(room.as_millis() as u64);
    probe.default_timeout().min(room).max(limits::TIMEOUT_MIN)
}

/// Turns a spec into a definition with every default resolved.
///
/// `name` is the object's name, which stands in for a missing display name.
///
/// # Errors
/// All faults of the spec at once.
pub fn convert(name: &str, spec: &MonitorSpec) -> Result<MonitorDef, Faults> {
    // Destructured so that a new field cannot be forgotten.
    let MonitorSpec { display_name, group, interval, suspend, http, tcp, ping, dns, rule, runner_pools } = spec;
    let mut check = Checker::default();

    if let Some(text) = display_name {
        check.chars(text, 1, limits::DISPLAY_NAME_CHARS, "spec.displayName");
        check.require(!grammar::HAS_CONTROL.matches(text), "spec.displayName", sentences::DISPLAY_NAME);
    }
    check.chars(group, 1, limits::GROUP_CHARS, "spec.group");
    check.require(!grammar::HAS_CONTROL.matches(group), "spec.group", sentences::GROUP);
    let interval = check.duration(interval, "spec.interval", sentences::INTERVAL_FORM);
    if interval.is_some_and(|i| !(limits::INTERVAL_MIN..=limits::INTERVAL_MAX).contains(&i)) {
        check.fault("spec.interval", sentences::INTERVAL_BOUNDS);
    }

    let members = [http.is_some(), tcp.is_some(), ping.is_some(), dns.is_some()];
    let mut target = None;
    if members.into_iter().filter(|set| *set).count() == 1 {
        target = http
            .as_ref()
            .map(|probe| Target::Http(http_target(&mut check, probe, interval)))
            .or_else(|| tcp.as_ref().map(|probe| Target::Tcp(tcp_target(&mut check, probe, interval))))
            .or_else(|| ping.as_ref().map(|probe| Target::Ping(ping_target(&mut check, probe, interval))))
            .or_else(|| dns.as_ref().map(|probe| Target::Dns(dns_target(&mut check, probe, interval))));
    } else {
        check.fault("spec", sentences::ONE_TARGET);
    }

    let rule = rule.as_deref().filter(|text| !text.trim().is_empty());
    if let Some(text) = rule {
        let faults = check.faults.len();
        check.chars(text, 0, limits::RULE_CHARS, "spec.rule");
        check.require(!grammar::HAS_CONTROL_IN_TEXT.matches(text), "spec.rule", sentences::RULE);
        if let (true, Some(target)) = (check.faults.len() == faults, &target)
            && let Err(error) = Rule::compile(text, target.probe_type())
        {
            let message = format!("rule does not compile: {} (at character {})", error.message, error.position);
            check.rule_fault("spec.rule", message, Some(error.position));
        }
    }
    let pools = pools(&mut check, runner_pools);

    match (target, interval) {
        (Some(target), Some(interval)) if check.faults.is_empty() => Ok(MonitorDef {
            display_name: display_name.clone().unwrap_or_else(|| name.to_owned()),
            group: group.clone(),
            interval,
            suspended: *suspend,
            target,
            rule: rule.map(str::to_owned),
            pools,
        }),
        _ => Err(Faults(check.faults)),
    }
}

fn pools(check: &mut Checker, names: &[String]) -> Vec<String> {
    const PATH: &str = "spec.runnerPools";
    if names.is_empty() {
        check.fault(PATH, "runnerPools must not be empty");
    } else if names.len() > limits::POOLS {
        check.fault(PATH, format!("runnerPools must not hold more than {} names", limits::POOLS));
    }
    check.require(names.iter().all(|name| grammar::IS_POOL_NAME.matches(name)), PATH, sentences::POOL);
    let sorted: BTreeSet<&String> = names.iter().collect();
    if sorted.len() < names.len() {
        check.fault(PATH, "runnerPools must not hold a name twice");
    }
    sorted.into_iter().cloned().collect()
}

fn http_target(check: &mut Checker, probe: &HttpProbe, interval: Option<Duration>) -> HttpTarget {
    let HttpProbe { url, method, timeout, headers, body, body_regex, validate_tls, follow_redirects } = probe;
    check_url(check, url);

    check.require(
        grammar::IS_METHOD.matches(method) && !grammar::IS_METHOD_TUNNEL.matches(method),
        "spec.http.method",
        sentences::METHOD,
    );
    let written = check.timeout(timeout.as_deref(), interval, "spec.http.timeout");

    if headers.len() > limits::HEADERS {
        check.fault("spec.http.headers", format!("headers must not hold more than {} headers", limits::HEADERS));
    }
    let mut seen = BTreeSet::new();
    for (i, header) in headers.iter().take(limits::HEADERS).enumerate() {
        let path = format!("spec.http.headers[{i}].name");
        check.chars(&header.name, 1, limits::HEADER_NAME_CHARS, &path);
        check.require(grammar::IS_HEADER_NAME.matches(&header.name), &path, sentences::HEADER_NAME);
        check.require(!grammar::IS_HEADER_RESERVED.matches(&header.name), &path, sentences::HEADER_RESERVED);
        check.require(seen.insert(&header.name), &path, "name must not be the name of another header");
        let path = format!("spec.http.headers[{i}].value");
        check.chars(&header.value, 0, limits::HEADER_VALUE_CHARS, &path);
        check.require(!grammar::HAS_HEADER_VALUE_FORBIDDEN.matches(&header.value), &path, sentences::HEADER_VALUE);
    }

    check.require(body.len() <= limits::REQUEST_BODY_BYTES, "spec.http.body", sentences::BODY);
    let body_regex = body_regex.as_deref().filter(|text| !text.is_empty());
    if let Some(text) = body_regex {
        check_regex(check, text);
    }

    HttpTarget {
        url: url.clone(),
        method: method.to_ascii_uppercase(),
        timeout: timeout_or_default(written, ProbeType::Http, interval, Duration::ZERO),
        headers: headers.iter().map(|h| Header { name: h.name.clone(), value: h.value.clone() }).collect(),
        body: body.clone(),
        body_regex: body_regex.map(str::to_owned),
        validate_tls: *validate_tls,
        follow_redirects: *follow_redirects,
    }
}

fn check_url(check: &mut Checker, url: &str) {
    const PATH: &str = "spec.http.url";
    check.chars(url, 0, limits::URL_CHARS, PATH);
    let scheme = grammar::HAS_URL_SCHEME.matches(url);
    let forbidden = grammar::HAS_URL_FORBIDDEN.matches(url);
    check.require(scheme, PATH, sentences::URL_SCHEME);
    check.require(!grammar::HAS_USER_INFO.matches(url), PATH, sentences::URL_USER_INFO);
    check.require(!forbidden, PATH, sentences::URL_FORBIDDEN);
    if scheme && !forbidden {
        // `http:///path` has no host for Go, but the URL standard would take `path` for it.
        let no_host = url.split_once("//").is_some_and(|(_, rest)| rest.starts_with(['/', '?', '#', ':']));
        let parsed = url::Url::parse(url).ok().filter(|u| u.has_host() && u.port() != Some(0));
        check.require(!no_host && parsed.is_some(), PATH, sentences::URL_FORM);
        // The URL standard takes more for a host than can be looked up (`a!b`, a label of 64 letters).
        let host = parsed.as_ref().and_then(url::Url::host_str).map(|host| host.trim_matches(['[', ']']));
        check.require(no_host || host.is_none_or(grammar::is_host), PATH, sentences::URL_HOST);
    }
}

fn check_regex(check: &mut Checker, text: &str) {
    const PATH: &str = "spec.http.bodyRegex";
    let faults = check.faults.len();
    check.chars(text, 0, limits::REGEX_CHARS, PATH);
    check.require(!grammar::HAS_CONTROL_IN_TEXT.matches(text), PATH, sentences::BODY_REGEX);
    if check.faults.len() > faults {
        return;
    }
    // The type that runs it, so that nothing is accepted here which a runner would refuse.
    if let Err(reason) = BodyRegex::compile(text) {
        check.rule_fault(PATH, format!("bodyRegex does not compile: {reason}"), None);
    }
}

fn tcp_target(check: &mut Checker, probe: &TcpProbe, interval: Option<Duration>) -> TcpTarget {
    let TcpProbe { address, timeout } = probe;
    const PATH: &str = "spec.tcp.address";
    let (host, port) = match grammar::split_host_port(address, None) {
        Ok((host, port)) => {
            check.chars(&host, 0, limits::HOST_CHARS, PATH);
            (host, port)
        }
        Err(error) => {
            let sentence = match error {
                HostPortError::Form => sentences::ADDRESS_FORM,
                HostPortError::Port => sentences::ADDRESS_PORT,
            };
            check.fault(PATH, sentence);
            (String::new(), 0)
        }
    };
    let written = check.timeout(timeout.as_deref(), interval, "spec.tcp.timeout");
    TcpTarget { host, port, timeout: timeout_or_default(written, ProbeType::Tcp, interval, Duration::ZERO) }
}

fn ping_target(check: &mut Checker, probe: &PingProbe, interval: Option<Duration>) -> PingTarget {
    let PingProbe { host, count, interval: pause, timeout } = probe;
    check.chars(host, 0, limits::HOST_CHARS, "spec.ping.host");
    check.require(grammar::is_host(host), "spec.ping.host", sentences::HOST);
    let count = u8::try_from(*count).ok().filter(|n| (1..=limits::PING_COUNT_MAX).contains(n));
    check.require(count.is_some(), "spec.ping.count", sentences::PING_COUNT);
    let count = count.unwrap_or(1);
    let pause = check.duration(pause, "spec.ping.interval", sentences::PING_INTERVAL_FORM);
    if pause.is_some_and(|pause| pause < limits::PING_INTERVAL_MIN) {
        check.fault("spec.ping.interval", sentences::PING_INTERVAL_MIN);
    }
    let pause = pause.unwrap_or(limits::PING_INTERVAL_MIN);
    let written = check.timeout(timeout.as_deref(), interval, "spec.ping.timeout");
    let pauses = pause * u32::from(count - 1);
    if interval.is_some_and(|interval| pauses + written.unwrap_or_default() >= interval) {
        check.fault("spec.ping", sentences::PING_TRAIN);
    }
    PingTarget {
        host: host.clone(),
        count,
        interval: pause,
        timeout: timeout_or_default(written, ProbeType::Ping, interval, pauses),
    }
}

fn dns_target(check: &mut Checker, probe: &DnsProbe, interval: Option<Duration>) -> DnsTarget {
    let DnsProbe { name, record_type, server, network, timeout } = probe;
    check.chars(name, 0, limits::HOST_CHARS, "spec.dns.name");
    check.require(grammar::is_question(name), "spec.dns.name", sentences::DNS_NAME);
    let server = server.as_deref().and_then(|text| {
        const PATH: &str = "spec.dns.server";
        match grammar::split_host_port(text, Some(53)) {
            Ok((host, port)) => {
                check.chars(&host, 0, limits::HOST_CHARS, PATH);
                Some(DnsServer { host, port })
            }
            Err(HostPortError::Form) => {
                check.fault(PATH, sentences::SERVER_FORM);
                None
            }
            Err(HostPortError::Port) => {
                check.fault(PATH, sentences::SERVER_PORT);
                None
            }
        }
    });
    let written = check.timeout(timeout.as_deref(), interval, "spec.dns.timeout");
    DnsTarget {
        name: name.clone(),
        record_type: match record_type {
            DnsRecordType::A => RecordType::A,
            DnsRecordType::Aaaa => RecordType::Aaaa,
            DnsRecordType::Cname => RecordType::Cname,
            DnsRecordType::Txt => RecordType::Txt,
            DnsRecordType::Mx => RecordType::Mx,
            DnsRecordType::Ns => RecordType::Ns,
        },
        server,
        network: match network {
            DnsNetwork::Ip => Network::Ip,
            DnsNetwork::Ip4 => Network::Ip4,
            DnsNetwork::Ip6 => Network::Ip6,
        },
        timeout: timeout_or_default(written, ProbeType::Dns, interval, Duration::ZERO),
    }
}

fn timeout_or_default(
    written: Option<Duration>,
    probe: ProbeType,
    interval: Option<Duration>,
    pauses: Duration,
) -> Duration {
    written.unwrap_or_else(|| default_timeout(probe, interval.unwrap_or(limits::INTERVAL_MAX), pauses))
}

#[cfg(test)]
#[path = "convert/tests.rs"]
mod tests;
