//! Bad input: each refusal names the field and the fault, and leaves nothing behind.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use crate::support::{Api, http_form};

/// A form with one field set, or removed by null.
fn with(field: &str, value: Value) -> String {
    let mut form = http_form("x");
    match value {
        Value::Null => form.as_object_mut().unwrap().remove(field),
        value => form.as_object_mut().unwrap().insert(field.to_owned(), value),
    };
    form.to_string()
}

/// A form of another type.
fn typed(kind: &str, target: &str, properties: Value) -> String {
    json!({"name": "x", "type": kind, "interval": "30s", "target": target, "properties": properties}).to_string()
}

/// A monitor in the form of the spec.
fn spec(spec: Value) -> String {
    json!({"name": "x", "spec": spec}).to_string()
}

fn http_spec(field: &str, value: Value) -> String {
    let mut http = json!({"url": "http://127.0.0.1:9/"});
    http[field] = value;
    spec(json!({"http": http}))
}

type Case = (&'static str, String, &'static str, &'static str);

/// Bodies that no monitor can be made of: why, the body, the sentence, the field.
fn monitors() -> Vec<Case> {
    vec![
        ("no JSON", "{".into(), "the body is not valid JSON: EOF while parsing an object at line 1 column 1", ""),
        ("a comma", "{\"name\": \"x\",\n  }".into(), "the body is not valid JSON: trailing comma at line 2 column 3", ""),
        ("empty", String::new(), "the body is empty; JSON is expected", ""),
        ("an array", "[]".into(), "a monitor must be a JSON object", ""),
        ("a text", "\"x\"".into(), "a monitor must be a JSON object", ""),
        ("null", "null".into(), "a monitor must be a JSON object", ""),
        ("nothing said", "{}".into(), "missing monitor name", "name"),
        ("too deep", "[".repeat(200), "the body is not valid JSON: recursion limit exceeded at line 1 column 128", ""),
        ("no name", with("name", Value::Null), "missing monitor name", "name"),
        ("empty name", with("name", json!("")), "missing monitor name", "name"),
        ("blank name", with("name", json!("  ")), "missing monitor name", "name"),
        ("name no text", with("name", json!(5)), "name must be a text", "name"),
        ("long name", with("name", json!("x".repeat(201))), "monitor name: displayName must not be longer than 200 characters", "name"),
        ("name with control", with("name", json!("a\u{7}b")), "monitor name: displayName must not contain control characters", "name"),
        ("name with NUL", with("name", json!("a\u{0}b")), "monitor name: displayName must not contain control characters", "name"),
        ("no type", with("type", Value::Null), "missing monitor type", "type"),
        ("unknown type", with("type", json!("ftp")), "invalid monitor type", "type"),
        ("type in capitals", with("type", json!("HTTP")), "invalid monitor type", "type"),
        ("type no text", with("type", json!(["http"])), "type must be a text", "type"),
        ("no interval", with("interval", Value::Null), "missing monitor interval", "interval"),
        ("no target", with("target", Value::Null), "missing monitor target", "target"),
        ("blank target", with("target", json!(" ")), "missing monitor target", "target"),
        ("interval no duration", with("interval", json!("often")), "invalid monitor interval", "interval"),
        ("interval without unit", with("interval", json!("30")), "invalid monitor interval", "interval"),
        ("interval a number", with("interval", json!(30)), "interval must be a text", "interval"),
        ("short interval", with("interval", json!("500ms")), "monitor interval must be greater than 1s", "interval"),
        ("negative interval", with("interval", json!("-5s")), "monitor interval must be greater than 1s", "interval"),
        ("long interval", with("interval", json!("25h")), "monitor interval must not be longer than 24h", "interval"),
        ("endless interval", with("interval", json!("9999999999999h")), "monitor interval must not be longer than 24h", "interval"),
        ("rule no text", with("rule", json!(true)), "rule must be a text", "rule"),
        ("enabled no boolean", with("enabled", json!("yes")), "enabled must be true or false", "enabled"),
        ("group no text", with("group", json!(1)), "group must be a text", "group"),
        ("properties a list", with("properties", json!([])), "properties must be an object of texts", "properties"),
        (
            "property an object",
            with("properties", json!({"headers": {"a": "b"}})),
            "property headers must be a text, a number or a boolean",
            "properties.headers",
        ),
        (
            "headers no JSON",
            with("properties", json!({"headers": "a: b"})),
            "monitor property headers invalid: headers must be a JSON object of texts",
            "properties.headers",
        ),
        (
            "flag no boolean",
            with("properties", json!({"validateTLS": "maybe"})),
            "monitor property validateTLS invalid: validateTLS must be \"true\" or \"false\"",
            "properties.validateTLS",
        ),
        (
            "bad count",
            typed("ping", "127.0.0.1", json!({"count": "many"})),
            "monitor property count invalid: count must be a whole number",
            "properties.count",
        ),
        (
            "bad record type",
            typed("dns", "a.example", json!({"type": "PTR"})),
            "monitor property type invalid: type must be one of A, AAAA, CNAME, TXT, MX, NS",
            "properties.type",
        ),
        (
            "bad network",
            typed("dns", "a.example", json!({"network": "ip5"})),
            "monitor property network invalid: network must be one of ip, ip4, ip6",
            "properties.network",
        ),
        ("namespace no text", with("namespace", json!(5)), NAMESPACE, "namespace"),
        ("namespace in capitals", with("namespace", json!("Shop")), NAMESPACE, "namespace"),
        ("namespace empty", with("namespace", json!("")), NAMESPACE, "namespace"),
        ("namespace path", with("namespace", json!("../x")), NAMESPACE, "namespace"),
        ("object name", with("objectName", json!("a_b")), OBJECT_NAME, "objectName"),
        ("long object name", with("objectName", json!("x".repeat(64))), OBJECT_NAME, "objectName"),
        ("labels a list", with("labels", json!(["a"])), "labels must be an object of texts", "labels"),
        ("label key", with("labels", json!({"a b": "c"})), "\"a b\" cannot be a label", "labels"),
        (
            "label value",
            with("labels", json!({"a": "c d"})),
            "the value of label \"a\" must be at most 63 letters, digits, '-', '_' and '.'",
            "labels",
        ),
        ("no target in spec", spec(json!({})), "", "spec"),
        ("two targets", spec(json!({"tcp": {"address": "a:1"}, "ping": {"host": "a"}})), "", "spec"),
        ("unknown field", spec(json!({"http": {"url": "http://a/"}, "intervall": "5s"})), "", "spec.intervall"),
        ("unknown inner field", http_spec("verb", json!("GET")), "", "spec.http.verb"),
        ("spec a text", json!({"name": "x", "spec": "y"}).to_string(), "", "spec"),
        ("url scheme", http_spec("url", json!("ftp://a/")), "", "spec.http.url"),
        ("url user info", http_spec("url", json!("http://u:p@a/")), "", "spec.http.url"),
        ("url no text", http_spec("url", json!(7)), "", "spec.http.url"),
        ("long url", http_spec("url", json!(format!("http://a/{}", "x".repeat(2048)))), "", "spec.http.url"),
        ("timeout", http_spec("timeout", json!("61s")), "", "spec.http.timeout"),
        ("timeout over interval", http_spec("timeout", json!("30s")), "", "spec.http.timeout"),
        ("header name", http_spec("headers", json!([{"name": "a b", "value": ""}])), "", "spec.http.headers[0].name"),
        ("header value", http_spec("headers", json!([{"name": "a", "value": "b\r\nc: d"}])), "", "spec.http.headers[0].value"),
        ("regex", http_spec("bodyRegex", json!("(")), "", "spec.http.bodyRegex"),
        ("address", spec(json!({"tcp": {"address": "a"}})), "", "spec.tcp.address"),
        ("port", spec(json!({"tcp": {"address": "a:65536"}})), "", "spec.tcp.address"),
        ("count", spec(json!({"ping": {"host": "a", "count": 21}})), "", "spec.ping.count"),
        ("record type", spec(json!({"dns": {"name": "a", "recordType": "PTR"}})), "", "spec.dns.recordType"),
        ("server", spec(json!({"dns": {"name": "a", "server": "a:b:c"}})), "", "spec.dns.server"),
        ("interval", spec(json!({"interval": "0s", "tcp": {"address": "a:1"}})), "", "spec.interval"),
        ("pools", spec(json!({"runnerPools": [], "tcp": {"address": "a:1"}})), "", "spec.runnerPools"),
        ("pool name", spec(json!({"runnerPools": ["A"], "tcp": {"address": "a:1"}})), "", "spec.runnerPools"),
        ("long group", spec(json!({"group": "x".repeat(101), "tcp": {"address": "a:1"}})), "", "spec.group"),
        ("no name with spec", json!({"spec": {"tcp": {"address": "a:1"}}}).to_string(), "missing monitor name", "name"),
        (
            "two names",
            json!({"name": "x", "spec": {"displayName": "y", "tcp": {"address": "a:1"}}}).to_string(),
            "name and spec.displayName differ; send one of them",
            "name",
        ),
        (
            "two targets in two forms",
            json!({"name": "x", "type": "tcp", "interval": "30s", "target": "b:1", "spec": {"tcp": {"address": "a:1"}}}).to_string(),
            "spec and the fields type, interval, target, rule, enabled, group, properties say different things; send one of them",
            "spec",
        ),
    ]
}

const NAMESPACE: &str =
    "namespace must be 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends";
const OBJECT_NAME: &str =
    "objectName must be 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends";

async fn raw(api: &Api, method: Method, path: &str, body: String) -> crate::support::Answer {
    api.send(Request::builder().method(method).uri(path).body(Body::from(body)).unwrap()).await
}

#[tokio::test]
async fn no_monitor_is_made_or_changed_by_bad_input() {
    let api = Api::standalone().await;
    let id = api.make_http("stays").await;
    let before = api.get(&format!("/api/monitors/{id}")).await.json();
    let mut sentences = Vec::new();
    for (why, body, detail, field) in monitors() {
        for (method, path) in [(Method::POST, "/api/monitors".to_owned()), (Method::PUT, format!("/api/monitors/{id}"))]
        {
            let renames = method == Method::PUT && matches!(why, "no name with spec" | "two names");
            if renames {
                continue;
            }
            let answer = raw(&api, method.clone(), &path, body.clone()).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{why}: {method} {answer:?}");
            let said = answer.detail();
            if !detail.is_empty() {
                assert_eq!(said, detail, "{why}: {method}");
            }
            let problem = answer.json();
            let first = &problem["errors"][0];
            assert_eq!(first["field"].as_str().unwrap_or_default(), field, "{why}: {method} {said}");
            if !field.is_empty() {
                assert_eq!(first["message"], json!(said), "{why}: the detail is the first fault's sentence");
            }
            sentences.push(format!("{why}: {said}"));
        }
    }
    assert!(monitors().len() >= 60);
    sentences.dedup();
    insta::assert_snapshot!(sentences.join("\n"));
    assert_eq!(api.names().await, ["stays"]);
    assert_eq!(api.get(&format!("/api/monitors/{id}")).await.json(), before);
}

#[tokio::test]
async fn rules_that_do_not_compile_are_refused_with_the_reference_s_sentence() {
    let api = Api::standalone().await;
    for rule in ["status ==", "nope > 1", "status == 200 &&", "1 + (", &"1 + ".repeat(400)] {
        let answer = raw(&api, Method::POST, "/api/monitors", with("rule", json!(rule))).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{rule}");
        assert!(answer.detail().starts_with("rule invalid: "), "{}", answer.detail());
        assert_eq!(answer.json()["errors"][0]["field"], "rule");
    }
    assert!(api.names().await.is_empty());
}

#[tokio::test]
async fn addresses_and_queries_are_checked() {
    let api = Api::standalone().await;
    let id = api.make_http("x").await;
    let bad_id = "monitor id must be a number";
    let bounds = "max must be between 1 and 1000";
    for (path, status, detail) in [
        ("/api/monitors/abc".to_owned(), 400, bad_id),
        ("/api/monitors/1x".to_owned(), 400, bad_id),
        ("/api/monitors/1.5".to_owned(), 400, bad_id),
        ("/api/monitors/%20".to_owned(), 400, bad_id),
        ("/api/monitors/%FF".to_owned(), 400, bad_id),
        ("/api/monitors/abc/results".to_owned(), 400, bad_id),
        ("/api/monitors/abc/uptime".to_owned(), 400, bad_id),
        ("/api/monitors/0".to_owned(), 404, "monitor not found"),
        ("/api/monitors/-1".to_owned(), 404, "monitor not found"),
        ("/api/monitors/999999".to_owned(), 404, "monitor not found"),
        ("/api/monitors/99999999999999999999".to_owned(), 404, "monitor not found"),
        ("/api/monitors/999999/series".to_owned(), 404, "monitor not found"),
        ("/api/monitors/999999/uptime".to_owned(), 404, "monitor not found"),
        ("/api/monitors/999999/manifest".to_owned(), 404, "monitor not found"),
        (format!("/api/monitors/{id}/results?max=0"), 400, bounds),
        (format!("/api/monitors/{id}/results?max=1001"), 400, bounds),
        (format!("/api/monitors/{id}/results?max=-1"), 400, bounds),
        (format!("/api/monitors/{id}/results?max=99999999999"), 400, bounds),
        (format!("/api/monitors/{id}/results?max=ten"), 400, "max must be a number"),
        (format!("/api/monitors/{id}/results?max="), 400, "max must be a number"),
        ("/api/results?max=0".to_owned(), 400, bounds),
        ("/api/results?max=1e3".to_owned(), 400, "max must be a number"),
        ("/api/results?namespace=No".to_owned(), 400, NAMESPACE),
        ("/api/monitors?type=ftp".to_owned(), 400, "type must be one of http, tcp, ping, dns"),
        ("/api/monitors?state=sad".to_owned(), 400, "state must be one of ok, error, failed, unknown, paused"),
        ("/api/monitors?limit=0".to_owned(), 400, "limit must be a whole number between 1 and 1000"),
        ("/api/monitors?limit=x".to_owned(), 400, "limit must be a whole number between 1 and 1000"),
        ("/api/monitors?after=x".to_owned(), 400, "after must be the id of a monitor"),
        (
            "/api/monitors?type=http&type=tcp".to_owned(),
            400,
            "the query string could not be read: a parameter is given twice or badly encoded",
        ),
        (
            format!("/api/monitors/{id}/series?from=yesterday"),
            400,
            "from must be a time like 2026-01-31T12:00:00Z, from 1970 to 2037",
        ),
        (
            format!("/api/monitors/{id}/series?to=9999-01-01T00:00:00Z"),
            400,
            "to must be a time like 2026-01-31T12:00:00Z, from 1970 to 2037",
        ),
        (
            format!("/api/monitors/{id}/series?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z"),
            400,
            "from must be before to",
        ),
        (format!("/api/monitors/{id}/series?points=501"), 400, "points must be a whole number between 1 and 500"),
        ("/api/probes/x".to_owned(), 400, "uuid must be the id of a probe request"),
        ("/api/probes/00000000-0000-4000-8000-000000000000".to_owned(), 404, "probe request not found"),
        (
            "/api/probes/00000000-0000-4000-8000-000000000000?wait=31".to_owned(),
            400,
            "wait must be a whole number between 0 and 30",
        ),
        ("/api/nothing".to_owned(), 404, "there is no such route; /api/docs lists them"),
        ("/api".to_owned(), 404, "there is no such route; /api/docs lists them"),
        ("/api/monitors/".to_owned(), 404, "there is no such route; /api/docs lists them"),
    ] {
        let answer = api.get(&path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {answer:?}");
        assert_eq!(answer.detail(), detail, "{path}");
    }
    for path in
        ["/api/monitors/99999999999999999999/results", "/api/monitors/-1/results", "/api/monitors/999999/results"]
    {
        let answer = api.get(path).await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, "[]"), "{path}");
    }
    let long = api.get(&format!("/api/monitors?search={}", "x".repeat(9000))).await;
    assert_eq!(long.status, StatusCode::URI_TOO_LONG);
    assert_eq!(long.detail(), "the address is too long");
}

