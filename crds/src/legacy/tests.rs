use serde_json::json;

use super::*;
use crate::v1alpha1::monitor::{HttpHeader, HttpProbe, MonitorSpec, PingProbe, TcpProbe};

fn form(value: serde_json::Value) -> LegacyMonitor {
    serde_json::from_value(value).unwrap()
}

fn base() -> serde_json::Value {
    json!({"name": "Example", "type": "http", "interval": "30s", "target": "http://example.test", "properties": {}})
}

#[test]
fn faults_come_in_the_order_that_clients_know() {
    let mut value = json!({"interval": "x", "rule": "("});
    let error = |value: &serde_json::Value| to_spec(&form(value.clone()), None).unwrap_err().to_string();
    assert_eq!(error(&value), "missing monitor name");
    value["name"] = json!("a");
    assert_eq!(error(&value), "missing monitor type");
    value["type"] = json!("udp");
    assert_eq!(error(&value), "invalid monitor type");
    value["type"] = json!("http");
    value["interval"] = json!(null);
    assert_eq!(error(&value), "missing monitor interval");
    value["interval"] = json!("x");
    assert_eq!(error(&value), "missing monitor target");
    value["target"] = json!("ftp://a");
    assert_eq!(error(&value), "invalid monitor interval");
    for (interval, sentence) in [
        ("999ms", "monitor interval must be greater than 1s"),
        ("-5s", "monitor interval must be greater than 1s"),
        ("25h", "monitor interval must not be longer than 24h"),
    ] {
        value["interval"] = json!(interval);
        assert_eq!(error(&value), sentence);
    }
    value["interval"] = json!("1s");
    value["rule"] = json!("");
    assert_eq!(error(&value), "monitor target invalid: url must begin with http:// or https://");
    value["target"] = json!("http://a");
    assert!(to_spec(&form(value), None).is_ok());
}

#[test]
fn all_properties_of_http_arrive() {
    let mut value = base();
    value["enabled"] = json!(false);
    value["group"] = json!("web");
    value["properties"] = json!({
        "method": "post", "timeout": "10s", "validateTLS": "false", "body": "x",
        "headers": r#"{"content-type": "application/json", "x-n": 1}"#, "bodyRegex": "build (\\d+)",
    });
    let converted = to_spec(&form(value), None).unwrap();
    let header = |name: &str, value: &str| HttpHeader { name: name.into(), value: value.into() };
    assert_eq!(
        converted.spec,
        MonitorSpec {
            display_name: Some("Example".into()),
            group: "web".into(),
            suspend: true,
            http: Some(HttpProbe {
                method: "POST".into(),
                timeout: Some("10s".into()),
                validate_tls: false,
                body: "x".into(),
                headers: vec![header("content-type", "application/json"), header("x-n", "1")],
                body_regex: Some("build (\\d+)".into()),
                ..HttpProbe::new("http://example.test")
            }),
            ..MonitorSpec::default()
        }
    );
    assert_eq!(converted.notes, Vec::<String>::new());
}

#[test]
fn timeouts_are_clamped_and_said() {
    let mut value = base();
    value["interval"] = json!("2s");
    for (timeout, clamped) in [("5s", "1.6s"), ("2s", "1.6s"), ("1.9s", "1.9s"), ("1us", "1ms")] {
        value["properties"] = json!({"timeout": timeout});
        let converted = to_spec(&form(value.clone()), None).unwrap();
        assert_eq!(converted.spec.http.unwrap().timeout.unwrap(), clamped);
        assert_eq!(converted.notes.len(), usize::from(timeout != clamped), "{timeout}");
    }
    value["interval"] = json!("10m");
    value["properties"] = json!({"timeout": "5m"});
    assert_eq!(to_spec(&form(value), None).unwrap().spec.http.unwrap().timeout.unwrap(), "1m");
}

