//! How names of targets become addresses: order of candidates, cache, coalescing, and every failure.

use std::time::Duration;

use crate::support::*;
use hickory_proto::rr::RecordType as Wire;
use nanomon_core::monitor::TcpTarget;
use nanomon_core::{Outcome, OutputId, Reason, Target};
use nanomon_runner::probe::{
    ClusterNames, Hosts, PrepareHints, ProbeConfig, Prober, ResolvConf, ResolverSource, TargetPolicy,
};
use nanomon_testkit::dns::{DnsServer, Reply};
use nanomon_testkit::tcp::{ClosedPort, ScriptServer};

fn asking(server: &DnsServer) -> Prober {
    Prober::new(ProbeConfig { resolver: resolver(&[server.addr()], Hosts::new()), ..config() }).unwrap()
}

async fn connect(prober: &Prober, host: &str, port: u16) -> Outcome {
    run(prober, Target::Tcp(tcp(host, port))).await
}

#[tokio::test]
async fn a_name_is_resolved_and_its_time_is_measured() {
    let (dns, open) = (DnsServer::start().await.unwrap(), ScriptServer::accepting().await.unwrap());
    dns.set_addrs("web.test", &["127.0.0.1"], 60).unwrap();
    let outcome = connect(&asking(&dns), "web.test", open.addr().port()).await;
    assert_eq!((outcome.reason, text(&outcome, OutputId::IP_ADDRESS)), (Reason::Ok, Some("127.0.0.1")));
    assert!(number(&outcome, OutputId::DNS_TIME).unwrap() > 0.0);
}

#[tokio::test]
async fn answers_are_kept_for_their_ttl_and_asked_once_at_a_time() {
    let (dns, open) = (DnsServer::start().await.unwrap(), ScriptServer::accepting().await.unwrap());
    let port = open.addr().port();
    dns.set_addrs("kept.test", &["127.0.0.1"], 60).unwrap();
    dns.set_addrs("fresh.test", &["127.0.0.1"], 0).unwrap();
    let prober = asking(&dns);
    let runs = (0..20).map(|_| connect(&prober, "kept.test", port));
    for outcome in futures::future::join_all(runs).await {
        assert_eq!(outcome.reason, Reason::Ok);
    }
    connect(&prober, "KEPT.test.", port).await;
    assert_eq!(dns.asked("kept.test", Wire::A), 1);
    for _ in 0..3 {
        assert_eq!(connect(&prober, "fresh.test", port).await.reason, Reason::Ok);
    }
    assert_eq!(dns.asked("fresh.test", Wire::A), 3, "a TTL of 0 is kept for nobody");
}

#[tokio::test]
async fn failures_have_their_reasons() {
    let dns = DnsServer::start().await.unwrap();
    let prober = asking(&dns);
    for (reply, reason) in [
        (Reply::NxDomain(0), Reason::DnsNxdomain),
        (Reply::NoRecords(0), Reason::DnsNoRecords),
        (Reply::ServFail, Reason::DnsServfail),
        (Reply::Refused, Reason::DnsRefused),
        (Reply::Garbage, Reason::DnsError),
    ] {
        dns.set("x.test", Wire::A, reply.clone());
        dns.set("x.test", Wire::AAAA, reply.clone());
        assert_eq!(connect(&prober, "x.test", 9).await.reason, reason, "{reply:?}");
    }
    dns.set("x.test", Wire::A, Reply::Silent);
    dns.set("x.test", Wire::AAAA, Reply::Silent);
    let quick = TcpTarget { timeout: Duration::from_millis(300), ..tcp("x.test", 9) };
    assert_eq!(run(&prober, Target::Tcp(quick)).await.reason, Reason::DnsTimeout);

    let closed = ClosedPort::take().unwrap();
    let nobody = resolver(&[closed.addr().unwrap()], Hosts::new());
    let prober = Prober::new(ProbeConfig { resolver: nobody, ..config() }).unwrap();
    assert_eq!(connect(&prober, "x.test", 9).await.reason, Reason::DnsError, "our resolver refused, not the target");
}

#[tokio::test]
async fn a_slow_resolver_serves_the_run_after_the_one_that_gave_up() {
    let (dns, open) = (DnsServer::start().await.unwrap(), ScriptServer::accepting().await.unwrap());
    let prober = asking(&dns);
    for family in [Wire::A, Wire::AAAA] {
        let addr: std::net::IpAddr = if family == Wire::A { [127, 0, 0, 1].into() } else { "::1".parse().unwrap() };
        dns.set("slow.test", family, Reply::Late(vec![addr.into()], Duration::from_millis(600)));
    }
    let target = tcp("slow.test", open.addr().port());
    let quick = TcpTarget { timeout: Duration::from_millis(200), ..target.clone() };
    assert_eq!(run(&prober, Target::Tcp(quick)).await.reason, Reason::DnsTimeout);
    assert_eq!(run(&prober, Target::Tcp(target)).await.reason, Reason::Ok, "the question was still under way");
    assert_eq!(dns.asked("slow.test", Wire::A), 1);
}

