//! A snapshot of every route's answer.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, StatusCode};
use jiff::Timestamp;
use nanomon_core::Reason;
use nanomon_core::verdict::Status;
use nanomon_sql::monitors::{MonitorWrite, Source};
use serde_json::{Value, json};

use crate::support::{Answer, Api, http_form, redacted};

/// Three monitors: OK, Failed, and paused.
async fn filled() -> (Api, [i32; 3]) {
    let api = Api::standalone().await;
    let web = api.make_http("Web shop").await;
    let tcp = json!({
        "name": "Database", "labels": {"team": "data"}, "namespace": "shop",
        "spec": {"group": "data", "interval": "10s", "tcp": {"address": "[::1]:5432"}, "rule": "respTime < 100"}
    });
    let tcp = api.make(&tcp).await;
    let dns = json!({"name": "Names", "spec": {"suspend": true, "dns": {"name": "example.com"}}});
    let dns = api.make(&dns).await;
    api.store_result(web, Duration::from_secs(12), Status::Ok, Reason::Ok).await;
    api.store_result(tcp, Duration::from_secs(10), Status::Failed, Reason::ConnectTimeout).await;
    api.state.board.read_after_write().await.unwrap();
    (api, [web, tcp, dns])
}

macro_rules! assert_shown {
    ($name:literal, $answer:expr) => {{
        let answer: &Answer = &$answer;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        insta::assert_json_snapshot!($name, redacted(answer.json()));
    }};
}

#[tokio::test]
async fn every_read_route() {
    let (api, [web, tcp, dns]) = filled().await;
    assert_shown!("list", api.get("/api/monitors").await);
    assert_shown!("monitor_http", api.get(&format!("/api/monitors/{web}")).await);
    assert_shown!("monitor_tcp", api.get(&format!("/api/monitors/{tcp}")).await);
    assert_shown!("monitor_dns", api.get(&format!("/api/monitors/{dns}")).await);
    assert_shown!("monitor_results", api.get(&format!("/api/monitors/{tcp}/results")).await);
    assert_shown!("results", api.get("/api/results").await);
    assert_shown!("results_of_a_namespace", api.get("/api/results?namespace=shop").await);
    assert_shown!("series", api.get(&format!("/api/monitors/{web}/series")).await);
    assert_shown!("outputs", api.get("/api/outputs").await);
    assert_shown!("overview", api.get("/api/overview").await);
    assert_shown!("health", api.get("/api/health").await);
    assert_shown!("status", api.get("/api/status").await);
    let mut config = api.get("/config.json").await.json();
    config["VERSION"] = json!("[version]");
    insta::assert_json_snapshot!("config", config);
    let manifest = api.get(&format!("/api/monitors/{tcp}/manifest")).await;
    assert_eq!(manifest.header("content-type"), "text/yaml; charset=utf-8");
    insta::assert_snapshot!("manifest", manifest.text);
    let uptime = api.get(&format!("/api/monitors/{web}/uptime")).await;
    assert_eq!(uptime.status, StatusCode::OK, "{uptime:?}");
    let windows: Vec<Value> =
        uptime.json()["windows"].as_array().unwrap().iter().map(|w| w["window"].clone()).collect();
    assert_eq!(windows, ["24h", "7d", "30d", "90d", "365d"]);
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let (api, [web, tcp, dns]) = filled().await;
    let ids = |path: String| {
        let api = &api;
        async move {
            let list = api.get(&path).await;
            assert_eq!(list.status, StatusCode::OK, "{path} {list:?}");
            list.json().as_array().unwrap().iter().map(|m| m["id"].as_i64().unwrap() as i32).collect::<Vec<_>>()
        }
    };
    for (query, want) in [
        ("", vec![web, tcp, dns]),
        ("namespace=shop", vec![tcp]),
        ("namespace=none", vec![]),
        ("group=web", vec![web]),
        ("type=dns", vec![dns]),
        ("state=ok", vec![web]),
        ("state=Failed", vec![tcp]),
        ("state=paused", vec![dns]),
        ("state=unknown", vec![]),
        ("search=SHOP", vec![web]),
        ("search=example.com", vec![dns]),
        ("label=team", vec![tcp]),
        ("label=team%3Ddata", vec![tcp]),
        ("label=team%3Dweb", vec![]),
        ("type=tcp&state=ok", vec![]),
        ("type=", vec![web, tcp, dns]),
        ("limit=2", vec![web, tcp]),
        (&format!("limit=2&after={tcp}"), vec![dns]),
        (&format!("after={dns}"), vec![]),
    ] {
        assert_eq!(ids(format!("/api/monitors?{query}")).await, want, "{query}");
    }
    let first = api.get("/api/monitors?limit=1&search=%C3%A9%20").await;
    assert_eq!(first.header("link"), "", "an empty page leads nowhere");
    let first = api.get("/api/monitors?limit=2").await;
    let link = first.header("link");
    assert_eq!(link, format!("</api/monitors?limit=2&after={tcp}>; rel=\"next\""));
    let next = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
    assert_eq!(api.get(&next).await.header("link"), "");
    assert_eq!(ids(next).await, [dns]);
}

