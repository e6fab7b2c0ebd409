//! What a client written for the reference does, and what it gets.

use axum::http::StatusCode;
use nanomon_core::Reason;
use nanomon_core::verdict::Status;
use serde_json::{Value, json};
use std::time::Duration;

use crate::support::Api;

/// A monitor per type with every property of the reference's manual.
fn export() -> Value {
    json!([
        {
            "id": 11, "updated": "2023-01-01T00:00:00Z", "name": "Shop", "type": "http", "interval": "60s",
            "target": "https://shop.example/health?x=1", "rule": "status >= 200 && status < 300", "enabled": true, "group": "web",
            "properties": {
                "method": "POST", "timeout": "10s", "validateTLS": "false", "body": "{\"a\": 1}",
                "headers": "{\"content-type\": \"application/json\"}", "bodyRegex": "build (\\d+)"
            }
        },
        {
            "id": 12, "name": "Database", "type": "tcp", "interval": "5s", "target": "db.example:5432", "rule": "respTime < 100",
            "enabled": true, "group": "", "properties": {"timeout": "500ms"}
        },
        {
            "id": 13, "name": "Router", "type": "ping", "interval": "30s", "target": "192.0.2.1", "rule": "packetLoss == 0",
            "enabled": false, "group": "net", "properties": {"timeout": "2s", "count": "5", "interval": "200ms"}
        },
        {
            "id": 14, "name": "Names", "type": "dns", "interval": "1m", "target": "example.com",
            "rule": "'93.184.215.14' IN (result1, result2)", "enabled": true, "group": "net",
            "properties": {"timeout": "1s", "type": "A", "server": "192.0.2.53", "network": "ip4"}
        }
    ])
}

#[tokio::test]
async fn an_export_comes_back_as_it_was_imported() {
    let api = Api::standalone().await;
    let answer = api.post("/api/monitors/import", &export()).await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::NO_CONTENT, ""), "{answer:?}");
    let list = api.get("/api/monitors").await.json();
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 4);
    for sent in export().as_array().unwrap() {
        let got = list.iter().find(|got| got["name"] == sent["name"]).unwrap();
        for field in ["name", "type", "interval", "target", "rule", "enabled"] {
            assert_eq!(got[field], sent[field], "{field} of {}", sent["name"]);
        }
        let group = if sent["group"] == "" { "default" } else { sent["group"].as_str().unwrap() };
        assert_eq!(got["group"], group);
        for (name, value) in sent["properties"].as_object().unwrap() {
            let (value, kept) = (value.as_str().unwrap(), got["properties"][name].as_str().unwrap_or_default());
            let same_json = name == "headers" && {
                let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
                read(value) == read(kept)
            };
            assert!(value == kept || same_json, "{name} of {}: {value} became {kept}", sent["name"]);
        }
        assert!(got["id"].is_number() && got["updated"].is_string(), "{got}");
    }
    // Names may be used twice, as in the reference: the second gets another object name.
    let answer = api.post("/api/monitors/import", &export()).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(api.names().await.len(), 8);
}

#[tokio::test]
async fn the_life_of_a_monitor() {
    let api = Api::standalone().await;
    let mut form = export()[1].clone();
    let made = api.post("/api/monitors", &form).await;
    assert_eq!(made.status, StatusCode::OK);
    let made = made.json();
    let path = format!("/api/monitors/{}", made["id"]);
    assert_eq!(api.get(&path).await.json(), made);

    form["target"] = json!("db2.example:5432");
    form["enabled"] = json!(false);
    let changed = api.put(&path, &form).await;
    assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
    let changed = changed.json();
    assert_eq!((&changed["target"], &changed["enabled"]), (&json!("db2.example:5432"), &json!(false)));
    assert_eq!((&changed["id"], &changed["objectName"]), (&made["id"], &made["objectName"]));
    assert_eq!(changed["state"]["status"], "Paused");

    // A client may change what it got and send all of it back, `spec` included.
    let mut whole = api.get(&path).await.json();
    whole["interval"] = json!("15s");
    let answer = api.put(&path, &whole).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!((&answer.json()["interval"], &answer.json()["spec"]["interval"]), (&json!("15s"), &json!("15s")));
    let mut whole = answer.json();
    whole["spec"]["tcp"]["address"] = json!("db3.example:5432");
    let answer = api.put(&path, &whole).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.json()["target"], "db3.example:5432");
    whole["target"] = json!("db4.example:5432");
    whole["spec"]["tcp"]["address"] = json!("db5.example:5432");
    assert_eq!(api.put(&path, &whole).await.status, StatusCode::BAD_REQUEST, "both were changed");
    let mut whole = answer.json();
    whole["name"] = json!("Renamed");
    let answer = api.put(&path, &whole).await;
    assert_eq!(answer.json()["name"], "Renamed", "{answer:?}");

    assert_eq!(api.delete(&path).await.status, StatusCode::NO_CONTENT);
    let gone = api.get(&path).await;
    assert_eq!((gone.status, gone.detail().as_str()), (StatusCode::NOT_FOUND, "monitor not found"));
    for answer in [api.delete(&path).await, api.put(&path, &form).await] {
        assert_eq!((answer.status, answer.detail().as_str()), (StatusCode::NOT_FOUND, "monitor not found"));
    }
    assert_eq!(api.get(&format!("{path}/results")).await.text, "[]");
}

