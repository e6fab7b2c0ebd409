//! Flat form → spec.

use std::time::Duration;

use nanomon_core::monitor::limits;
use nanomon_core::{MonitorDef, ProbeType, duration};

use super::{LegacyError, LegacyMonitor, scalar_text};
use crate::convert::{self, FieldError};
use crate::grammar;
use crate::v1alpha1::monitor::{
    DnsNetwork, DnsProbe, DnsRecordType, HttpHeader, HttpProbe, MonitorSpec, PingProbe, TcpProbe,
};

/// A spec made from a flat form.
#[derive(Clone, Debug, PartialEq)]
pub struct Converted {
    /// The spec, valid.
    pub spec: MonitorSpec,
    /// What it means.
    pub def: MonitorDef,
    /// What was left out or changed on the way, one sentence each; empty if nothing was.
    pub notes: Vec<String>,
}

/// Turns a flat form into a valid spec.
///
/// `base` is the spec that the form replaces, if there is one: what the flat form cannot say (the runner pools) is kept
/// from it.
///
/// # Errors
/// The first fault, checked in the order name, type, interval present, target present, interval valid, rule, the rest.
pub fn to_spec(form: &LegacyMonitor, base: Option<&MonitorSpec>) -> Result<Converted, LegacyError> {
    let LegacyMonitor { name, probe_type, interval, target, rule, enabled, group, properties: _ } = form;
    let target = target.trim();
    if name.trim().is_empty() {
        return Err(LegacyError::MissingName);
    }
    if probe_type.is_empty() {
        return Err(LegacyError::MissingType);
    }
    let probe = ProbeType::from_word(probe_type).ok_or(LegacyError::InvalidType)?;
    if interval.is_empty() {
        return Err(LegacyError::MissingInterval);
    }
    if target.is_empty() {
        return Err(LegacyError::MissingTarget);
    }
    let length = match duration::parse(interval) {
        Ok(length) => length,
        Err(duration::DurationError::Negative(_)) => return Err(LegacyError::ShortInterval),
        Err(duration::DurationError::TooLong(_)) => return Err(LegacyError::LongInterval),
        Err(duration::DurationError::Malformed(_)) => return Err(LegacyError::InvalidInterval),
    };
    if length < limits::INTERVAL_MIN {
        return Err(LegacyError::ShortInterval);
    }
    if length > limits::INTERVAL_MAX {
        return Err(LegacyError::LongInterval);
    }

    let mut properties = Properties { form, used: Vec::new(), notes: Vec::new() };
    let mut spec = MonitorSpec {
        display_name: Some(name.trim().to_owned()),
        interval: in_grammar(interval, length),
        suspend: !enabled,
        rule: Some(rule.trim()).filter(|text| !text.is_empty()).map(str::to_owned),
        ..MonitorSpec::default()
    };
    if !group.trim().is_empty() {
        group.trim().clone_into(&mut spec.group);
    }
    if let Some(base) = base {
        spec.runner_pools.clone_from(&base.runner_pools);
    }
    match probe {
        ProbeType::Http => spec.http = Some(properties.http(target, length)?),
        ProbeType::Tcp => {
            let timeout = properties.timeout(length, Duration::ZERO)?;
            spec.tcp = Some(TcpProbe { address: target.to_owned(), timeout });
        }
        ProbeType::Ping => spec.ping = Some(properties.ping(target, length)?),
        ProbeType::Dns => spec.dns = Some(properties.dns(target, length)?),
    }
    let notes = properties.finish();
    let def = convert::convert(name, &spec).map_err(|faults| first_fault(&faults.0))?;
    Ok(Converted { spec, def, notes })
}

/// The written text if the schema takes it, else the same length as we would write it.
fn in_grammar(text: &str, length: Duration) -> String {
    if grammar::IS_DURATION.matches(text) { text.to_owned() } else { duration::format(length) }
}

/// The fault that is told: the rule's first, as the older API did.
fn first_fault(faults: &[FieldError]) -> LegacyError {
    let fault = faults.iter().find(|e| e.path == "spec.rule").or(faults.first()).cloned();
    let Some(error) = fault else {
        return LegacyError::InvalidType;
    };
    let FieldError { path, message, fault, .. } = &error;
    match path.as_str() {
        "spec.rule" => {
            let sentence = message.strip_prefix("rule does not compile: ").unwrap_or(message);
            return LegacyError::Rule(sentence.to_owned());
        }
        "spec.http.url" | "spec.tcp.address" | "spec.ping.host" | "spec.dns.name" => {
            return LegacyError::Target(message.clone());
        }
        _ => {}
    }
    let property = match path.as_str() {
        "spec.ping" => Some("count"),
        "spec.dns.recordType" => Some("type"),
        path if path.starts_with("spec.http.headers") => Some("headers"),
        path => path.splitn(3, '.').nth(2),
    };
    if let Some(name) = property {
        return LegacyError::Property { name: name.to_owned(), message: message.clone() };
    }
    let renamed = if path == "spec.displayName" { "name".to_owned() } else { path.replace("spec.", "") };
    LegacyError::Other(FieldError { path: renamed, message: message.clone(), fault: *fault, position: None })
}

/// Reads the properties and remembers which it knows.
struct Properties<'a> {
    form: &'a LegacyMonitor,
    used: Vec<&'static str>,
    notes: Vec<String>,
}

