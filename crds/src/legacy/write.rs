//! Spec → flat form.

use std::collections::BTreeMap;

use super::LegacyMonitor;
use crate::v1alpha1::monitor::{DnsNetwork, DnsProbe, DnsRecordType, HttpProbe, MonitorSpec, PingProbe, TcpProbe};

/// The flat form of a spec; `name` is the object's name, which stands in for a missing display name. Of an object with
/// no or several targets (stored under a looser schema) the first is shown, or none.
pub fn from_spec(name: &str, spec: &MonitorSpec) -> LegacyMonitor {
    let MonitorSpec { display_name, group, interval, suspend, http, tcp, ping, dns, rule, runner_pools: _ } = spec;
    let (probe_type, target, properties) = match (http, tcp, ping, dns) {
        (Some(probe), ..) => ("http", probe.url.clone(), http_properties(probe)),
        (_, Some(TcpProbe { address, timeout }), ..) => {
            ("tcp", address.clone(), collect([("timeout", timeout.clone())]))
        }
        (_, _, Some(probe), _) => ("ping", probe.host.clone(), ping_properties(probe)),
        (_, _, _, Some(probe)) => ("dns", probe.name.clone(), dns_properties(probe)),
        (None, None, None, None) => ("", String::new(), BTreeMap::new()),
    };
    LegacyMonitor {
        name: display_name.clone().unwrap_or_else(|| name.to_owned()),
        probe_type: probe_type.to_owned(),
        interval: interval.clone(),
        target,
        rule: rule.clone().unwrap_or_default(),
        enabled: !suspend,
        group: group.clone(),
        properties,
    }
}

fn collect<const N: usize>(members: [(&str, Option<String>); N]) -> BTreeMap<String, String> {
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn http_properties(probe: &HttpProbe) -> BTreeMap<String, String> {
    let HttpProbe { url: _, method, timeout, headers, body, body_regex, validate_tls, follow_redirects } = probe;
    let headers: serde_json::Map<String, serde_json::Value> =
        headers.iter().map(|h| (h.name.clone(), h.value.clone().into())).collect();
    collect([
        ("method", Some(method.clone())),
        ("timeout", timeout.clone()),
        ("validateTLS", Some(validate_tls.to_string())),
        // Older clients do not know this property: only the exception is shown.
        ("followRedirects", (!follow_redirects).then(|| "false".to_owned())),
        ("body", Some(body.clone()).filter(|text| !text.is_empty())),
        ("headers", (!headers.is_empty()).then(|| serde_json::Value::Object(headers).to_string())),
        ("bodyRegex", body_regex.clone()),
    ])
}

fn ping_properties(probe: &PingProbe) -> BTreeMap<String, String> {
    let PingProbe { host: _, count, interval, timeout } = probe;
    collect([("count", Some(count.to_string())), ("interval", Some(interval.clone())), ("timeout", timeout.clone())])
}

fn dns_properties(probe: &DnsProbe) -> BTreeMap<String, String> {
    let DnsProbe { name: _, record_type, server, network, timeout } = probe;
    let record_type = match record_type {
        DnsRecordType::A => "A",
        DnsRecordType::Aaaa => "AAAA",
        DnsRecordType::Cname => "CNAME",
        DnsRecordType::Txt => "TXT",
        DnsRecordType::Mx => "MX",
        DnsRecordType::Ns => "NS",
    };
    let network = match network {
        DnsNetwork::Ip => "ip",
        DnsNetwork::Ip4 => "ip4",
        DnsNetwork::Ip6 => "ip6",
    };
    collect([
        ("type", Some(record_type.to_owned())),
        ("network", Some(network.to_owned())),
        ("server", server.clone()),
        ("timeout", timeout.clone()),
    ])
}
