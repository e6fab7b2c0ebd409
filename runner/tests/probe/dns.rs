//! The dns probe against a real DNS server, one reply per reason.

use std::time::{Duration, Instant};

use crate::support::*;
use hickory_proto::rr::rdata::{CNAME, MX, NS, TXT};
use hickory_proto::rr::{Name, RData, RecordType as Wire};
use nanomon_core::monitor::{DnsServer as AskedServer, DnsTarget, Network, RecordType};
use nanomon_core::{Outcome, OutputId, Reason, Target};
use nanomon_runner::probe::{Hosts, ProbeConfig, Prober, TargetPolicy};
use nanomon_testkit::dns::{DnsServer, Reply};
use nanomon_testkit::tcp::ClosedPort;

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn addr(text: &str) -> RData {
    RData::from(text.parse::<std::net::IpAddr>().unwrap())
}

fn results(outcome: &Outcome) -> Vec<&str> {
    (1..=20).map_while(|n| text(outcome, OutputId::result(n).unwrap())).collect()
}

async fn ask(server: &DnsServer, name: &str, record_type: RecordType) -> Outcome {
    run(&prober(), Target::Dns(dns(server.addr(), name, record_type))).await
}

#[tokio::test]
async fn every_type_of_record() {
    let server = DnsServer::start().await.unwrap();
    server.set_addrs("a.test", &["192.0.2.1", "192.0.2.2", "2001:db8::1"], 60).unwrap();
    let records = |list: Vec<RData>| Reply::Records(list, 60);
    server.set("c.test", Wire::CNAME, records(vec![RData::CNAME(CNAME(name("target.test.")))]));
    let txt = |parts: &[&str]| RData::TXT(TXT::new(parts.iter().map(ToString::to_string).collect()));
    server.set("t.test", Wire::TXT, records(vec![txt(&["v=spf1 ", "-all"]), txt(&["two"])]));
    let mx = |preference, host: &str| RData::MX(MX::new(preference, name(host)));
    server.set("m.test", Wire::MX, records(vec![mx(20, "b.test."), mx(10, "a.test.")]));
    server.set("n.test", Wire::NS, records(vec![RData::NS(NS(name("ns1.test.")))]));
    for (host, record_type, expected) in [
        ("a.test", RecordType::A, vec!["192.0.2.1", "192.0.2.2", "2001:db8::1"]),
        ("a.test.", RecordType::Aaaa, vec!["2001:db8::1"]),
        ("c.test", RecordType::Cname, vec!["target.test."]),
        ("t.test", RecordType::Txt, vec!["v=spf1 -all", "two"]),
        ("m.test", RecordType::Mx, vec!["a.test. 10", "b.test. 20"]),
        ("N.Test", RecordType::Ns, vec!["ns1.test."]),
    ] {
        let outcome = ask(&server, host, record_type).await;
        assert_eq!(outcome.reason, Reason::Ok, "{host}");
        assert_eq!(results(&outcome), expected, "{host}");
        assert_eq!(number(&outcome, OutputId::RESULT_COUNT), Some(expected.len() as f64));
        assert_eq!(outcome.value, number(&outcome, OutputId::RESP_TIME));
        assert_eq!(number(&outcome, OutputId::DNS_TIME), None, "not an output of this type");
    }
}

#[tokio::test]
async fn networks_choose_families() {
    let server = DnsServer::start().await.unwrap();
    server.set_addrs("a.test", &["192.0.2.1", "2001:db8::1"], 60).unwrap();
    server.set_addrs("four.test", &["192.0.2.1"], 60).unwrap();
    for (host, network, expected) in [
        ("a.test", Network::Ip4, vec!["192.0.2.1"]),
        ("a.test", Network::Ip6, vec!["2001:db8::1"]),
        ("four.test", Network::Ip, vec!["192.0.2.1"]),
    ] {
        let target = DnsTarget { network, ..dns(server.addr(), host, RecordType::A) };
        let outcome = run(&prober(), Target::Dns(target)).await;
        assert_eq!(results(&outcome), expected, "{network:?}");
    }
    let target = DnsTarget { network: Network::Ip6, ..dns(server.addr(), "four.test", RecordType::A) };
    assert_eq!(run(&prober(), Target::Dns(target)).await.reason, Reason::DnsNoRecords);
}

#[tokio::test]
async fn one_family_is_enough() {
    let server = DnsServer::start().await.unwrap();
    server.set_addrs("a.test", &["192.0.2.1"], 60).unwrap();
    for reply in [Reply::NxDomain(0), Reply::ServFail] {
        server.set("a.test", Wire::AAAA, reply.clone());
        assert_eq!(results(&ask(&server, "a.test", RecordType::A).await), ["192.0.2.1"], "{reply:?}");
    }
}

#[tokio::test]
async fn chains_and_many_answers() {
    let server = DnsServer::start().await.unwrap();
    let chain = vec![RData::CNAME(CNAME(name("b.test."))), addr("192.0.2.7")];
    server.set("chain.test", Wire::A, Reply::Records(chain, 60));
    server.set("chain.test", Wire::AAAA, Reply::Records(vec![RData::CNAME(CNAME(name("b.test.")))], 60));
    assert_eq!(results(&ask(&server, "chain.test", RecordType::A).await), ["192.0.2.7"]);

    let many =
        (0..30).map(|n| RData::TXT(TXT::new(vec![format!("{n:02}"), "x".repeat(250), "y".repeat(250)]))).collect();
    server.set("many.test", Wire::TXT, Reply::Truncated(many));
    let outcome = ask(&server, "many.test", RecordType::Txt).await;
    assert_eq!(number(&outcome, OutputId::RESULT_COUNT), Some(30.0));
    let results = results(&outcome);
    assert_eq!(results.len(), 20);
    assert!(results.iter().all(|result| result.len() == 255));
    assert_eq!(server.asked("many.test", Wire::TXT), 2, "once over UDP, once over TCP");
}

