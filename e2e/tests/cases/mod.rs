//! Specs of Monitors that the API server takes or refuses.

use serde_json::{Value, json};

fn long(length: usize) -> String {
    "a".repeat(length)
}

fn url(path: usize) -> String {
    format!("http://a.example/{}", long(path - 17))
}

/// Specs that are taken, each at a bound or of a form that could be mistaken.
pub fn accepted() -> Vec<Value> {
    let http = |url: &str| json!({"http": {"url": url}});
    let tcp = |address: &str| json!({"tcp": {"address": address}});
    let ping = |host: &str| json!({"ping": {"host": host}});
    let dns = |name: &str| json!({"dns": {"name": name}});
    let server = |server: &str| json!({"dns": {"name": "a.example", "server": server}});
    let with = |mut spec: Value, field: &str, value: Value| {
        spec[field] = value;
        spec
    };
    let web = http("https://a.example/");
    let http_with = |field: &str, value: Value| {
        let mut spec = http("https://a.example/");
        spec["http"][field] = value;
        spec
    };
    let header = |name: &str, value: &str| http_with("headers", json!([{"name": name, "value": value}]));
    let mut cases = vec![
        web.clone(),
        http("HTTP://a.example"),
        http("http://[::1]:8080/a?b=c#d"),
        http("http://10.0.0.1/@"),
        http("http://a.example/?user=a@b"),
        http(&url(2048)),
        http("http://xn--bcher-kva.example/"),
        tcp("a.example:443"),
        tcp("[2001:db8::1]:65535"),
        tcp("10.0.0.1:1"),
        tcp(&format!("{}:65535", [long(63), long(63), long(63), long(61)].join("."))),
        ping("a.example"),
        ping("a.example."),
        ping("::1"),
        ping("127.0.0.1"),
        ping(&[long(63), long(63), long(63), long(61)].join(".")),
        dns("a.example"),
        dns("_dmarc.a.example."),
        dns("."),
        server("9.9.9.9"),
        server("2620:fe::fe"),
        server("[2620:fe::fe]"),
        server("[2620:fe::fe]:5353"),
        server("dns.example:5353"),
        with(web.clone(), "displayName", json!(format!("Ünïcode ✓ {}", long(190)))),
        with(web.clone(), "group", json!(long(100))),
        with(web.clone(), "interval", json!("1s")),
        with(web.clone(), "interval", json!("24h")),
        with(web.clone(), "interval", json!("1h1m1.5s1ms")),
        with(web.clone(), "rule", json!("status >= 200 &&\n\tstatus < 300")),
        with(web.clone(), "rule", json!(format!("status =={}200", " ".repeat(1012)))),
        with(web.clone(), "rule", Value::Null),
        with(web.clone(), "suspend", json!(true)),
        with(web.clone(), "runnerPools", json!(["default", "eu-1"])),
        with(web.clone(), "runnerPools", json!((0..8).map(|n| format!("p{n}{}", long(61))).collect::<Vec<_>>())),
        http_with("method", json!("PROPFIND")),
        http_with("method", json!("get")),
        http_with("timeout", json!("1ms")),
        http_with("timeout", json!("29.999s")),
        http_with("body", json!("a".repeat(65_536))),
        http_with("bodyRegex", json!(r"build (\d+)")),
        http_with("validateTLS", json!(false)),
        http_with("followRedirects", json!(false)),
        http_with("headers", json!((0..50).map(|n| json!({"name": format!("x{n}"), "value": ""})).collect::<Vec<_>>())),
        header("Host", "b.example"),
        header("X-Tab", "a\tb é"),
        header(&long(128), &long(4096)),
        json!({"interval": "2m", "tcp": {"address": "a.example:1", "timeout": "60s"}}),
        json!({"ping": {"host": "a.example", "count": 20, "interval": "1s", "timeout": "10s"}}),
        json!({"interval": "1s", "ping": {"host": "a.example"}}),
        json!({"interval": "1s", "ping": {"host": "a.example", "count": 1, "interval": "5s"}}),
        json!({"ping": {"host": "a.example", "interval": "100ms"}}),
    ];
    for kind in ["A", "AAAA", "CNAME", "TXT", "MX", "NS"] {
        cases.push(json!({"dns": {"name": "a.example", "recordType": kind}}));
    }
    for network in ["ip", "ip4", "ip6"] {
        cases.push(json!({"dns": {"name": "a.example", "network": network}}));
    }
    cases
}

