//! The http probe against real servers, one fault server per reason.

use std::time::{Duration, Instant};

use crate::support::*;
use nanomon_core::monitor::{Header, HttpTarget, limits};
use nanomon_core::{Outcome, OutputId, Reason, Target};
use nanomon_runner::probe::{PrepareError, PrepareHints, ProbeConfig, Prober, TargetPolicy};
use nanomon_testkit::http::HttpServer;
use nanomon_testkit::tcp::{ClosedPort, FilteredPort, ScriptServer, Step};

async fn get(url: &str) -> Outcome {
    run(&prober(), Target::Http(http(url))).await
}

async fn get_body(target: HttpTarget) -> Outcome {
    run_with(&prober(), Target::Http(target), PrepareHints { rule_reads_body: true, namespace: None }).await
}

/// Runs against a server that answers each request head with this script.
async fn against(script: Vec<Step>, timeout: Duration) -> Outcome {
    let server = ScriptServer::start([vec![Step::ReadHead], script].concat()).await.unwrap();
    let url = format!("http://{}/", server.addr());
    run(&prober(), Target::Http(HttpTarget { timeout, ..http(&url) })).await
}

async fn answered_with(bytes: &str) -> Outcome {
    against(vec![Step::Write(bytes.into())], Duration::from_secs(5)).await
}

#[tokio::test]
async fn an_answer_has_every_output() {
    let server = HttpServer::start().await.unwrap();
    let outcome = get(&server.url("/bytes/1024")).await;
    assert_eq!(outcome.reason, Reason::Ok);
    assert_eq!(number(&outcome, OutputId::STATUS), Some(200.0));
    assert_eq!(number(&outcome, OutputId::BODY_LEN), Some(1024.0));
    assert_eq!(number(&outcome, OutputId::REDIRECTS), Some(0.0));
    assert_eq!(text(&outcome, OutputId::IP_ADDRESS), Some("127.0.0.1"));
    assert_eq!(text(&outcome, OutputId::HTTP_VERSION), Some("1.1"));
    assert_eq!(number(&outcome, OutputId::DNS_TIME), Some(0.0));
    assert_eq!(number(&outcome, OutputId::TLS_TIME), None);
    assert_eq!(number(&outcome, OutputId::CERT_EXPIRY_DAYS), None);
    for id in [OutputId::CONNECT_TIME, OutputId::FIRST_BYTE_TIME, OutputId::TRANSFER_TIME] {
        assert!(number(&outcome, id).unwrap() > 0.0);
    }
    assert_eq!(outcome.value, number(&outcome, OutputId::RESP_TIME));
    assert_eq!(outcome.body, None, "nobody asked for the body");
    assert_eq!(server.hits("/bytes/1024"), 1);
}

#[tokio::test]
async fn any_status_is_an_answer() {
    let server = HttpServer::start().await.unwrap();
    for status in [200, 204, 304, 400, 404, 500, 503, 599] {
        let outcome = get(&server.url(&format!("/status/{status}"))).await;
        assert_eq!(outcome.reason, Reason::Ok, "{status}");
        assert_eq!(number(&outcome, OutputId::STATUS), Some(f64::from(status)));
    }
    let outcome = get(&server.url("/status/301")).await;
    assert_eq!(
        (outcome.reason, number(&outcome, OutputId::STATUS)),
        (Reason::Ok, Some(301.0)),
        "no Location, no redirect"
    );
}