async fn with_header(api: &Api, method: Method, path: &str, header: (&'static str, &str), body: String) -> Answer {
    let mut request = Request::builder().method(method).uri(path).body(Body::from(body)).unwrap();
    request.headers_mut().insert(header.0, HeaderValue::from_str(header.1).unwrap());
    api.send(request).await
}

#[tokio::test]
async fn unchanged_answers_are_not_sent_again() {
    let (api, [web, ..]) = filled().await;
    for path in ["/api/monitors", "/api/overview", "/api/results", "/api/openapi.json", &format!("/api/monitors/{web}")]
    {
        let first = api.get(path).await;
        let tag = first.header("etag").to_owned();
        assert!(tag.starts_with('"') && tag.len() > 10, "{path}: {tag}");
        for sent in [tag.clone(), format!("\"other\", {tag}"), format!("W/{tag}"), "*".to_owned()] {
            let again = with_header(&api, Method::GET, path, ("if-none-match", &sent), String::new()).await;
            assert_eq!((again.status, again.text.as_str()), (StatusCode::NOT_MODIFIED, ""), "{path} {sent}");
            assert_eq!(again.header("etag"), tag);
        }
        let other = with_header(&api, Method::GET, path, ("if-none-match", "\"other\""), String::new()).await;
        assert_eq!(other.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_change_that_was_not_seen_is_not_overwritten() {
    let (api, [web, ..]) = filled().await;
    let path = format!("/api/monitors/{web}");
    let tag = api.get(&path).await.header("etag").to_owned();
    // A new result changes the state, not the definition.
    api.store_result(web, Duration::from_secs(5), Status::Error, Reason::RuleFalse).await;
    let mut form = http_form("Web shop");
    form["interval"] = json!("20s");
    let first = with_header(&api, Method::PUT, &path, ("if-match", &tag), form.to_string()).await;
    assert_eq!(first.status, StatusCode::OK, "{first:?}");
    assert_ne!(first.header("etag"), tag);
    form["interval"] = json!("40s");
    for answer in [
        with_header(&api, Method::PUT, &path, ("if-match", &tag), form.to_string()).await,
        with_header(&api, Method::DELETE, &path, ("if-match", &tag), String::new()).await,
    ] {
        assert_eq!(answer.status, StatusCode::PRECONDITION_FAILED);
        assert_eq!(answer.detail(), "the monitor was changed meanwhile; load it again and repeat the change");
    }
    assert_eq!(api.get(&path).await.json()["interval"], "20s");
    let bad = with_header(&api, Method::PUT, &path, ("if-match", "abc"), form.to_string()).await;
    assert_eq!(bad.detail(), "If-Match must be * or the ETag of a monitor");
    let any = with_header(&api, Method::PUT, &path, ("if-match", "*"), form.to_string()).await;
    assert_eq!(any.status, StatusCode::OK);
    let seen = with_header(&api, Method::DELETE, &path, ("if-match", any.header("etag")), String::new()).await;
    assert_eq!(seen.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn what_comes_from_a_file_is_changed_there() {
    let (api, [web, ..]) = filled().await;
    let row = api.store.monitor_get(web).await.unwrap().unwrap();
    let write = MonitorWrite {
        id: None,
        uid: uuid::Uuid::from_u128(7),
        namespace: "default".into(),
        name: "from-file".into(),
        source: Source::Manifest,
        spec: row.spec.clone(),
        def: row.def.clone().unwrap(),
        generation: 1,
        meta: json!({"labels": {}, "managedBy": {"file": "shop.yaml"}}),
    };
    let id = api.store.monitor_write_batch("standalone", None, &[write]).await.unwrap()[0].id;
    let path = format!("/api/monitors/{id}");
    // The write was not ours: it is seen within a second.
    let shown = loop {
        let answer = api.get(&path).await;
        if answer.status == StatusCode::OK {
            break answer.json();
        }
        tokio::task::yield_now().await;
    };
    let sentence = "the monitor comes from the manifest file shop.yaml; change it there";
    assert_eq!(
        shown["managedBy"],
        json!({"source": "manifest", "owner": "shop.yaml", "editable": false, "reason": sentence})
    );
    for answer in [api.put(&path, &http_form("x")).await, api.delete(&path).await] {
        assert_eq!((answer.status, answer.detail().as_str()), (StatusCode::CONFLICT, sentence));
    }
    let all = api.delete("/api/monitors").await;
    assert_eq!(all.status, StatusCode::CONFLICT);
    assert_eq!(all.detail(), format!("nothing was changed: default/from-file: {sentence}"));
    assert_eq!(api.names().await.len(), 4);
    assert_eq!(api.delete("/api/monitors?namespace=shop").await.status, StatusCode::NO_CONTENT);
    assert_eq!(api.names().await.len(), 3);
    // A name that a file has is taken.
    let taken = json!({"name": "x", "objectName": "from-file", "spec": {"tcp": {"address": "a:1"}}});
    let answer = api.post("/api/monitors", &taken).await;
    assert_eq!(
        (answer.status, answer.detail().as_str()),
        (StatusCode::CONFLICT, "the monitor default/from-file exists already")
    );
}

#[tokio::test]
async fn a_monitor_keeps_its_place() {
    let (api, [web, ..]) = filled().await;
    let path = format!("/api/monitors/{web}");
    for (field, detail) in [
        ("namespace", "namespace cannot be changed; it is default"),
        ("objectName", "objectName cannot be changed; it is web-shop"),
    ] {
        let mut form = http_form("Web shop");
        form[field] = json!("other");
        let answer = api.put(&path, &form).await;
        assert_eq!((answer.status, answer.detail().as_str()), (StatusCode::BAD_REQUEST, detail));
    }
    // Deleted and made again under its name it has its id and history back.
    assert_eq!(api.delete(&path).await.status, StatusCode::NO_CONTENT);
    let again = api.make(&http_form("Web shop")).await;
    assert_eq!(again, web);
    let results = api.get(&format!("{path}/results")).await.json();
    assert_eq!(results.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn runs_are_asked_for_and_shown() {
    let (api, [web, ..]) = filled().await;
    let runner = api.runner().await;
    let pool = api.store.pool_ensure("default").await.unwrap();
    let asked = api.post(&format!("/api/monitors/{web}/run"), &Value::Null).await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{asked:?}");
    let path = asked.header("location").to_owned();
    assert_eq!(path, format!("/api/probes/{}", asked.json()["id"].as_str().unwrap()));
    assert_eq!(asked.json()["state"], "pending");
    let claimed = api.store.probe_request_claim(pool, runner, 10).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].monitor_id, Some(web));
    assert_eq!(api.get(&path).await.json()["state"], "running");
    let waiting = async { api.get(&format!("{path}?wait=30")).await };
    let done = async {
        let outcome = json!({"status": 2, "value": null, "reason": "connect_refused", "outputs": {"dnsTime": 1.5}, "durationMs": 3.25});
        api.store.probe_request_complete(claimed[0].id, &outcome).await.unwrap();
    };
    let (shown, ()) = tokio::join!(waiting, done);
    let shown = shown.json();
    assert_eq!(shown["state"], "done");
    assert_eq!(
        shown["result"],
        json!({
            "status": 2, "value": 0.0, "reason": "connect_refused", "message": "The connection was refused.",
            "outputs": {"dnsTime": 1.5}, "durationMs": 3.25, "runner": "runner-0",
        })
    );
    assert_eq!(api.get("/api/results").await.json().as_array().unwrap().len(), 2, "a run now is no result");
}

#[tokio::test]
async fn drafts_are_asked_for_and_bounded() {
    let (api, _) = filled().await;
    let runner = api.runner().await;
    let pool = api.store.pool_ensure("default").await.unwrap();
    let draft = json!({"namespace": "shop", "spec": {"tcp": {"address": "127.0.0.1:9"}}});
    let asked = api.post("/api/probes?wait=0", &draft).await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{asked:?}");
    let claimed = api.store.probe_request_claim(pool, runner, 10).await.unwrap();
    assert_eq!((claimed.len(), claimed[0].namespace.as_str(), claimed[0].monitor_id), (1, "shop", None));
    let def: nanomon_core::MonitorDef = serde_json::from_value(claimed[0].def.clone().unwrap()).unwrap();
    assert_eq!(def.target.address(), "127.0.0.1:9");
    let second = api.post("/api/probes?wait=0", &draft).await;
    assert_eq!(second.status, StatusCode::TOO_MANY_REQUESTS, "one at a time");
    assert_eq!(second.header("retry-after"), "6");
    assert!(second.detail().starts_with("too many runs were asked for"));
    api.store.probe_request_complete(claimed[0].id, &json!({"error": "the runner is stopping"})).await.unwrap();
    let failed = api.get(asked.header("location")).await.json();
    assert_eq!(
        (failed["result"]["status"].as_i64(), &failed["result"]["message"]),
        (Some(2), &json!("the runner is stopping"))
    );
    let elsewhere = json!({"spec": {"runnerPools": ["moon"], "tcp": {"address": "127.0.0.1:9"}}});
    let answer = api.post("/api/probes", &elsewhere).await;
    assert_eq!((answer.status, answer.detail().as_str()), (StatusCode::BAD_REQUEST, "there is no runner pool moon"));
    let bad = api.post("/api/probes", &json!({"spec": {"tcp": {"address": "x"}}})).await;
    assert_eq!(bad.json()["errors"][0]["field"], "spec.tcp.address");
    assert_eq!(api.names().await.len(), 3, "a draft is not stored");
}

#[tokio::test]
async fn a_database_that_is_away_is_a_503() {
    let settings =
        nanomon_sql::Settings::parse("host=127.0.0.1 port=1 user=x dbname=x connect_timeout=1", None).unwrap();
    let store = nanomon_sql::Store::new(&settings.with_pool(1, "nanomon-api-test")).unwrap();
    let api = Api::with(nanomon_dashboard_api::ApiConfig::standalone(), store);
    for path in
        ["/api/monitors", "/api/overview", "/api/results", "/api/health", "/api/monitors/1", "/api/monitors/1/uptime"]
    {
        let answer = api.get(path).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path} {answer:?}");
        assert_eq!(answer.header("retry-after"), "5", "{path}");
        assert!(answer.detail().starts_with("the database is not reachable"), "{path}: {}", answer.detail());
    }
    let answer = api.post("/api/monitors", &http_form("x")).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let status = api.get("/api/status").await;
    assert_eq!((status.status, &status.json()["database"]), (StatusCode::OK, &json!("down")));
    assert_eq!(api.get("/").await.status, StatusCode::OK, "the dashboard itself is there");
}

#[tokio::test]
async fn results_without_a_fresh_one_are_unknown() {
    let api = Api::standalone().await;
    let id = api.make_http("old").await;
    let state = api.get(&format!("/api/monitors/{id}")).await.json()["state"].clone();
    assert_eq!(state, json!({"status": "Unknown", "pools": []}));
    // 30 s interval: fresh for 75 s.
    let slot = api.store_result(id, Duration::from_mins(2), Status::Ok, Reason::Ok).await;
    let shown = loop {
        let state = api.get(&format!("/api/monitors/{id}")).await.json()["state"].clone();
        if state["lastCheckTime"].is_string() {
            break state;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(shown["status"], "Unknown");
    let checked: Timestamp = shown["lastCheckTime"].as_str().unwrap().parse().unwrap();
    assert_eq!(checked.as_second(), i64::from(slot));
}