#[tokio::test]
async fn one_silent_family_does_not_hold_up_the_other() {
    let (dns, open) = (DnsServer::start().await.unwrap(), ScriptServer::accepting().await.unwrap());
    dns.set_addrs("half.test", &["127.0.0.1"], 60).unwrap();
    dns.set("half.test", Wire::AAAA, Reply::Silent);
    let outcome = connect(&asking(&dns), "half.test", open.addr().port()).await;
    assert_eq!(outcome.reason, Reason::Ok);
    let took = number(&outcome, OutputId::DNS_TIME).unwrap();
    assert!((49.0..1400.0).contains(&took), "{took}");
}

#[tokio::test]
async fn a_silent_first_server_is_passed_over() {
    let (silent, working) = (DnsServer::start().await.unwrap(), DnsServer::start().await.unwrap());
    let open = ScriptServer::accepting().await.unwrap();
    for family in [Wire::A, Wire::AAAA] {
        silent.set("a.test", family, Reply::Silent);
    }
    working.set_addrs("a.test", &["127.0.0.1"], 60).unwrap();
    let config = ProbeConfig { resolver: resolver(&[silent.addr(), working.addr()], Hosts::new()), ..config() };
    let outcome = connect(&Prober::new(config).unwrap(), "a.test", open.addr().port()).await;
    assert_eq!(outcome.reason, Reason::Ok);
}

#[tokio::test]
async fn search_domains_come_after_names_with_dots() {
    let (dns, open) = (DnsServer::start().await.unwrap(), ScriptServer::accepting().await.unwrap());
    dns.set_addrs("short.corp.test", &["127.0.0.1"], 60).unwrap();
    dns.set_addrs("a.b.corp.test", &["127.0.0.1"], 60).unwrap();
    let conf = ResolvConf { servers: vec![dns.addr()], search: vec!["corp.test".into()] };
    let source = ResolverSource::Fixed { conf, hosts: Hosts::new() };
    let prober = Prober::new(ProbeConfig { resolver: source, ..config() }).unwrap();
    for host in ["short", "a.b"] {
        assert_eq!(connect(&prober, host, open.addr().port()).await.reason, Reason::Ok, "{host}");
    }
    assert_eq!(dns.asked("short", Wire::A), 0);
    assert_eq!(dns.asked("a.b", Wire::A), 1);
    assert_eq!(connect(&prober, "short.", open.addr().port()).await.reason, Reason::DnsNxdomain);
}

#[tokio::test]
async fn in_a_cluster_names_belong_to_the_monitors_namespace() {
    let (dns, open) = (DnsServer::start().await.unwrap(), ScriptServer::accepting().await.unwrap());
    let port = open.addr().port();
    dns.set_addrs("web.shop.svc.cluster.local", &["127.0.0.1"], 60).unwrap();
    dns.set_addrs("web.runner.svc.cluster.local", &["127.0.0.66"], 60).unwrap();
    dns.set_addrs("db.other.svc.cluster.local", &["127.0.0.1"], 60).unwrap();
    let conf = ResolvConf { servers: vec![dns.addr()], search: vec!["runner.svc.cluster.local".into()] };
    let config = ProbeConfig {
        resolver: ResolverSource::Fixed { conf, hosts: Hosts::new() },
        cluster: Some(ClusterNames { domain: "cluster.local".into() }),
        ..config()
    };
    let prober = Prober::new(config).unwrap();
    let hints = PrepareHints { namespace: Some("shop"), rule_reads_body: false };
    for host in ["web", "db.other", "web.shop", "web.shop.svc"] {
        let outcome = run_with(&prober, Target::Tcp(tcp(host, port)), hints).await;
        assert_eq!((outcome.reason, text(&outcome, OutputId::IP_ADDRESS)), (Reason::Ok, Some("127.0.0.1")), "{host}");
    }
    assert_eq!(dns.asked("db.other", Wire::A), 1, "a name with a dot is asked as absolute first");
    assert_eq!(dns.asked("web.runner.svc.cluster.local", Wire::A), 0, "never through the runner's search list");
}

#[tokio::test]
async fn a_name_that_changes_its_answer_meets_the_policy_each_time() {
    let (dns, open) = (DnsServer::start().await.unwrap(), ScriptServer::accepting().await.unwrap());
    let policy = TargetPolicy { deny: vec!["127.0.0.9/32".parse().unwrap()], ..TargetPolicy::default() };
    let source = resolver(&[dns.addr()], Hosts::new());
    let prober = Prober::new(ProbeConfig { policy, resolver: source, ..config() }).unwrap();
    let target = Target::Tcp(tcp("rebind.test", open.addr().port()));
    let probe = prober.prepare(&def(target), PrepareHints::default()).unwrap();
    dns.set_addrs("rebind.test", &["127.0.0.1"], 0).unwrap();
    assert_eq!(probe.run(&prober).await.reason, Reason::Ok);
    for blocked in ["169.254.169.254", "127.0.0.9", "::ffff:169.254.169.254"] {
        dns.set_addrs("rebind.test", &[blocked], 0).unwrap();
        assert_eq!(probe.run(&prober).await.reason, Reason::BlockedByPolicy, "{blocked}");
    }
}