#[tokio::test]
async fn bodies_of_all_kinds() {
    let server = HttpServer::start().await.unwrap();
    for (path, length) in [("/bytes/0", 0), ("/bytes/100000", 100_000), ("/chunked/100000", 100_000), ("/chunked/0", 0)]
    {
        let outcome = get_body(http(&server.url(path))).await;
        assert_eq!(outcome.reason, Reason::Ok, "{path}");
        assert_eq!(number(&outcome, OutputId::BODY_LEN), Some(f64::from(length)), "{path}");
        assert_eq!(outcome.body.unwrap(), "x".repeat(length as usize), "{path}");
        assert!(!outcome.body_cut);
    }
    let outcome = get_body(http(&server.url("/binary"))).await;
    assert_eq!(outcome.body.as_deref(), Some("caf\u{fffd} \u{fffd}\u{fffd} ok"));
    let outcome = get_body(HttpTarget { method: "HEAD".into(), ..http(&server.url("/bytes/500")) }).await;
    assert_eq!((outcome.reason, outcome.body.as_deref()), (Reason::Ok, Some("")));
    assert_eq!(number(&outcome, OutputId::BODY_LEN), Some(0.0));
    let regex = HttpTarget { body_regex: Some("h(.*)o".into()), ..http(&server.url("/")) };
    assert_eq!(run(&prober(), Target::Http(regex)).await.body.as_deref(), Some("hello"), "a bodyRegex needs the body");
}

#[tokio::test]
async fn bodies_are_cut_at_one_mebibyte() {
    let server = HttpServer::start().await.unwrap();
    let limit = limits::BODY_BYTES;
    for (path, length, read, cut) in [
        (format!("/bytes/{limit}"), limit, limit, false),
        (format!("/bytes/{}", limit + 1), limit + 1, limit, true),
        (format!("/bytes/{}", 3 * limit), 3 * limit, limit, true),
        (format!("/chunked/{limit}"), limit, limit, false),
        (format!("/chunked/{}", limit + 1), limit, limit, true),
        ("/endless".to_owned(), limit, limit, true),
    ] {
        let outcome = get_body(http(&server.url(&path))).await;
        assert_eq!(outcome.reason, Reason::Ok, "{path}");
        assert_eq!(outcome.body_cut, cut, "{path}");
        assert_eq!(number(&outcome, OutputId::BODY_LEN), Some(length as f64), "{path}");
        assert_eq!(outcome.body.unwrap().len(), read, "{path}");
    }
}

