//! The ping probe on loopback. Needs a raw socket, or `net.ipv4.ping_group_range` to include our group.

use std::time::{Duration, Instant};

use crate::support::*;
use nanomon_core::monitor::PingTarget;
use nanomon_core::{Outcome, OutputId, Reason, Target};
use nanomon_runner::probe::{PrepareHints, ProbeConfig, Prober, TargetPolicy};

/// Whether ICMP is possible here; says so if not.
async fn possible() -> bool {
    let outcome = run(&prober(), Target::Ping(ping("127.0.0.1"))).await;
    if outcome.reason == Reason::IcmpNotPermitted {
        skipped(outcome.reason.sentence());
    }
    outcome.reason != Reason::IcmpNotPermitted
}

fn check_train(outcome: &Outcome, addr: &str) {
    assert_eq!(outcome.reason, Reason::Ok, "{outcome:?}");
    let rtt = |id| number(outcome, id).unwrap();
    let (min, avg, max) = (rtt(OutputId::MIN_RTT), rtt(OutputId::AVG_RTT), rtt(OutputId::MAX_RTT));
    assert!(0.0 < min && min <= avg && avg <= max && max < 950.0, "{min} {avg} {max}");
    assert_eq!(outcome.value, Some(avg));
    assert_eq!(number(outcome, OutputId::PACKET_LOSS), Some(0.0));
    assert_eq!(text(outcome, OutputId::IP_ADDRESS), Some(addr));
    assert_eq!(number(outcome, OutputId::FIRST_BYTE_TIME), None, "not an output of this type");
}

#[tokio::test]
async fn both_families() {
    if !possible().await {
        return;
    }
    for host in ["127.0.0.1", "::1", "both.test", "only6.test"] {
        let started = Instant::now();
        let outcome = run(&prober(), Target::Ping(ping(host))).await;
        check_train(&outcome, if host.contains('6') || host == "::1" { "::1" } else { "127.0.0.1" });
        assert_eq!(number(&outcome, OutputId::PACKETS_RECV), Some(3.0));
        assert!(started.elapsed() >= Duration::from_millis(200), "three requests, 100 ms apart");
    }
}

#[tokio::test]
async fn many_at_once_lose_nothing() {
    if !possible().await {
        return;
    }
    let prober = prober();
    let target = PingTarget { count: 3, ..ping("127.0.0.1") };
    let probe = prober.prepare(&def(Target::Ping(target)), PrepareHints::default()).unwrap();
    let outcomes = futures::future::join_all((0..100).map(|_| probe.run(&prober))).await;
    for outcome in outcomes {
        check_train(&outcome, "127.0.0.1");
    }
}

#[tokio::test]
async fn no_reply() {
    if !possible().await {
        return;
    }
    // Benchmark addresses (RFC 2544) answer nowhere; where they have no route, that is the answer.
    let timeout = Duration::from_millis(300);
    let outcome = run(&prober(), Target::Ping(PingTarget { timeout, count: 2, ..ping("198.18.0.1") })).await;
    assert!(matches!(outcome.reason, Reason::PingNoReply | Reason::NoRoute), "{outcome:?}");
    assert_eq!(number(&outcome, OutputId::PACKETS_RECV), Some(0.0));
    assert_eq!(number(&outcome, OutputId::PACKET_LOSS), Some(100.0));
    assert_eq!(number(&outcome, OutputId::AVG_RTT), None);
}

#[tokio::test]
async fn the_policy_holds_for_icmp() {
    let policy = TargetPolicy { in_pod: true, ..TargetPolicy::default() };
    let prober = Prober::new(ProbeConfig { policy, ..config() }).unwrap();
    for host in ["127.0.0.1", "::1", "169.254.169.254", "both.test"] {
        assert_eq!(run(&prober, Target::Ping(ping(host))).await.reason, Reason::BlockedByPolicy, "{host}");
    }
}

#[tokio::test]
async fn a_prober_outlives_its_first_runtime() {
    if !possible().await {
        return;
    }
    let prober = prober();
    let elsewhere = prober.clone();
    let first = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(&elsewhere, Target::Ping(ping("127.0.0.1"))))
    });
    check_train(&first.join().unwrap(), "127.0.0.1");
    check_train(&run(&prober, Target::Ping(ping("127.0.0.1"))).await, "127.0.0.1");
}

#[tokio::test]
async fn without_raw_sockets_the_system_must_permit_datagrams() {
    let prober = Prober::new(ProbeConfig { raw_icmp: false, ..config() }).unwrap();
    let outcome = run(&prober, Target::Ping(ping("127.0.0.1"))).await;
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ping_group_range").unwrap();
    let bounds: Vec<u64> = range.split_whitespace().map(|n| n.parse().unwrap()).collect();
    let expected = match bounds[..] {
        [from, to] if from > to => Reason::IcmpNotPermitted,
        [0, 2_147_483_647] => Reason::Ok,
        _ => return skipped("net.ipv4.ping_group_range names some groups only"),
    };
    assert_eq!(outcome.reason, expected);
}

#[tokio::test]
async fn a_packet_that_the_system_refuses() {
    if !possible().await {
        return;
    }
    let outcome = run(&prober(), Target::Ping(ping("127.255.255.255"))).await;
    assert_eq!(outcome.reason, Reason::IcmpError, "a broadcast address");
}