impl<'a> Properties<'a> {
    /// A property's text, none if absent or empty.
    fn text(&mut self, name: &'static str) -> Option<&'a str> {
        self.used.push(name);
        self.form.properties.get(name).map(String::as_str).filter(|text| !text.trim().is_empty())
    }

    fn invalid(name: &'static str, message: impl Into<String>) -> LegacyError {
        LegacyError::Property { name: name.to_owned(), message: message.into() }
    }

    /// A duration, rewritten if the schema would not take its form.
    fn duration(&mut self, name: &'static str) -> Result<Option<(String, Duration)>, LegacyError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let length = duration::parse(text.trim()).map_err(|error| Self::invalid(name, error.to_string()))?;
        Ok(Some((in_grammar(text.trim(), length), length)))
    }

    /// The timeout, clamped to what the interval leaves.
    fn timeout(&mut self, interval: Duration, pauses: Duration) -> Result<Option<String>, LegacyError> {
        let Some((text, length)) = self.duration("timeout")? else {
            return Ok(None);
        };
        let room = interval.saturating_sub(pauses);
        let clamped = if length > limits::TIMEOUT_MAX.min(room) || length >= room {
            (room * 4 / 5).min(limits::TIMEOUT_MAX)
        } else if length < limits::TIMEOUT_MIN {
            limits::TIMEOUT_MIN
        } else {
            return Ok(Some(text));
        };
        let clamped = Duration::from_millis(clamped.as_millis() as u64).max(limits::TIMEOUT_MIN);
        self.notes.push(format!(
            "timeout {} is now {}: it must be shorter than the interval and at most 60s",
            duration::format(length),
            duration::format(clamped)
        ));
        Ok(Some(duration::format(clamped)))
    }

    fn flag(&mut self, name: &'static str, default: bool) -> Result<bool, LegacyError> {
        match self.text(name).map(str::trim) {
            None => Ok(default),
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
            Some(_) => Err(Self::invalid(name, format!("{name} must be \"true\" or \"false\""))),
        }
    }

    fn http(&mut self, target: &str, interval: Duration) -> Result<HttpProbe, LegacyError> {
        let mut probe = HttpProbe::new(target);
        if let Some(method) = self.text("method") {
            probe.method = method.trim().to_ascii_uppercase();
        }
        probe.timeout = self.timeout(interval, Duration::ZERO)?;
        probe.validate_tls = self.flag("validateTLS", true)?;
        probe.follow_redirects = self.flag("followRedirects", true)?;
        self.text("body").unwrap_or_default().clone_into(&mut probe.body);
        probe.body_regex = self.text("bodyRegex").map(str::to_owned);
        if let Some(text) = self.text("headers") {
            let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text)
                .map_err(|_| Self::invalid("headers", "headers must be a JSON object of texts"))?;
            for (name, value) in object {
                let Some(value) = scalar_text(&value) else {
                    return Err(Self::invalid("headers", format!("the value of header {name:?} must be a text")));
                };
                probe.headers.push(HttpHeader { name, value });
            }
        }
        Ok(probe)
    }

    fn ping(&mut self, target: &str, interval: Duration) -> Result<PingProbe, LegacyError> {
        let mut probe = PingProbe::new(target);
        if let Some(text) = self.text("count") {
            probe.count = text.trim().parse().map_err(|_| Self::invalid("count", "count must be a whole number"))?;
        }
        let mut pause = duration::parse(&probe.interval).unwrap_or(limits::PING_INTERVAL_MIN);
        if let Some((text, length)) = self.duration("interval")? {
            (probe.interval, pause) = (text, length);
        }
        let pauses = pause * u32::try_from(probe.count).unwrap_or_default().saturating_sub(1).min(1_000);
        probe.timeout = self.timeout(interval, pauses)?;
        Ok(probe)
    }

    fn dns(&mut self, target: &str, interval: Duration) -> Result<DnsProbe, LegacyError> {
        let mut probe = DnsProbe::new(target);
        if let Some(text) = self.text("type") {
            probe.record_type = match text.trim().to_ascii_uppercase().as_str() {
                "A" => DnsRecordType::A,
                "AAAA" => DnsRecordType::Aaaa,
                "CNAME" => DnsRecordType::Cname,
                "TXT" => DnsRecordType::Txt,
                "MX" => DnsRecordType::Mx,
                "NS" => DnsRecordType::Ns,
                _ => return Err(Self::invalid("type", "type must be one of A, AAAA, CNAME, TXT, MX, NS")),
            };
        }
        if let Some(text) = self.text("network") {
            probe.network = match text.trim() {
                "ip" => DnsNetwork::Ip,
                "ip4" => DnsNetwork::Ip4,
                "ip6" => DnsNetwork::Ip6,
                _ => return Err(Self::invalid("network", "network must be one of ip, ip4, ip6")),
            };
        }
        probe.server = self.text("server").map(|text| text.trim().to_owned());
        probe.timeout = self.timeout(interval, Duration::ZERO)?;
        Ok(probe)
    }

    /// The notes, with one for each property that nobody asked for.
    fn finish(self) -> Vec<String> {
        let Self { form, used, mut notes } = self;
        for name in form.properties.keys().filter(|name| !used.contains(&name.as_str())) {
            notes.push(format!("property {name} means nothing for type {} and was left out", form.probe_type));
        }
        notes
    }
}
