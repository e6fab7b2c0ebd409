//! The http probe over TLS: every state of a certificate, HTTP/2, and settings that must not leak into each other.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::*;
use nanomon_core::monitor::{Header, HttpTarget, limits};
use nanomon_core::{Outcome, OutputId, Reason, Target};
use nanomon_runner::probe::{PrepareHints, ProbeConfig, Prober};
use nanomon_testkit::http::HttpServer;
use nanomon_testkit::tcp::{ScriptServer, Step};
use nanomon_testkit::tls::{CertState, GOOD_NOT_AFTER, TestCa};

fn trusting(ca: &TestCa) -> Prober {
    Prober::new(ProbeConfig { extra_roots: vec![ca.root()], ..config() }).unwrap()
}

async fn get(prober: &Prober, url: &str, validate_tls: bool) -> Outcome {
    run(prober, Target::Http(HttpTarget { validate_tls, ..http(url) })).await
}

fn days_until(unix_seconds: i64) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    (unix_seconds - now).div_euclid(86_400) as f64
}

#[tokio::test]
async fn a_good_certificate() {
    let ca = TestCa::new().unwrap();
    let server = HttpServer::start_tls(ca.server(CertState::Good, &[]).unwrap()).await.unwrap();
    let outcome = get(&trusting(&ca), &server.url("/bytes/1000"), true).await;
    assert_eq!(outcome.reason, Reason::Ok);
    assert_eq!(number(&outcome, OutputId::CERT_EXPIRY_DAYS), Some(days_until(GOOD_NOT_AFTER)));
    assert!(number(&outcome, OutputId::TLS_TIME).unwrap() > 0.0);
    assert_eq!(text(&outcome, OutputId::HTTP_VERSION), Some("1.1"));
    assert_eq!(number(&outcome, OutputId::BODY_LEN), Some(1000.0));
    let by_name = format!("https://localhost:{}/", server.addr().port());
    assert_eq!(get(&trusting(&ca), &by_name, true).await.reason, Reason::Ok);
}

#[tokio::test]
async fn faulty_certificates_are_named_and_their_expiry_is_still_known() {
    let ca = TestCa::new().unwrap();
    let (trusting, stranger) = (trusting(&ca), prober());
    for (state, prober, reason, days) in [
        (CertState::Expired, &trusting, Reason::TlsExpired, -1.0),
        (CertState::NotYetValid, &trusting, Reason::TlsNotYetValid, 1.0),
        (CertState::WrongHost, &trusting, Reason::TlsWrongHost, 1.0),
        (CertState::ClientOnly, &trusting, Reason::TlsInvalid, 1.0),
        (CertState::Good, &stranger, Reason::TlsUntrusted, 1.0),
        (CertState::SelfSigned, &trusting, Reason::TlsUntrusted, 1.0),
    ] {
        let server = HttpServer::start_tls(ca.server(state, &["h2", "http/1.1"]).unwrap()).await.unwrap();
        let outcome = get(prober, &server.url("/"), true).await;
        assert_eq!(outcome.reason, reason, "{state:?}");
        let found = number(&outcome, OutputId::CERT_EXPIRY_DAYS).unwrap();
        assert!(found * days > 0.0, "{state:?}: {found}");
        assert_eq!(number(&outcome, OutputId::STATUS), None, "{state:?}");
        assert_eq!(server.hits_total(), 0, "{state:?}: no request over a connection that is not trusted");

        let outcome = get(prober, &server.url("/"), false).await;
        assert_eq!(outcome.reason, Reason::Ok, "{state:?} with validateTLS: false");
        assert!(number(&outcome, OutputId::CERT_EXPIRY_DAYS).unwrap() * days > 0.0);
    }
}

/// The predecessor's fault: one monitor without validation switched it off for all.
#[tokio::test]
async fn a_monitor_without_validation_weakens_no_other() {
    let ca = TestCa::new().unwrap();
    let server = HttpServer::start_tls(ca.server(CertState::Good, &["h2"]).unwrap()).await.unwrap();
    let prober = prober();
    let prepare = |validate_tls| {
        let target = Target::Http(HttpTarget { validate_tls, ..http(&server.url("/")) });
        prober.prepare(&def(target), PrepareHints::default()).unwrap()
    };
    let (lax, strict) = (prepare(false), prepare(true));
    for _ in 0..3 {
        let (lax, strict) = tokio::join!(lax.run(&prober), strict.run(&prober));
        assert_eq!((lax.reason, strict.reason), (Reason::Ok, Reason::TlsUntrusted));
    }
    assert_eq!(prepare(true).run(&prober).await.reason, Reason::TlsUntrusted);
}