#[tokio::test]
async fn every_failure_has_its_reason() {
    let server = DnsServer::start().await.unwrap();
    for (reply, reason) in [
        (Reply::NxDomain(60), Reason::DnsNxdomain),
        (Reply::NoRecords(60), Reason::DnsNoRecords),
        (Reply::ServFail, Reason::DnsServfail),
        (Reply::Refused, Reason::DnsRefused),
        (Reply::Garbage, Reason::DnsError),
    ] {
        server.set("x.test", Wire::MX, reply.clone());
        let outcome = ask(&server, "x.test", RecordType::Mx).await;
        assert_eq!(outcome.reason, reason, "{reply:?}");
        assert_eq!(number(&outcome, OutputId::RESULT_COUNT), None);
    }
    let closed = ClosedPort::take().unwrap();
    let outcome = run(&prober(), Target::Dns(dns(closed.addr().unwrap(), "x.test", RecordType::A))).await;
    assert_eq!(outcome.reason, Reason::ConnectRefused);
}

#[tokio::test]
async fn silence_ends_at_the_timeout() {
    let server = DnsServer::start().await.unwrap();
    server.set("quiet.test", Wire::NS, Reply::Silent);
    let timeout = Duration::from_millis(300);
    let started = Instant::now();
    let target = DnsTarget { timeout, ..dns(server.addr(), "quiet.test", RecordType::Ns) };
    assert_eq!(run(&prober(), Target::Dns(target)).await.reason, Reason::DnsTimeout);
    let took = started.elapsed();
    assert!(took >= timeout && took < timeout * 12, "{took:?}");
}

#[tokio::test]
async fn lost_datagrams_forgeries_and_old_servers() {
    let server = DnsServer::start().await.unwrap();
    server.set("lost.test", Wire::NS, Reply::LostOnce(vec![RData::NS(NS(name("ns.test.")))]));
    assert_eq!(ask(&server, "lost.test", RecordType::Ns).await.reason, Reason::Ok);
    assert_eq!(server.asked("lost.test", Wire::NS), 2);
    let four = |reply| {
        server.set("f.test", Wire::A, reply);
        DnsTarget { network: Network::Ip4, ..dns(server.addr(), "f.test", RecordType::A) }
    };
    let target = four(Reply::ForgedFirst(vec![addr("192.0.2.9")]));
    assert_eq!(results(&run(&prober(), Target::Dns(target)).await), ["192.0.2.9"]);
    let target = four(Reply::NoEdns(vec![addr("192.0.2.8")]));
    assert_eq!(results(&run(&prober(), Target::Dns(target)).await), ["192.0.2.8"]);
}

#[tokio::test]
async fn nothing_is_cached() {
    let server = DnsServer::start().await.unwrap();
    let prober = prober();
    for last in 1..=3 {
        server.set_addrs("change.test", &[&format!("192.0.2.{last}")], 300).unwrap();
        let target = DnsTarget { network: Network::Ip4, ..dns(server.addr(), "change.test", RecordType::A) };
        assert_eq!(results(&run(&prober, Target::Dns(target)).await), [format!("192.0.2.{last}")]);
    }
    assert_eq!(server.asked("change.test", Wire::A), 3);
}

#[tokio::test]
async fn the_systems_servers_are_asked_in_turn_and_exempt_from_the_policy() {
    let (failing, working) = (DnsServer::start().await.unwrap(), DnsServer::start().await.unwrap());
    failing.set("a.test", Wire::NS, Reply::ServFail);
    working.set("a.test", Wire::NS, Reply::Records(vec![RData::NS(NS(name("ns.test.")))], 60));
    let servers = [failing.addr(), working.addr()];
    let policy = TargetPolicy { in_pod: true, ..TargetPolicy::default() };
    let config = ProbeConfig { policy, resolver: resolver(&servers, Hosts::new()), ..config() };
    let prober = Prober::new(config).unwrap();
    let target = DnsTarget { server: None, ..dns(working.addr(), "a.test", RecordType::Ns) };
    assert_eq!(results(&run(&prober, Target::Dns(target)).await), ["ns.test."]);
    // By name as a server it is the same resolver; any other loopback server is a target like others.
    let target = dns(working.addr(), "a.test", RecordType::Ns);
    assert_eq!(run(&prober, Target::Dns(target)).await.reason, Reason::Ok);
    let other = DnsServer::start().await.unwrap();
    let target = dns(other.addr(), "a.test", RecordType::Ns);
    assert_eq!(run(&prober, Target::Dns(target)).await.reason, Reason::BlockedByPolicy);
    assert_eq!(other.asked("a.test", Wire::NS), 0);
}

#[tokio::test]
async fn a_server_by_name() {
    let server = DnsServer::start().await.unwrap();
    server.set("a.test", Wire::NS, Reply::Records(vec![RData::NS(NS(name("ns.test.")))], 60));
    let port = server.addr().port();
    let target = DnsTarget {
        server: Some(AskedServer { host: "only4.test".into(), port }),
        ..dns(server.addr(), "a.test", RecordType::Ns)
    };
    assert_eq!(run(&prober(), Target::Dns(target)).await.reason, Reason::Ok);
}