#[test]
fn bad_properties_are_named() {
    for (kind, target, properties, sentence) in [
        (
            "http",
            "http://a",
            json!({"timeout": "soon"}),
            "monitor property timeout invalid: \"soon\" is not a duration such as 500ms, 30s, 5m or 1h30m",
        ),
        (
            "http",
            "http://a",
            json!({"headers": "x"}),
            "monitor property headers invalid: headers must be a JSON object of texts",
        ),
        (
            "http",
            "http://a",
            json!({"headers": "{\"a b\": \"c\"}"}),
            "monitor property headers invalid: name must be an HTTP header name: letters, digits and !#$%&*+.^_`|~-",
        ),
        (
            "http",
            "http://a",
            json!({"validateTLS": "maybe"}),
            "monitor property validateTLS invalid: validateTLS must be \"true\" or \"false\"",
        ),
        ("ping", "a", json!({"count": "many"}), "monitor property count invalid: count must be a whole number"),
        ("ping", "a", json!({"count": 21}), "monitor property count invalid: count must be between 1 and 20"),
        (
            "ping",
            "a",
            json!({"interval": "10ms"}),
            "monitor property interval invalid: interval must be at least 100ms",
        ),
        (
            "dns",
            "a",
            json!({"type": "SRV"}),
            "monitor property type invalid: type must be one of A, AAAA, CNAME, TXT, MX, NS",
        ),
        (
            "dns",
            "a",
            json!({"network": "ip5"}),
            "monitor property network invalid: network must be one of ip, ip4, ip6",
        ),
        (
            "dns",
            "a",
            json!({"server": "a:0"}),
            "monitor property server invalid: server must have a port between 1 and 65535 or none",
        ),
        (
            "tcp",
            "a",
            json!({}),
            "monitor target invalid: address must be host:port, an IPv6 address in brackets as in [::1]:443",
        ),
    ] {
        let value = json!({"name": "a", "type": kind, "interval": "30s", "target": target, "properties": properties});
        assert_eq!(to_spec(&form(value), None).unwrap_err().to_string(), sentence);
    }
    assert!(serde_json::from_value::<LegacyMonitor>(json!({"properties": {"a": []}})).is_err());
}

#[test]
fn unknown_properties_are_noted_and_pools_kept() {
    let mut value = base();
    value["properties"] = json!({"count": "3"});
    let existing = MonitorSpec { runner_pools: vec!["dmz".into()], ..MonitorSpec::default() };
    let converted = to_spec(&form(value), Some(&existing)).unwrap();
    assert_eq!(converted.notes, ["property count means nothing for type http and was left out"]);
    assert_eq!(converted.spec.runner_pools, ["dmz"]);
}

#[test]
fn specs_round_trip() {
    let specs = [
        MonitorSpec {
            http: Some(HttpProbe {
                headers: vec![HttpHeader { name: "A".into(), value: "b".into() }],
                follow_redirects: false,
                body_regex: Some("x".into()),
                ..HttpProbe::new("http://a.example/?q=1")
            }),
            ..MonitorSpec::default()
        },
        MonitorSpec {
            tcp: Some(TcpProbe { timeout: Some("2s".into()), ..TcpProbe::new("[::1]:443") }),
            ..MonitorSpec::default()
        },
        MonitorSpec {
            ping: Some(PingProbe { count: 5, ..PingProbe::new("::1") }),
            suspend: true,
            ..MonitorSpec::default()
        },
        MonitorSpec {
            dns: Some(crate::v1alpha1::monitor::DnsProbe {
                server: Some("[::1]:53".into()),
                record_type: crate::v1alpha1::monitor::DnsRecordType::Mx,
                ..crate::v1alpha1::monitor::DnsProbe::new("a.example")
            }),
            group: "net".into(),
            ..MonitorSpec::default()
        },
    ];
    for spec in specs {
        let spec = MonitorSpec { display_name: Some("x".into()), ..spec };
        let written = from_spec("object", &spec);
        let json = serde_json::to_value(&written).unwrap();
        assert_eq!(to_spec(&form(json), None).unwrap().spec, spec);
    }
}