#[tokio::test]
async fn the_request_is_what_the_user_wrote() {
    let server = HttpServer::start().await.unwrap();
    let header = |name: &str, value: &str| Header { name: name.into(), value: value.into() };
    let target = HttpTarget {
        method: "PUT".into(),
        headers: vec![
            header("X-One", "1"),
            header("x-one", "2"),
            header("Content-Type", "application/json"),
            header("Host", "shop.example"),
            header("User-Agent", "me"),
            header("Content-Length", "99"),
            header("Transfer-Encoding", "chunked"),
        ],
        body: r#"{"a":1}"#.into(),
        ..http(&server.url("/echo?a=b%20c"))
    };
    let outcome = get_body(target).await;
    let body = outcome.body.unwrap();
    let (head, sent) = body.split_once("\n\n").unwrap();
    assert_eq!(head.lines().next(), Some("PUT /echo?a=b%20c"));
    let mut headers: Vec<&str> = head.lines().skip(1).collect();
    headers.sort_unstable();
    assert_eq!(
        headers,
        [
            "accept: */*",
            "connection: close",
            "content-length: 7",
            "content-type: application/json",
            "host: shop.example",
            "user-agent: me",
            "x-one: 1",
            "x-one: 2",
        ]
    );
    assert_eq!(sent, r#"{"a":1}"#);
}

#[tokio::test]
async fn a_plain_request_names_its_host_and_no_encoding() {
    let server = HttpServer::start().await.unwrap();
    let body = get_body(http(&server.url("/echo"))).await.body.unwrap();
    assert!(body.contains(&format!("host: {}\n", server.addr())), "{body}");
    assert!(body.contains("user-agent: NanoMon/"), "{body}");
    assert!(!body.contains("accept-encoding"), "{body}");
    assert!(!body.contains("content-length"), "{body}");
}

#[tokio::test]
async fn redirects_are_followed_and_counted() {
    let server = HttpServer::start().await.unwrap();
    let outcome = get(&server.url("/redirect/3")).await;
    assert_eq!(outcome.reason, Reason::Ok);
    assert_eq!(number(&outcome, OutputId::STATUS), Some(200.0));
    assert_eq!(number(&outcome, OutputId::REDIRECTS), Some(3.0));
    assert_eq!(server.hits_total(), 4);

    let outcome = get(&server.url("/redirect/10")).await;
    assert_eq!((outcome.reason, number(&outcome, OutputId::REDIRECTS)), (Reason::Ok, Some(10.0)));
    let outcome = get(&server.url("/redirect/11")).await;
    assert_eq!(outcome.reason, Reason::HttpTooManyRedirects);
    assert_eq!(number(&outcome, OutputId::STATUS), Some(302.0));

    let stay = HttpTarget { follow_redirects: false, ..http(&server.url("/redirect/3")) };
    let outcome = run(&prober(), Target::Http(stay)).await;
    assert_eq!((outcome.reason, number(&outcome, OutputId::STATUS)), (Reason::Ok, Some(302.0)));
    assert_eq!(number(&outcome, OutputId::REDIRECTS), Some(0.0));

    for bad in ["ftp://a.example/", "file:///etc/passwd", "http://[::1"] {
        let outcome = get(&server.url(&format!("/redirect-to?302&{bad}"))).await;
        assert_eq!(outcome.reason, Reason::HttpBadRedirect, "{bad}");
    }
}

#[tokio::test]
async fn redirects_rewrite_methods_as_browsers_do() {
    let server = HttpServer::start().await.unwrap();
    for (status, line) in [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")] {
        let target = HttpTarget {
            method: "POST".into(),
            body: "payload".into(),
            headers: vec![Header { name: "Content-Type".into(), value: "text/x".into() }],
            ..http(&server.url(&format!("/redirect-to?{status}&/echo")))
        };
        let body = get_body(target).await.body.unwrap();
        assert!(body.starts_with(&format!("{line} /echo\n")), "{status}: {body}");
        assert_eq!(body.ends_with("\n\npayload"), line == "POST", "{status}: {body}");
        assert_eq!(body.contains("content-type: text/x"), line == "POST", "{status}: {body}");
    }
}

#[tokio::test]
async fn another_origin_sees_no_secrets() {
    let (here, there) = (HttpServer::start().await.unwrap(), HttpServer::start().await.unwrap());
    let headers = ["Authorization", "Cookie", "X-Api-Key", "Host"]
        .map(|name| Header { name: name.into(), value: "hidden.example".into() })
        .to_vec();
    let with = |url: String| HttpTarget { headers: headers.clone(), ..http(&url) };

    let same = get_body(with(here.url("/redirect-to?302&/echo"))).await.body.unwrap();
    for name in ["authorization", "cookie", "x-api-key", "host"] {
        assert!(same.contains(&format!("{name}: hidden.example\n")), "{name}: {same}");
    }
    let other = get_body(with(here.url(&format!("/redirect-to?302&{}", there.url("/echo"))))).await.body.unwrap();
    assert!(!other.contains("hidden"), "{other}");
    assert!(other.contains(&format!("host: {}\n", there.addr())), "{other}");

    // There and back again: what was left behind stays behind.
    let back = there.url(&format!("/redirect-to?302&{}", here.url("/echo")));
    let back = get_body(with(here.url(&format!("/redirect-to?302&{back}")))).await.body.unwrap();
    assert!(!back.contains("hidden"), "{back}");
}

#[tokio::test]
async fn redirects_pass_the_policy_on_each_hop() {
    let server = HttpServer::start().await.unwrap();
    let policy = TargetPolicy { deny: vec!["127.0.0.2/32".parse().unwrap()], ..TargetPolicy::default() };
    let prober = Prober::new(ProbeConfig { policy, ..config() }).unwrap();
    for blocked in
        ["http://169.254.169.254/latest/meta-data", "http://127.0.0.2:1/", "http://[::ffff:169.254.169.254]/"]
    {
        let url = server.url(&format!("/redirect-to?302&{blocked}"));
        let started = Instant::now();
        let outcome = run(&prober, Target::Http(http(&url))).await;
        assert_eq!(outcome.reason, Reason::BlockedByPolicy, "{blocked}");
        assert!(started.elapsed() < Duration::from_secs(2), "nothing was dialled");
    }
    let outcome = run(&prober, Target::Http(http("http://169.254.169.254/"))).await;
    assert_eq!(outcome.reason, Reason::BlockedByPolicy);
    assert_eq!(text(&outcome, OutputId::IP_ADDRESS), None, "a tenant does not learn the address");
}

#[tokio::test]
async fn phases_are_measured_where_they_happen() {
    let server = HttpServer::start().await.unwrap();
    let outcome = get(&server.url("/delay/80")).await;
    let first = number(&outcome, OutputId::FIRST_BYTE_TIME).unwrap();
    assert!((79.0..3000.0).contains(&first), "{first}");
    let late_body = vec![
        Step::Write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na".into()),
        Step::Pause(Duration::from_millis(500)),
        Step::Write("b".into()),
    ];
    // The server's pause begins when it has written, ours when we have read, which may be a little later.
    let outcome = against(late_body, Duration::from_secs(5)).await;
    let transfer = number(&outcome, OutputId::TRANSFER_TIME).unwrap();
    assert!((250.0..4000.0).contains(&transfer), "{transfer}");
}

#[tokio::test]
async fn names_and_both_families() {
    let v6 = HttpServer::start_on("::1".parse().unwrap(), None).await.unwrap();
    let outcome = get(&v6.url("/")).await;
    assert_eq!((outcome.reason, text(&outcome, OutputId::IP_ADDRESS)), (Reason::Ok, Some("::1")));
    let v4 = HttpServer::start().await.unwrap();
    for name in ["localhost", "both.test", "only4.test", "LOCALHOST"] {
        let url = format!("http://{name}:{}/", v4.addr().port());
        let outcome = get(&url).await;
        assert_eq!((outcome.reason, text(&outcome, OutputId::IP_ADDRESS)), (Reason::Ok, Some("127.0.0.1")), "{name}");
    }
}

#[tokio::test]
async fn connections_that_fail() {
    let closed = ClosedPort::take().unwrap();
    let outcome = get(&format!("http://{}/", closed.addr().unwrap())).await;
    assert_eq!(outcome.reason, Reason::ConnectRefused);
    assert_eq!(number(&outcome, OutputId::STATUS), None);

    let filtered = FilteredPort::take().unwrap();
    let url = format!("http://{}/", filtered.addr().unwrap());
    let target = HttpTarget { timeout: Duration::from_millis(300), ..http(&url) };
    let outcome = run(&prober(), Target::Http(target)).await;
    assert_eq!(outcome.reason, Reason::ConnectTimeout);
}

#[tokio::test]
async fn answers_that_break_off() {
    for (what, bytes) in [
        ("nothing at all", ""),
        ("half a head", "HTTP/1.1 200 OK\r\nContent-Le"),
        ("half a body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
        ("half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
        ("no last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"),
    ] {
        assert_eq!(answered_with(bytes).await.reason, Reason::HttpClosed, "{what}");
    }
    let outcome = answered_with("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").await;
    assert_eq!(number(&outcome, OutputId::STATUS), Some(200.0), "what is known is reported");
    let server = HttpServer::start().await.unwrap();
    assert_eq!(get(&server.url("/cut")).await.reason, Reason::HttpClosed);
}

#[tokio::test]
async fn answers_that_are_no_http() {
    let garbage = "\u{0}\u{1}\u{2} nonsense \r\n\r\n".repeat(4);
    let long_head = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(200_000));
    for (what, bytes) in [
        ("garbage", garbage.as_str()),
        ("an SSH banner", "SSH-2.0-OpenSSH_9.2p1\r\n\r\n"),
        ("a bad status", "HTTP/1.1 999999 X\r\n\r\n"),
        ("a bad version", "HTTP/7.3 200 OK\r\n\r\n"),
        ("a bad length", "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nabc"),
        ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nabc"),
        ("a bad chunk size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n"),
        ("an endless head", long_head.as_str()),
    ] {
        assert_eq!(answered_with(bytes).await.reason, Reason::HttpProtocol, "{what}");
    }
}

#[tokio::test]
async fn answers_with_interim_heads_and_old_versions() {
    let outcome =
        answered_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 201 C\r\n\r\n").await;
    assert_eq!((outcome.reason, number(&outcome, OutputId::STATUS)), (Reason::Ok, Some(201.0)));
    let outcome = answered_with("HTTP/1.0 200 OK\r\n\r\nuntil the end").await;
    assert_eq!((outcome.reason, text(&outcome, OutputId::HTTP_VERSION)), (Reason::Ok, Some("1.0")));
    assert_eq!(number(&outcome, OutputId::BODY_LEN), Some(13.0));
    let outcome = answered_with("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n").await;
    assert_eq!((outcome.reason, number(&outcome, OutputId::STATUS)), (Reason::Ok, Some(101.0)));
}

#[tokio::test]
async fn resets() {
    let outcome = against(vec![Step::Reset], Duration::from_secs(5)).await;
    assert_eq!(outcome.reason, Reason::ConnectReset);
    let head = Step::Write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".into());
    let outcome =
        against(vec![head, Step::Pause(Duration::from_millis(30)), Step::Reset], Duration::from_secs(5)).await;
    assert_eq!(outcome.reason, Reason::ConnectReset);
}

#[tokio::test]
async fn servers_that_take_their_time() {
    let timeout = Duration::from_millis(250);
    let dribble = Step::Dribble("HTTP/1.1 200 OK\r\nX-Slow: yes\r\n".repeat(9).into(), Duration::from_millis(20));
    for (what, script) in [
        ("silent", vec![Step::Hang]),
        ("a head in dribs", vec![dribble]),
        ("a body that stalls", vec![Step::Write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab".into()), Step::Hang]),
        ("interim for ever", vec![Step::Write("HTTP/1.1 100 Continue\r\n\r\n".into()), Step::Hang]),
    ] {
        let started = Instant::now();
        let outcome = against(script, timeout).await;
        assert_eq!(outcome.reason, Reason::Timeout, "{what}");
        let took = started.elapsed();
        assert!(took >= timeout && took < timeout * 16, "{what}: {took:?}");
    }
    // The timeout is the run's, not the hop's.
    let server = HttpServer::start().await.unwrap();
    let slow = HttpTarget { timeout, ..http(&server.url("/redirect-to?302&/silent")) };
    assert_eq!(run(&prober(), Target::Http(slow)).await.reason, Reason::Timeout);
}

#[tokio::test]
async fn an_answer_that_waits_in_the_socket_beats_the_deadline() {
    let server = std::thread::spawn(|| {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").unwrap();
            // Open until the probe is done, so that only the answer can end it.
            let _ = stream.read(&mut [0; 1024]);
        });
        (addr, thread)
    });
    let (addr, thread) = server.join().unwrap();
    let prober = prober();
    let timeout = Duration::from_millis(200);
    let target = Target::Http(HttpTarget { timeout, ..http(&format!("http://{addr}/")) });
    let probe = prober.prepare(&def(target), PrepareHints::default()).unwrap();
    // The request is on its way after a few polls; then this thread, which drives the probe, is held up past the deadline.
    let stall = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        std::thread::sleep(Duration::from_millis(400));
    };
    let busy = std::thread::spawn(move || addr);
    busy.join().unwrap();
    let (outcome, ()) = tokio::join!(probe.run(&prober), stall);
    assert_eq!(outcome.reason, Reason::Ok, "the answer came in time, only we did not look");
    thread.join().unwrap();
}

#[tokio::test]
async fn what_cannot_be_prepared_names_its_field() {
    let prober = prober();
    let refused = |target: HttpTarget| prober.prepare(&def(Target::Http(target)), PrepareHints::default()).unwrap_err();
    let error = refused(HttpTarget { method: "CONNECT".into(), ..http("http://a.example/") });
    assert!(matches!(error, PrepareError::Method(_)), "{error}");
    assert!(error.to_string().starts_with("http.method"));
    assert!(refused(http("ftp://a.example/")).to_string().starts_with("http.url"));
    let bad = Header { name: "a b".into(), value: "x".into() };
    let error = refused(HttpTarget { headers: vec![bad], ..http("http://a.example/") });
    assert!(error.to_string().starts_with("http.headers"));
}
