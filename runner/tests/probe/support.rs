//! What the probe tests share: definitions in one line, and a prober that touches nothing but loopback.

use std::net::SocketAddr;
use std::time::Duration;

use nanomon_core::monitor::{DnsServer, DnsTarget, HttpTarget, Network, PingTarget, RecordType, TcpTarget};
use nanomon_core::{MonitorDef, Outcome, OutputId, OutputValue, Reason, Target};
use nanomon_runner::probe::{Hosts, PrepareHints, ProbeConfig, Prober, ResolvConf, ResolverSource, parse_hosts};

/// No server, and the hosts file of every machine.
pub fn config() -> ProbeConfig {
    ProbeConfig {
        resolver: resolver(
            &[],
            parse_hosts("127.0.0.1 only4.test\n::1 only6.test\n127.0.0.1 both.test\n::1 both.test"),
        ),
        ..ProbeConfig::default()
    }
}

pub fn resolver(servers: &[SocketAddr], hosts: Hosts) -> ResolverSource {
    ResolverSource::Fixed { conf: ResolvConf { servers: servers.to_vec(), search: vec![] }, hosts }
}

/// Says that a test could not run here. Written past the harness, which would keep it to itself.
pub fn skipped(why: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

pub fn prober() -> Prober {
    Prober::new(config()).unwrap()
}

pub fn def(target: Target) -> MonitorDef {
    MonitorDef {
        display_name: "test".into(),
        group: "default".into(),
        interval: Duration::from_secs(10),
        suspended: false,
        target,
        rule: None,
        pools: vec!["default".into()],
    }
}

pub fn http(url: &str) -> HttpTarget {
    HttpTarget {
        url: url.to_owned(),
        method: "GET".to_owned(),
        timeout: Duration::from_secs(5),
        headers: vec![],
        body: String::new(),
        body_regex: None,
        validate_tls: true,
        follow_redirects: true,
    }
}

pub fn tcp(host: &str, port: u16) -> TcpTarget {
    TcpTarget { host: host.to_owned(), port, timeout: Duration::from_secs(5) }
}

pub fn ping(host: &str) -> PingTarget {
    PingTarget {
        host: host.to_owned(),
        count: 3,
        interval: Duration::from_millis(100),
        timeout: Duration::from_secs(1),
    }
}

pub fn dns(server: SocketAddr, name: &str, record_type: RecordType) -> DnsTarget {
    DnsTarget {
        name: name.to_owned(),
        record_type,
        server: Some(DnsServer { host: server.ip().to_string(), port: server.port() }),
        network: Network::Ip,
        timeout: Duration::from_secs(2),
    }
}

pub async fn run(prober: &Prober, target: Target) -> Outcome {
    run_with(prober, target, PrepareHints::default()).await
}

pub async fn run_with(prober: &Prober, target: Target, hints: PrepareHints<'_>) -> Outcome {
    let probe = prober.prepare(&def(target), hints).unwrap();
    let outcome = probe.run(prober).await;
    check_shape(&outcome);
    outcome
}

/// What holds for every outcome.
pub fn check_shape(outcome: &Outcome) {
    assert_eq!(outcome.value.is_some(), outcome.reason == Reason::Ok, "{outcome:?}");
    if let Some(total) = outcome.outputs.number(OutputId::RESP_TIME) {
        let phases = [
            OutputId::DNS_TIME,
            OutputId::CONNECT_TIME,
            OutputId::TLS_TIME,
            OutputId::FIRST_BYTE_TIME,
            OutputId::TRANSFER_TIME,
        ];
        let parts: Vec<f64> = phases.iter().filter_map(|id| outcome.outputs.number(*id)).collect();
        if !parts.is_empty() {
            let sum: f64 = parts.iter().sum();
            assert!((sum - total).abs() <= 0.1, "phases {parts:?} sum to {sum}, not {total}");
        }
    }
}

pub fn text(outcome: &Outcome, id: OutputId) -> Option<&str> {
    match outcome.outputs.get(id) {
        Some(OutputValue::Text(text)) => Some(text),
        _ => None,
    }
}

pub fn number(outcome: &Outcome, id: OutputId) -> Option<f64> {
    outcome.outputs.number(id)
}