/// Specs that are refused, with the field and the sentence that the server says.
pub fn refused() -> Vec<(Value, &'static str, &'static str)> {
    let web = || json!({"http": {"url": "https://a.example/"}});
    let with = |field: &str, value: Value| {
        let mut spec = web();
        spec[field] = value;
        spec
    };
    let http = |field: &str, value: Value| {
        let mut spec = web();
        spec["http"][field] = value;
        spec
    };
    let url = |url: &str| json!({"http": {"url": url}});
    let header = |name: &str, value: &str| http("headers", json!([{"name": name, "value": value}]));
    let tcp = |address: &str| json!({"tcp": {"address": address}});
    let ping = |field: &str, value: Value| {
        let mut spec = json!({"ping": {"host": "a.example"}});
        spec["ping"][field] = value;
        spec
    };
    let dns = |field: &str, value: Value| {
        let mut spec = json!({"dns": {"name": "a.example"}});
        spec["dns"][field] = value;
        spec
    };
    let one = "exactly one of http, tcp, ping and dns must be set";
    let duration = "must be a duration such as";
    let name = |length: usize| [long(63), long(63), long(63), long(length)].join(".");
    vec![
        (json!({}), "spec", one),
        (json!({"http": {"url": "http://a.example"}, "dns": {"name": "a.example"}}), "spec", one),
        (with("displayName", json!("a\u{7}b")), "spec.displayName", "displayName must not contain control characters"),
        (with("displayName", json!(long(201))), "spec.displayName", "may not be more than 200"),
        (with("displayName", json!("")), "spec.displayName", "should be at least 1 chars long"),
        (with("group", json!("a\nb")), "spec.group", "group must not contain control characters"),
        (with("group", json!(long(101))), "spec.group", "may not be more than 100"),
        (with("group", json!("")), "spec.group", "should be at least 1 chars long"),
        (with("interval", json!("soon")), "spec.interval", "interval must be a duration such as 30s, 5m or 1h30m"),
        (with("interval", json!("-30s")), "spec.interval", duration),
        (with("interval", json!("30")), "spec.interval", duration),
        (with("interval", json!("999999h")), "spec.interval", duration),
        (with("interval", json!("999ms")), "spec.interval", "interval must be between 1s and 24h"),
        (with("interval", json!("24h1ms")), "spec.interval", "interval must be between 1s and 24h"),
        (with("interval", json!(format!("1{}", "0".repeat(40)))), "spec.interval", "may not be more than 40"),
        (with("rule", json!(long(1025))), "spec.rule", "may not be more than 1024"),
        (with("rule", json!("status == 200\u{0}")), "spec.rule", "rule must not contain control characters"),
        (with("runnerPools", json!([])), "spec.runnerPools", "should have at least 1 items"),
        (
            with("runnerPools", json!((0..9).map(|n| format!("p{n}")).collect::<Vec<_>>())),
            "spec.runnerPools",
            "must have at most 8 items",
        ),
        (
            with("runnerPools", json!(["Default"])),
            "spec.runnerPools",
            "runnerPools must hold names of lower-case letters, digits and hyphens",
        ),
        (with("runnerPools", json!(["a", "a"])), "spec.runnerPools[1]", "Duplicate value"),
        (with("runnerPools", json!([long(64)])), "spec.runnerPools[0]", "may not be more than 63"),
        (json!({"http": {}}), "spec.http.url", "Required value"),
        (url("ftp://a.example"), "spec.http.url", "url must begin with http:// or https://"),
        (url("a.example"), "spec.http.url", "url must begin with http:// or https://"),
        (url("http://"), "spec.http.url", "url must be an absolute URL with a host"),
        (url("http:///path"), "spec.http.url", "url must be an absolute URL with a host"),
        (url("http://a.example:port"), "spec.http.url", "url must be an absolute URL with a host"),
        (
            url("https://user:secret@a.example/"),
            "spec.http.url",
            "url must not contain user info; send credentials in a header instead",
        ),
        (
            url("http://a.example/a b"),
            "spec.http.url",
            "url must not contain spaces, backslashes or control characters",
        ),
        (
            url("http://a.example\\@b.example/"),
            "spec.http.url",
            "url must not contain spaces, backslashes or control characters",
        ),
        (url(&format!("http://a.example/{}", long(2032))), "spec.http.url", "may not be more than 2048"),
        (http("method", json!("G T")), "spec.http.method", "method must be an HTTP method such as GET or POST"),
        (http("method", json!("connect")), "spec.http.method", "CONNECT is not possible"),
        (http("method", json!("")), "spec.http.method", "method must be an HTTP method"),
        (http("method", json!(long(32))), "spec.http.method", "may not be more than 31"),
        (http("timeout", json!("5")), "spec.http.timeout", "timeout must be a duration such as 500ms or 5s"),
        (http("timeout", json!("0s")), "spec.http.timeout", "timeout must be between 1ms and 60s"),
        (
            json!({"interval": "5m", "http": {"url": "http://a.example", "timeout": "61s"}}),
            "spec.http.timeout",
            "timeout must be between 1ms and 60s",
        ),
        (http("timeout", json!("30s")), "spec.http.timeout", "timeout must be shorter than the interval"),
        (
            http("headers", json!((0..51).map(|n| json!({"name": format!("x{n}"), "value": ""})).collect::<Vec<_>>())),
            "spec.http.headers",
            "must have at most 50 items",
        ),
        (
            http("headers", json!([{"name": "a", "value": "b"}, {"name": "a", "value": "c"}])),
            "spec.http.headers[1]",
            "Duplicate value",
        ),
        (header("a b", "c"), "spec.http.headers[0].name", "name must be an HTTP header name"),
        (header("", "c"), "spec.http.headers[0].name", "should be at least 1 chars long"),
        (header(&long(129), "c"), "spec.http.headers[0].name", "may not be more than 128"),
        (
            header("Content-Length", "3"),
            "spec.http.headers[0].name",
            "name must not be a header of the connection or of the body's framing",
        ),
        (header("a", "b\r\nc: d"), "spec.http.headers[0].value", "value must not contain control characters"),
        (header("a", &long(4097)), "spec.http.headers[0].value", "may not be more than 4096"),
        (http("headers", json!([{"name": "a"}])), "spec.http.headers[0].value", "Required value"),
        (http("body", json!("ä".repeat(40_000))), "spec.http.body", "body must not be longer than 65536 bytes"),
        (http("body", json!("a".repeat(65_537))), "spec.http.body", "may not be more than 65536"),
        (http("bodyRegex", json!("a\u{1}")), "spec.http.bodyRegex", "bodyRegex must not contain control characters"),
        (http("bodyRegex", json!(long(1025))), "spec.http.bodyRegex", "may not be more than 1024"),
        (
            tcp("a.example"),
            "spec.tcp.address",
            "address must be host:port, an IPv6 address in brackets as in [::1]:443",
        ),
        (tcp("::1:443"), "spec.tcp.address", "address must be host:port"),
        (tcp("[::1]"), "spec.tcp.address", "address must be host:port"),
        (tcp("[::g]:1"), "spec.tcp.address", "address must be host:port"),
        (tcp("[10.0.0.1]:1"), "spec.tcp.address", "address must be host:port"),
        (tcp("http://a.example:80"), "spec.tcp.address", "address must be host:port"),
        (tcp("a.example:0"), "spec.tcp.address", "address must end in a port between 1 and 65535"),
        (tcp("a.example:65536"), "spec.tcp.address", "address must end in a port between 1 and 65535"),
        (tcp(&format!("{}:1", long(300))), "spec.tcp.address", "may not be more than 261"),
        (json!({"tcp": {"address": "a.example:1", "timeout": "x"}}), "spec.tcp.timeout", "timeout must be a duration"),
        (
            json!({"tcp": {"address": "a.example:1", "timeout": "2m"}}),
            "spec.tcp.timeout",
            "timeout must be between 1ms and 60s",
        ),
        (
            json!({"tcp": {"address": "a.example:1", "timeout": "30s"}}),
            "spec.tcp.timeout",
            "timeout must be shorter than the interval",
        ),
        (
            ping("host", json!("a b")),
            "spec.ping.host",
            "host must be a host name or an IP address without brackets and port",
        ),
        (ping("host", json!("[::1]")), "spec.ping.host", "host must be a host name or an IP address"),
        (ping("host", json!("a.example:80")), "spec.ping.host", "host must be a host name or an IP address"),
        (ping("host", json!(format!("{}.b", long(64)))), "spec.ping.host", "host must be a host name or an IP address"),
        (ping("host", json!(name(62))), "spec.ping.host", "may not be more than 253"),
        (ping("count", json!(0)), "spec.ping.count", "should be greater than or equal to 1"),
        (ping("count", json!(21)), "spec.ping.count", "should be less than or equal to 20"),
        (ping("interval", json!("x")), "spec.ping.interval", "interval must be a duration such as 150ms or 1s"),
        (ping("interval", json!("99ms")), "spec.ping.interval", "interval must be at least 100ms"),
        (ping("timeout", json!("x")), "spec.ping.timeout", "timeout must be a duration"),
        (ping("timeout", json!("61s")), "spec.ping.timeout", "timeout must be between 1ms and 60s"),
        (ping("timeout", json!("30s")), "spec.ping.timeout", "timeout must be shorter than the interval"),
        (
            json!({"interval": "5s", "ping": {"host": "a.example", "count": 20, "interval": "300ms"}}),
            "spec.ping",
            "ping must end before the monitor's next run",
        ),
        (
            json!({"interval": "1s", "ping": {"host": "a.example", "timeout": "700ms"}}),
            "spec.ping",
            "ping must end before the monitor's next run",
        ),
        (dns("name", json!("a..b")), "spec.dns.name", "name must be a DNS name"),
        (dns("name", json!("a b")), "spec.dns.name", "name must be a DNS name"),
        (dns("name", json!("")), "spec.dns.name", "name must be a DNS name"),
        (dns("name", json!(name(62))), "spec.dns.name", "may not be more than 253"),
        (dns("recordType", json!("SRV")), "spec.dns.recordType", "Unsupported value"),
        (dns("network", json!("ip5")), "spec.dns.network", "Unsupported value"),
        (
            dns("server", json!("a b")),
            "spec.dns.server",
            "server must be a host name or an IP address, optionally with :port",
        ),
        (dns("server", json!("[::g]:53")), "spec.dns.server", "server must be a host name or an IP address"),
        (dns("server", json!("")), "spec.dns.server", "server must be a host name or an IP address"),
        (dns("server", json!("a.example:0")), "spec.dns.server", "server must have a port between 1 and 65535 or none"),
        (dns("server", json!("[::1]:99999")), "spec.dns.server", "server must have a port between 1 and 65535 or none"),
        (dns("server", json!(long(262))), "spec.dns.server", "may not be more than 261"),
        (dns("timeout", json!("x")), "spec.dns.timeout", "timeout must be a duration"),
        (dns("timeout", json!("61s")), "spec.dns.timeout", "timeout must be between 1ms and 60s"),
        (dns("timeout", json!("30s")), "spec.dns.timeout", "timeout must be shorter than the interval"),
    ]
}