#[tokio::test]
async fn one_second_is_the_shortest_interval() {
    let api = Api::standalone().await;
    let mut form = export()[1].clone();
    form["interval"] = json!("1s");
    assert_eq!(api.post("/api/monitors", &form).await.status, StatusCode::OK);
    form["interval"] = json!("999ms");
    assert_eq!(api.post("/api/monitors", &form).await.detail(), "monitor interval must be greater than 1s");
}

#[tokio::test]
async fn faults_are_told_in_the_reference_s_order() {
    let api = Api::standalone().await;
    let mut form = json!({"name": "", "type": "ftp", "interval": "often", "target": "", "rule": "("});
    for (field, good, detail) in [
        ("name", "x", "missing monitor name"),
        ("type", "http", "invalid monitor type"),
        ("target", "http://127.0.0.1:9/", "missing monitor target"),
        ("interval", "30s", "invalid monitor interval"),
    ] {
        assert_eq!(api.post("/api/monitors", &form).await.detail(), detail);
        form[field] = json!(good);
    }
    assert!(api.post("/api/monitors", &form).await.detail().starts_with("rule invalid: "));
    form["rule"] = json!("");
    assert_eq!(api.post("/api/monitors", &form).await.status, StatusCode::OK);
}

#[tokio::test]
async fn results_have_the_reference_s_fields() {
    let api = Api::standalone().await;
    let id = api.make_http("web").await;
    api.store_result(id, Duration::from_secs(20), Status::Ok, Reason::Ok).await;
    api.store_result(id, Duration::from_secs(10), Status::Failed, Reason::ConnectRefused).await;
    let results = api.get(&format!("/api/monitors/{id}/results?max=10")).await.json();
    assert_eq!(results.as_array().unwrap().len(), 2);
    let (failed, ok) = (&results[0], &results[1]);
    assert_eq!((&failed["status"], &failed["value"]), (&json!(2), &json!(0.0)));
    assert_eq!(failed["message"], "The connection was refused.");
    assert_eq!((&ok["status"], &ok["value"], &ok["message"]), (&json!(0), &json!(12.5), &json!("")));
    assert_eq!(ok["outputs"], json!({"respTime": 12.5, "status": 200, "bodyLen": 1024}));
    for result in [failed, ok] {
        assert_eq!((&result["monitor_id"], &result["monitor_name"]), (&json!(id), &json!("web")));
        assert_eq!(result["monitor_target"], "http://127.0.0.1:9/");
    }
    assert!(failed["date"].as_str() > ok["date"].as_str(), "newest first");
    assert_eq!(api.get(&format!("/api/monitors/{id}/results?max=1")).await.json().as_array().unwrap().len(), 1);
    assert_eq!(api.get("/api/results?max=10").await.json(), results);
    assert_eq!(api.delete("/api/results").await.status, StatusCode::NO_CONTENT);
    assert_eq!(api.get("/api/results").await.text, "[]");
    assert_eq!(api.get(&format!("/api/monitors/{id}")).await.json()["state"]["status"], "Unknown");
}
