//! The tcp probe against ports in every state.

use std::time::{Duration, Instant};

use crate::support::*;
use nanomon_core::monitor::TcpTarget;
use nanomon_core::{OutputId, Reason, Target};
use nanomon_runner::probe::{ProbeConfig, Prober, TargetPolicy};
use nanomon_testkit::tcp::{ClosedPort, FilteredPort, ScriptServer, Step};

#[tokio::test]
async fn an_open_port() {
    let server = ScriptServer::accepting().await.unwrap();
    let outcome = run(&prober(), Target::Tcp(tcp("127.0.0.1", server.addr().port()))).await;
    assert_eq!(outcome.reason, Reason::Ok);
    assert_eq!(text(&outcome, OutputId::IP_ADDRESS), Some("127.0.0.1"));
    assert_eq!(outcome.value, number(&outcome, OutputId::RESP_TIME));
    assert!(outcome.value.unwrap() > 0.0);
    assert!(number(&outcome, OutputId::CONNECT_TIME).unwrap() > 0.0);
}

/// The predecessor's fault: an IPv6 literal was cut at its first colon.
#[tokio::test]
async fn ipv6_literals() {
    let server = ScriptServer::start_on("::1".parse().unwrap(), vec![Step::Hang]).await.unwrap();
    let outcome = run(&prober(), Target::Tcp(tcp("::1", server.addr().port()))).await;
    assert_eq!((outcome.reason, text(&outcome, OutputId::IP_ADDRESS)), (Reason::Ok, Some("::1")));
}

#[tokio::test]
async fn closed_and_filtered_ports() {
    let closed = ClosedPort::take().unwrap();
    let outcome = run(&prober(), Target::Tcp(tcp("127.0.0.1", closed.addr().unwrap().port()))).await;
    assert_eq!(outcome.reason, Reason::ConnectRefused);

    let filtered = FilteredPort::take().unwrap();
    let timeout = Duration::from_millis(300);
    let target = TcpTarget { timeout, ..tcp("127.0.0.1", filtered.addr().unwrap().port()) };
    let started = Instant::now();
    let outcome = run(&prober(), Target::Tcp(target)).await;
    assert_eq!(outcome.reason, Reason::ConnectTimeout);
    assert!(started.elapsed() >= timeout);
}

#[tokio::test]
async fn the_first_family_that_accepts_wins() {
    let server = ScriptServer::accepting().await.unwrap();
    let port = server.addr().port();
    let outcome = run(&prober(), Target::Tcp(tcp("both.test", port))).await;
    assert_eq!((outcome.reason, text(&outcome, OutputId::IP_ADDRESS)), (Reason::Ok, Some("127.0.0.1")));
    let outcome = run(&prober(), Target::Tcp(tcp("only6.test", port))).await;
    assert_eq!(outcome.reason, Reason::ConnectRefused);
}

#[tokio::test]
async fn a_silent_address_delays_the_next_by_a_quarter_of_a_second_only() {
    let filtered = FilteredPort::take().unwrap();
    let port = filtered.addr().unwrap().port();
    let Ok(_server) =
        ScriptServer::start_at(std::net::SocketAddr::from(([127, 0, 0, 2], port)), vec![Step::Hang]).await
    else {
        skipped("127.0.0.2 cannot be bound here");
        return;
    };
    let hosts = nanomon_runner::probe::parse_hosts("127.0.0.1 two.test\n127.0.0.2 two.test");
    let prober = Prober::new(ProbeConfig { resolver: resolver(&[], hosts), ..config() }).unwrap();
    let outcome = run(&prober, Target::Tcp(tcp("two.test", port))).await;
    assert_eq!((outcome.reason, text(&outcome, OutputId::IP_ADDRESS)), (Reason::Ok, Some("127.0.0.2")));
    let took = outcome.value.unwrap();
    assert!((250.0..4000.0).contains(&took), "{took}");
}

#[tokio::test]
async fn no_route() {
    // The broadcast address of loopback: every Linux refuses a TCP connection to it as unreachable.
    let outcome = run(&prober(), Target::Tcp(tcp("127.255.255.255", 9))).await;
    assert_eq!(outcome.reason, Reason::NoRoute);
}

#[tokio::test]
async fn the_policy_holds_for_names_too() {
    let server = ScriptServer::accepting().await.unwrap();
    let port = server.addr().port();
    let policy = TargetPolicy { in_pod: true, ..TargetPolicy::default() };
    let prober = Prober::new(ProbeConfig { policy, ..config() }).unwrap();
    for host in ["127.0.0.1", "::1", "both.test", "only4.test", "localhost", "::ffff:127.0.0.1", "0.0.0.0"] {
        let outcome = run(&prober, Target::Tcp(tcp(host, port))).await;
        assert_eq!(outcome.reason, Reason::BlockedByPolicy, "{host}");
        assert_eq!(text(&outcome, OutputId::IP_ADDRESS), None, "{host}");
    }
    assert_eq!(server.accepted(), 0);

    // A name with one address that is blocked and one that is not: only the other is dialled.
    let policy = TargetPolicy { deny: vec!["::/0".parse().unwrap()], ..TargetPolicy::default() };
    let prober = Prober::new(ProbeConfig { policy, ..config() }).unwrap();
    assert_eq!(run(&prober, Target::Tcp(tcp("both.test", port))).await.reason, Reason::Ok);
}