#[tokio::test]
async fn http2_when_the_server_agrees() {
    let ca = TestCa::new().unwrap();
    let server = HttpServer::start_tls(ca.server(CertState::Good, &["h2", "http/1.1"]).unwrap()).await.unwrap();
    let prober = trusting(&ca);
    let outcome = get(&prober, &server.url("/chunked/300000"), true).await;
    assert_eq!(outcome.reason, Reason::Ok);
    assert_eq!(text(&outcome, OutputId::HTTP_VERSION), Some("2"));
    assert_eq!(number(&outcome, OutputId::BODY_LEN), Some(300_000.0));

    let headers = [("Connection", "close"), ("X-One", "1"), ("Host", "shop.example")]
        .map(|(name, value)| Header { name: name.into(), value: value.into() });
    let target = HttpTarget {
        method: "POST".into(),
        headers: headers.to_vec(),
        body: "b".repeat(limits::REQUEST_BODY_BYTES),
        ..http(&server.url("/echo"))
    };
    let hints = PrepareHints { rule_reads_body: true, namespace: None };
    let outcome = run_with(&prober, Target::Http(target), hints).await;
    let body = outcome.body.unwrap();
    assert!(body.starts_with("POST https://shop.example/echo\n"), "{}", &body[..100]);
    assert!(body.contains("x-one: 1\n") && !body.contains("connection"));
    assert!(body.ends_with(&"b".repeat(limits::REQUEST_BODY_BYTES)));

    let outcome = get(&prober, &server.url("/endless"), true).await;
    assert_eq!((outcome.reason, outcome.body_cut), (Reason::Ok, true));
    assert_eq!(number(&outcome, OutputId::BODY_LEN), Some(limits::BODY_BYTES as f64));
    let outcome = get(&prober, &server.url("/redirect/2"), true).await;
    assert_eq!((outcome.reason, number(&outcome, OutputId::REDIRECTS)), (Reason::Ok, Some(2.0)));
    assert_eq!(get(&prober, &server.url("/cut"), true).await.reason, Reason::HttpClosed);
    let target = HttpTarget { timeout: Duration::from_millis(300), ..http(&server.url("/silent")) };
    assert_eq!(run(&prober, Target::Http(target)).await.reason, Reason::Timeout);
}

#[tokio::test]
async fn faults_inside_tls() {
    let ca = TestCa::new().unwrap();
    let prober = trusting(&ca);
    let settings = vec![0, 0, 0, 4, 0, 0, 0, 0, 0];
    let goaway = vec![0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
    let huge_frame = vec![0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1];
    let http1 = |text: &str| vec![Step::ReadHead, Step::Write(text.into())];
    for (alpn, script, reason) in [
        ("h2", vec![Step::ReadSome, Step::Write(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())], Reason::HttpProtocol),
        (
            "h2",
            vec![Step::ReadSome, Step::Write([settings.clone(), huge_frame].concat()), Step::Hang],
            Reason::HttpProtocol,
        ),
        ("h2", vec![Step::ReadSome, Step::Write([settings.clone(), goaway].concat()), Step::Hang], Reason::HttpClosed),
        ("h2", vec![Step::ReadSome, Step::Write(settings.clone())], Reason::HttpClosed),
        ("h2", vec![Step::ReadSome, Step::Write(settings.clone()), Step::Hang], Reason::Timeout),
        ("h2", vec![Step::ReadSome, Step::Reset], Reason::ConnectReset),
        ("http/1.1", http1("nonsense\r\n\r\n"), Reason::HttpProtocol),
        ("http/1.1", http1("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), Reason::HttpClosed),
        ("http/1.1", vec![Step::ReadHead, Step::Reset], Reason::ConnectReset),
        ("http/1.1", vec![Step::Hang], Reason::Timeout),
    ] {
        let server =
            ScriptServer::start_tls(ca.server(CertState::Good, &[alpn]).unwrap(), script.clone()).await.unwrap();
        let url = format!("https://{}/", server.addr());
        let target = HttpTarget { timeout: Duration::from_millis(700), ..http(&url) };
        let outcome = run(&prober, Target::Http(target)).await;
        assert_eq!(outcome.reason, reason, "{alpn} {script:?}");
        assert!(number(&outcome, OutputId::TLS_TIME).is_some(), "{alpn} {script:?}");
    }
}

#[tokio::test]
async fn a_server_that_demands_a_certificate_of_ours() {
    let ca = TestCa::new().unwrap();
    let server = HttpServer::start_tls(ca.demanding_server().unwrap()).await.unwrap();
    let outcome = get(&trusting(&ca), &server.url("/"), true).await;
    assert_eq!(outcome.reason, Reason::TlsHandshake);
    assert_eq!(number(&outcome, OutputId::CERT_EXPIRY_DAYS), Some(days_until(GOOD_NOT_AFTER)));
    assert_eq!(server.hits_total(), 0);
}

#[tokio::test]
async fn servers_that_speak_no_tls() {
    for (script, reason) in [
        (vec![Step::ReadSome, Step::Write("HTTP/1.1 400 Bad Request\r\n\r\n".into())], Reason::TlsHandshake),
        (vec![Step::ReadSome], Reason::TlsHandshake),
        (vec![Step::ReadSome, Step::Reset], Reason::ConnectReset),
        (vec![Step::Hang], Reason::Timeout),
        // A TLS alert: handshake_failure
        (vec![Step::ReadSome, Step::Write(vec![21, 3, 3, 0, 2, 2, 40])], Reason::TlsHandshake),
    ] {
        let server = ScriptServer::start(script.clone()).await.unwrap();
        let url = format!("https://{}/", server.addr());
        let target = HttpTarget { timeout: Duration::from_millis(500), ..http(&url) };
        let outcome = run(&prober(), Target::Http(target)).await;
        assert_eq!(outcome.reason, reason, "{script:?}");
    }
}
