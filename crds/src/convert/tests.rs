use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn spec(value: Value) -> MonitorSpec {
    serde_json::from_value(value).unwrap()
}

fn def(value: Value) -> MonitorDef {
    convert("object", &spec(value)).unwrap()
}

fn faults(value: Value) -> Vec<String> {
    convert("object", &spec(value)).unwrap_err().0.iter().map(ToString::to_string).collect()
}

#[test]
fn defaults_are_resolved() {
    let made =
        def(json!({"http": {"url": "http://a.example", "method": "post"}, "runnerPools": ["b", "a"], "rule": " "}));
    assert_eq!((made.display_name.as_str(), made.group.as_str()), ("object", "default"));
    assert_eq!((made.interval, made.rule.as_deref(), made.suspended), (Duration::from_secs(30), None, false));
    assert_eq!(made.pools, ["a", "b"]);
    let Target::Http(http) = made.target else { panic!("another type") };
    assert_eq!((http.method.as_str(), http.timeout), ("POST", Duration::from_secs(5)));
    assert!(http.validate_tls && http.follow_redirects);
}

#[test]
fn an_unwritten_timeout_fits_the_interval() {
    for (value, timeout) in [
        (json!({"interval": "30s", "tcp": {"address": "a:1"}}), 5_000),
        (json!({"interval": "2s", "tcp": {"address": "a:1"}}), 1_600),
        (json!({"interval": "1s", "http": {"url": "http://a"}}), 800),
        (json!({"interval": "30s", "dns": {"name": "a"}}), 2_000),
        (json!({"interval": "1s", "dns": {"name": "a"}}), 800),
        (json!({"interval": "30s", "ping": {"host": "a"}}), 1_000),
        // Three requests with two pauses of 150 ms: the train has 700 ms left.
        (json!({"interval": "1s", "ping": {"host": "a"}}), 560),
        (json!({"interval": "1s", "ping": {"host": "a", "count": 1}}), 800),
        (json!({"interval": "1s", "http": {"url": "http://a", "timeout": "999ms"}}), 999),
    ] {
        assert_eq!(def(value.clone()).target.timeout().as_millis(), timeout, "{value}");
    }
}

#[test]
fn addresses_are_taken_apart() {
    let Target::Tcp(tcp) = def(json!({"tcp": {"address": "[2001:db8::1]:443"}})).target else { panic!("another type") };
    assert_eq!((tcp.host.as_str(), tcp.port), ("2001:db8::1", 443));
    let server = |server: &str| match def(json!({"dns": {"name": "a", "server": server}})).target {
        Target::Dns(dns) => dns.server.map(|s| (s.host, s.port)),
        _ => None,
    };
    assert_eq!(server("::1"), Some(("::1".into(), 53)));
    assert_eq!(server("[::1]:5353"), Some(("::1".into(), 5353)));
}

#[test]
fn all_faults_are_told_at_once_with_their_fields() {
    let found = faults(json!({
        "displayName": "a\u{7}", "interval": "0s", "runnerPools": [],
        "http": {"url": "ftp://a", "timeout": "2m", "headers": [{"name": "a b", "value": "\n"}], "bodyRegex": "("},
        "rule": "status ==",
    }));
    let fields: Vec<&str> = found.iter().map(|text| text.split(": ").next().unwrap()).collect();
    assert_eq!(
        fields,
        [
            "spec.displayName",
            "spec.interval",
            "spec.http.url",
            "spec.http.timeout",
            "spec.http.timeout",
            "spec.http.headers[0].name",
            "spec.http.headers[0].value",
            "spec.http.bodyRegex",
            "spec.rule",
            "spec.runnerPools",
        ],
        "{found:#?}"
    );
    for text in &found {
        let (path, sentence) = text.split_once(": ").unwrap();
        let field = path.rsplit('.').next().unwrap().split('[').next().unwrap();
        assert!(sentence.contains(field.trim_end_matches('s')), "{sentence:?} does not name {field}");
    }
}

#[test]
fn faults_of_a_rule_have_their_kind_and_place() {
    let error = convert("object", &spec(json!({"ping": {"host": "a"}, "rule": "avgRtt < && 1"}))).unwrap_err();
    assert_eq!(error.fault(), Fault::InvalidRule);
    assert!(error.0[0].position.is_some(), "{error}");
    let error = convert("object", &spec(json!({"ping": {"host": "a"}, "rule": "status == 200"}))).unwrap_err();
    assert!(error.to_string().contains("status"), "{error}");
    let error =
        convert("object", &spec(json!({"http": {"url": "http://a", "bodyRegex": "a{1000}{1000}"}}))).unwrap_err();
    assert_eq!(error.fault(), Fault::InvalidRule);
    assert!(error.to_string().contains("too large"), "{error}");
    let both = convert("object", &spec(json!({"interval": "1", "ping": {"host": "a"}, "rule": "("}))).unwrap_err();
    assert_eq!(both.fault(), Fault::Invalid);
}

#[test]
fn urls_that_readers_understand_differently_are_refused() {
    for url in [
        "http:///a.example/",
        "http://a!b/",
        "http://a..example/",
        &format!("http://{}.example/", "a".repeat(64)),
        "http://",
        "http://a.example:0/",
        "http://a.example:99999/",
        "http://[::1/",
        "http://%zz/",
        "http:\\\\a.example",
        "http://a\t.example",
        "http://user@a.example",
        "http://a.example:pw@b.example/",
        "//a.example",
        "javascript:alert(1)",
        "http://?x",
        "http://#x",
        "http://:80/",
    ] {
        assert!(!faults(json!({"http": {"url": url}})).is_empty(), "{url}");
    }
}

proptest! {
    /// Whatever texts stand in a spec, it is a definition within the bounds or a list of faults.
    #[test]
    fn any_spec_is_judged(
        interval in "[0-9.]{0,6}(ms|s|m|h|x)?", timeout in proptest::option::of("[0-9.]{0,6}(ms|s|m)?"), pause in "[0-9]{0,4}ms",
        count in -3..40i32, host in ".{0,40}", url in "(https?://)?.{0,40}", rule in proptest::option::of(".{0,40}"), which in 0..4,
    ) {
        let mut made = MonitorSpec { interval, rule, ..MonitorSpec::default() };
        match which {
            0 => made.http = Some(HttpProbe { timeout, ..HttpProbe::new(url) }),
            1 => made.tcp = Some(TcpProbe { timeout, ..TcpProbe::new(host) }),
            2 => made.ping = Some(PingProbe { timeout, count, interval: pause, ..PingProbe::new(host) }),
            _ => made.dns = Some(DnsProbe { timeout, server: Some(host.clone()), ..DnsProbe::new(host) }),
        }
        match convert("object", &made) {
            Err(faults) => prop_assert!(!faults.0.is_empty()),
            Ok(def) => {
                prop_assert!((limits::INTERVAL_MIN..=limits::INTERVAL_MAX).contains(&def.interval));
                prop_assert!((limits::TIMEOUT_MIN..=limits::TIMEOUT_MAX).contains(&def.target.timeout()));
                prop_assert!(def.target.timeout() < def.interval);
                if let Target::Ping(ping) = &def.target {
                    prop_assert!(ping.interval * u32::from(ping.count - 1) + ping.timeout < def.interval);
                }
            }
        }
    }
}