#[tokio::test]
async fn methods_and_sizes_are_bounded() {
    let api = Api::standalone().await;
    for (method, path) in [
        (Method::PATCH, "/api/monitors"),
        (Method::PUT, "/api/monitors"),
        (Method::POST, "/api/monitors/1"),
        (Method::DELETE, "/api/overview"),
        (Method::POST, "/api/health"),
        (Method::POST, "/anything"),
    ] {
        let answer = api.call(method.clone(), path, None).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path} {answer:?}");
        assert_eq!(answer.detail(), "this route does not take this method");
    }
    let large = with("name", json!("x".repeat(1024 * 1024)));
    for (method, path) in
        [(Method::POST, "/api/monitors"), (Method::POST, "/api/probes"), (Method::POST, "/api/rules/check")]
    {
        let answer = raw(&api, method, path, large.clone()).await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{path}");
        assert_eq!(answer.detail(), "the body is larger than this route takes");
    }
    let import = format!("[{}]", "1,".repeat(1024 * 1024));
    let answer = raw(&api, Method::POST, "/api/monitors/import", import).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "an import may be larger than 1 MiB");
    let answer = raw(&api, Method::POST, "/api/monitors/import", " ".repeat(16 * 1024 * 1024 + 1)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn an_import_is_all_or_nothing() {
    let api = Api::standalone().await;
    api.make(&json!({"name": "taken", "objectName": "taken", "spec": {"tcp": {"address": "127.0.0.1:9"}}})).await;
    let good = http_form("good");
    let named = json!({"objectName": "twin", "name": "t", "spec": {"tcp": {"address": "127.0.0.1:9"}}});
    let taken = json!({"objectName": "taken", "name": "t", "spec": {"tcp": {"address": "127.0.0.1:9"}}});
    for (body, status, detail, field) in [
        (json!({}), 400, "an import must be a JSON array of monitors", None),
        (json!([good, {"name": "bad"}]), 400, "nothing was imported: [1]: missing monitor type", Some("[1].type")),
        (json!([good, 5]), 400, "nothing was imported: [1]: a monitor must be a JSON object", Some("[1]")),
        (json!([good, named, named]), 400, "default/twin stands already at [1]", Some("[2].objectName")),
        (
            json!([good, taken]),
            409,
            "nothing was imported: the monitor default/taken exists already",
            Some("[1].objectName"),
        ),
    ] {
        let answer = api.post("/api/monitors/import", &body).await;
        assert_eq!(answer.status.as_u16(), status, "{answer:?}");
        assert_eq!(answer.detail(), detail);
        assert_eq!(answer.json()["errors"][0]["field"].as_str(), field);
        assert_eq!(api.names().await, ["taken"], "nothing half-done stays behind");
    }
    let tiny = json!({"name": "x", "type": "tcp", "interval": "1h", "target": "a:1"});
    // More than one transaction holds is refused before anything is written.
    let answer = api.post("/api/monitors/import", &Value::from(vec![tiny.clone(); 501])).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
    assert_eq!(answer.detail(), "an import must not hold more than 500 monitors; send several");
    assert_eq!(api.names().await, ["taken"]);
    let answer = api.post("/api/monitors/import", &Value::from(vec![tiny; 500])).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{answer:?}");
    assert_eq!(api.names().await.len(), 501);
    assert_eq!(api.delete("/api/monitors").await.status, StatusCode::NO_CONTENT);
    assert!(api.names().await.is_empty());
}

#[tokio::test]
async fn a_rule_is_judged_without_being_stored() {
    let api = Api::standalone().await;
    let check = |body: Value| {
        let api = &api;
        async move { api.post("/api/rules/check", &body).await }
    };
    assert_eq!(check(json!({"type": "http", "rule": "status == 200"})).await.json(), json!({"valid": true}));
    assert_eq!(check(json!({"type": "http", "rule": " "})).await.json(), json!({"valid": true}));
    let bad = check(json!({"type": "tcp", "rule": "status == 200"})).await.json();
    assert_eq!(bad["valid"], json!(false), "{bad}");
    assert_eq!(bad["position"], json!(0), "{bad}");
    assert!(bad["message"].as_str().unwrap().contains("status"), "{bad}");
    let long = check(json!({"type": "tcp", "rule": "x".repeat(1025)})).await.json();
    assert_eq!(long["valid"], json!(false));
    for (body, detail) in [
        (json!({"rule": "true"}), "type is missing"),
        (json!({"type": "ftp", "rule": "true"}), "invalid monitor type"),
        (json!({"type": "http"}), "rule is missing"),
        (json!({"type": "http", "rule": 5}), "rule must be a text"),
        (json!([]), "a JSON object with type and rule is expected"),
    ] {
        let answer = check(body).await;
        assert_eq!((answer.status, answer.detail().as_str()), (StatusCode::BAD_REQUEST, detail));
    }
}
