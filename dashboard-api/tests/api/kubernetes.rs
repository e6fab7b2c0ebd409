//! The Kubernetes writer against an API server of a few lines that keeps objects, versions and refusals, and an operator
//! that turns objects into rows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use http::Response;
use http_body_util::BodyExt as _;
use nanomon_crds::{MonitorSpec, convert};
use nanomon_dashboard_api::{ApiConfig, ClusterConfig, Mode};
use nanomon_sql::Store;
use nanomon_sql::monitors::{MonitorWrite, Source};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, Api, fresh_store, http_form};

const INSTALLATION: &str = "cluster-1/nanomon";

/// Objects by namespace and name.
type Objects = BTreeMap<(String, String), Value>;

/// What the server does besides keeping objects.
#[derive(Default)]
struct Behaviour {
    /// Rows follow objects.
    operator: bool,
    /// Namespaces whose quota is used up when this many objects are in them.
    quota: BTreeMap<String, usize>,
    /// So many updates lose a race against a status update first.
    races: usize,
    /// Another writer changes the spec between read and update, once.
    rival: bool,
    /// Fails to delete.
    sticky: bool,
}

#[derive(Default)]
struct Cluster {
    objects: Mutex<Objects>,
    behaviour: Mutex<Behaviour>,
    /// Calls that were no dry runs and no reads.
    calls: Mutex<Vec<String>>,
    versions: std::sync::atomic::AtomicU64,
}

impl Cluster {
    fn version(&self) -> String {
        (100 + self.versions.fetch_add(1, std::sync::atomic::Ordering::SeqCst)).to_string()
    }

    fn object(&self, namespace: &str, name: &str) -> Option<Value> {
        self.objects.lock().unwrap().get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    fn change(&self, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) {
        change(self.objects.lock().unwrap().get_mut(&(namespace.to_owned(), name.to_owned())).unwrap());
    }

    fn count(&self) -> usize {
        self.objects.lock().unwrap().len()
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    async fn serve(self: Arc<Self>, store: Store, request: Request<kube::client::Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let path: Vec<&str> = parts.uri.path().split('/').collect();
        let ["", "apis", "nanomon.io", "v1alpha1", "namespaces", namespace, "monitors", rest @ ..] = path.as_slice()
        else {
            panic!("unexpected call {}", parts.uri)
        };
        let dry = query.contains("dryRun=All");
        if parts.method != Method::GET && !dry {
            self.calls.lock().unwrap().push(format!("{} {}", parts.method, parts.uri.path()));
        }
        if parts.method == Method::POST || parts.method == Method::PUT {
            assert!(query.contains("fieldManager=nanomon-api"), "{query}");
        }
        let answer = match (&parts.method, rest) {
            (&Method::POST, []) => self.create(namespace, body, dry),
            (&Method::GET, [name]) => self.object(namespace, name).ok_or_else(|| not_found(name)),
            (&Method::PUT, [name]) => self.update(namespace, name, &body),
            (&Method::DELETE, [name]) => self.remove(namespace, name, &body),
            other => panic!("unexpected call {other:?}"),
        };
        if let (Ok(object), false) = (&answer, dry || !self.behaviour.lock().unwrap().operator) {
            match parts.method {
                Method::POST | Method::PUT => follow(&store, object).await,
                Method::DELETE => forget(&store, object).await,
                _ => {}
            }
        }
        let (code, value) = match answer {
            Ok(object) => (200, object),
            Err(status) => (status["code"].as_u64().unwrap() as u16, status),
        };
        Response::builder()
            .status(code)
            .header("content-type", "application/json")
            .body(Body::from(value.to_string()))
            .unwrap()
    }

    fn create(&self, namespace: &str, mut object: Value, dry: bool) -> Result<Value, Value> {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        assert_eq!(object["kind"], "Monitor");
        if namespace == "absent" {
            return Err(failure(404, "NotFound", "namespaces \"absent\" not found", json!({})));
        }
        if namespace == "closed" {
            let text =
                "monitors.nanomon.io is forbidden: User \"system:serviceaccount:nanomon:api\" cannot create resource";
            return Err(failure(403, "Forbidden", text, json!({})));
        }
        if object["spec"]["group"] == "refused" {
            let causes = json!({"causes": [{"field": "spec.group", "message": "group must not be refused", "reason": "FieldValueInvalid"}]});
            return Err(failure(422, "Invalid", "Monitor is invalid", causes));
        }
        let mut objects = self.objects.lock().unwrap();
        let key = (namespace.to_owned(), name.clone());
        if objects.contains_key(&key) {
            return Err(failure(409, "AlreadyExists", "monitors already exists", json!({})));
        }
        let held = objects.keys().filter(|(ns, _)| ns == namespace).count();
        // As on a real server a quota is not counted over several dry runs.
        if self.behaviour.lock().unwrap().quota.get(namespace).is_some_and(|quota| held >= *quota) {
            let text =
                "monitors.nanomon.io \"x\" is forbidden: exceeded quota: monitors, requested: 1, used: 1, limited: 1";
            return Err(failure(403, "Forbidden", text, json!({})));
        }
        object["metadata"]["uid"] = json!(Uuid::new_v4().to_string());
        object["metadata"]["generation"] = json!(1);
        object["metadata"]["resourceVersion"] = json!(self.version());
        if !dry {
            objects.insert(key, object.clone());
        }
        Ok(object)
    }

    fn update(&self, namespace: &str, name: &str, new: &Value) -> Result<Value, Value> {
        let mut behaviour = self.behaviour.lock().unwrap();
        let mut objects = self.objects.lock().unwrap();
        let key = (namespace.to_owned(), name.to_owned());
        let object = objects.get_mut(&key).ok_or_else(|| not_found(name))?;
        if behaviour.races > 0 {
            behaviour.races -= 1;
            object["metadata"]["resourceVersion"] = json!(self.version());
        }
        if std::mem::take(&mut behaviour.rival) {
            object["metadata"]["resourceVersion"] = json!(self.version());
            object["metadata"]["generation"] = json!(object["metadata"]["generation"].as_i64().unwrap() + 1);
            object["spec"]["group"] = json!("rival");
        }
        if new["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] {
            return Err(failure(409, "Conflict", "the object has been modified", json!({})));
        }
        object["metadata"]["resourceVersion"] = json!(self.version());
        if object["spec"] != new["spec"] {
            object["metadata"]["generation"] = json!(object["metadata"]["generation"].as_i64().unwrap() + 1);
        }
        object["spec"] = new["spec"].clone();
        object["metadata"]["labels"] = new["metadata"]["labels"].clone();
        Ok(object.clone())
    }

    fn remove(&self, namespace: &str, name: &str, options: &Value) -> Result<Value, Value> {
        let mut behaviour = self.behaviour.lock().unwrap();
        if behaviour.sticky {
            return Err(failure(500, "InternalError", "etcd is tired", json!({})));
        }
        let mut objects = self.objects.lock().unwrap();
        let key = (namespace.to_owned(), name.to_owned());
        let object = objects.get_mut(&key).ok_or_else(|| not_found(name))?;
        if behaviour.races > 0 {
            behaviour.races -= 1;
            object["metadata"]["resourceVersion"] = json!(self.version());
        }
        let wanted = &options["preconditions"];
        assert_eq!(wanted["uid"], object["metadata"]["uid"], "a delete names the object that was read");
        if !wanted["resourceVersion"].is_null() && wanted["resourceVersion"] != object["metadata"]["resourceVersion"] {
            return Err(failure(409, "Conflict", "the object has been modified", json!({})));
        }
        Ok(objects.remove(&key).unwrap())
    }
}

fn failure(code: u16, reason: &str, message: &str, details: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "code": code, "reason": reason,
        "message": message, "details": details
    })
}

fn not_found(name: &str) -> Value {
    failure(404, "NotFound", &format!("monitors.nanomon.io \"{name}\" not found"), json!({"name": name}))
}

/// What the operator does with an object.
async fn follow(store: &Store, object: &Value) {
    let meta = &object["metadata"];
    let name = meta["name"].as_str().unwrap();
    let spec: MonitorSpec = serde_json::from_value(object["spec"].clone()).unwrap();
    let write = MonitorWrite {
        id: meta["annotations"]["nanomon.io/id"].as_str().and_then(|id| id.parse().ok()),
        uid: meta["uid"].as_str().unwrap().parse().unwrap(),
        namespace: meta["namespace"].as_str().unwrap().to_owned(),
        name: name.to_owned(),
        source: Source::Kubernetes,
        def: convert::convert(name, &spec).unwrap(),
        spec: object["spec"].clone(),
        generation: meta["generation"].as_i64().unwrap(),
        meta: json!({"labels": meta["labels"], "managedBy": {}}),
    };
    store.monitor_write_batch(INSTALLATION, None, &[write]).await.unwrap();
}

async fn forget(store: &Store, object: &Value) {
    let (namespace, name) = (&object["metadata"]["namespace"], &object["metadata"]["name"]);
    let row = store
        .monitor_get_by_name(INSTALLATION, namespace.as_str().unwrap(), name.as_str().unwrap())
        .await
        .unwrap()
        .unwrap();
    store.monitor_tombstone_batch(INSTALLATION, None, &[row.id]).await.unwrap();
}

async fn cluster() -> (Api, Arc<Cluster>) {
    let store = fresh_store().await;
    let cluster = Arc::new(Cluster::default());
    cluster.behaviour.lock().unwrap().operator = true;
    let (server, rows) = (cluster.clone(), store.clone());
    let service = tower::service_fn(move |request| {
        let (server, rows) = (server.clone(), rows.clone());
        async move { Ok::<_, std::io::Error>(server.serve(rows, request).await) }
    });
    let mode = Mode::Cluster(ClusterConfig {
        client: kube::Client::new(service, "default"),
        default_namespace: "nanomon".to_owned(),
        allow_anonymous_writes: true,
    });
    let config = ApiConfig { mode, installation: INSTALLATION.to_owned(), ..ApiConfig::standalone() };
    (Api::with(config, store), cluster)
}

#[tokio::test]
async fn a_monitor_is_an_object() {
    let (api, cluster) = cluster().await;
    let made = api.post("/api/monitors", &http_form("My API!")).await;
    assert_eq!(made.status, StatusCode::OK, "{made:?}");
    let made = made.json();
    let object = cluster.object("nanomon", "my-api").unwrap();
    assert_eq!(object["metadata"]["annotations"]["nanomon.io/id"], made["id"].to_string());
    assert_eq!(object["spec"], made["spec"]);
    assert_eq!(object["spec"]["displayName"], "My API!");
    assert_eq!(made["managedBy"], json!({"source": "kubernetes", "editable": true}));

    // The same display name again is another object; the same object name is refused.
    let twin = api.post("/api/monitors?namespace=nanomon", &http_form("My API!")).await.json();
    assert!(twin["objectName"].as_str().unwrap().starts_with("my-api-"), "{twin}");
    let mut named = http_form("x");
    named["objectName"] = json!("my-api");
    let taken = api.post("/api/monitors", &named).await;
    assert_eq!(
        (taken.status, taken.detail().as_str()),
        (StatusCode::CONFLICT, "the monitor nanomon/my-api exists already")
    );
    named["namespace"] = json!("shop");
    assert_eq!(api.post("/api/monitors", &named).await.json()["namespace"], "shop");

    let path = format!("/api/monitors/{}", made["id"]);
    let tcp = json!({"spec": {"displayName": "My API!", "tcp": {"address": "127.0.0.1:9"}}});
    let changed = api.put(&path, &tcp).await;
    assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
    let object = cluster.object("nanomon", "my-api").unwrap();
    assert!(object["spec"].get("http").is_none(), "the spec is replaced, not merged");
    assert_eq!(api.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert!(cluster.object("nanomon", "my-api").is_none());
    assert_eq!(api.get(&path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn without_an_operator_the_answer_is_accepted() {
    let (api, cluster) = cluster().await;
    cluster.behaviour.lock().unwrap().operator = false;
    let made = api.post("/api/monitors", &http_form("web")).await;
    assert_eq!(made.status, StatusCode::ACCEPTED, "{made:?}");
    let id = made.json()["id"].as_i64().unwrap();
    assert_eq!(made.header("location"), format!("/api/monitors/{id}"));
    assert_eq!(cluster.object("nanomon", "web").unwrap()["metadata"]["annotations"]["nanomon.io/id"], id.to_string());
    assert_eq!(made.json()["state"]["status"], "Unknown");
}

async fn put_seen(api: &Api, path: &str, tag: &str, body: &Value) -> Answer {
    let request = Request::builder().method(Method::PUT).uri(path).header("if-match", tag);
    api.send(request.body(Body::from(body.to_string())).unwrap()).await
}

#[tokio::test]
async fn status_updates_lose_no_edit_and_rivals_are_not_overwritten() {
    let (api, cluster) = cluster().await;
    let id = api.make_http("web").await;
    let path = format!("/api/monitors/{id}");
    let tag = api.get(&path).await.header("etag").to_owned();
    cluster.behaviour.lock().unwrap().races = 3;
    let mut form = http_form("web");
    form["interval"] = json!("10s");
    let answer = put_seen(&api, &path, &tag, &form).await;
    assert_eq!((answer.status, &answer.json()["interval"]), (StatusCode::OK, &json!("10s")));
    let stale = put_seen(&api, &path, &tag, &form).await;
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
    cluster.behaviour.lock().unwrap().rival = true;
    form["interval"] = json!("20s");
    let lost = api.put(&path, &form).await;
    assert_eq!(lost.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(cluster.object("nanomon", "web").unwrap()["spec"]["group"], "rival");
    cluster.behaviour.lock().unwrap().races = 3;
    assert_eq!(api.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(cluster.count(), 0);
}

#[tokio::test]
async fn what_a_tool_owns_is_changed_there() {
    let (api, cluster) = cluster().await;
    let id = api.make_http("web").await;
    api.make_http("free").await;
    let path = format!("/api/monitors/{id}");
    cluster.change("nanomon", "web", |object| {
        object["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] =
            json!("shop:nanomon.io/Monitor:nanomon/web");
    });
    cluster.calls();
    let sentence =
        "the monitor is owned by the Argo CD application shop, which would undo a change made here; change it there";
    let mut paused = http_form("web");
    paused["enabled"] = json!(false);
    for answer in [api.put(&path, &paused).await, api.delete(&path).await] {
        assert_eq!((answer.status, answer.detail().as_str()), (StatusCode::CONFLICT, sentence));
    }
    let all = api.delete("/api/monitors?namespace=nanomon").await;
    assert_eq!(all.detail(), format!("nothing was deleted: nanomon/web: {sentence}"));
    assert_eq!(all.json()["errors"][0]["field"], "nanomon/web");
    assert_eq!(cluster.calls(), Vec::<String>::new(), "nothing was written");
    // A label that people write by hand proves nothing.
    cluster.change("nanomon", "web", |object| {
        object["metadata"]["annotations"] = json!({});
        object["metadata"]["labels"] = json!({"app.kubernetes.io/instance": "shop"});
    });
    assert_eq!(api.put(&path, &paused).await.status, StatusCode::OK);
    assert_eq!(api.delete("/api/monitors?namespace=nanomon").await.status, StatusCode::NO_CONTENT);
    assert_eq!(cluster.count(), 0);
}

#[tokio::test]
async fn refusals_of_the_server_are_told() {
    let (api, cluster) = cluster().await;
    cluster.behaviour.lock().unwrap().quota.insert("full".into(), 0);
    let ask = |field: &'static str, value: &'static str| {
        let mut form = http_form("web");
        form[field] = json!(value);
        let api = &api;
        async move { api.post("/api/monitors", &form).await }
    };
    let invalid = ask("group", "refused").await;
    assert_eq!((invalid.status, invalid.detail().as_str()), (StatusCode::BAD_REQUEST, "group must not be refused"));
    assert_eq!(invalid.json()["errors"][0]["field"], "spec.group");
    let absent = ask("namespace", "absent").await;
    assert_eq!(
        (absent.status, absent.detail().as_str()),
        (StatusCode::BAD_REQUEST, "the namespace absent does not exist")
    );
    let full = ask("namespace", "full").await;
    assert_eq!(full.status, StatusCode::FORBIDDEN);
    assert!(full.detail().contains("exceeded quota"), "{}", full.detail());
    let closed = ask("namespace", "closed").await;
    assert_eq!(closed.status, StatusCode::FORBIDDEN);
    assert!(!closed.detail().contains("serviceaccount"), "{}", closed.detail());
    assert_eq!(cluster.count(), 0);
}

#[tokio::test]
async fn an_import_is_judged_first_and_undone_on_failure() {
    let (api, cluster) = cluster().await;
    let good = |name: &str| http_form(name);
    let mut refused = http_form("bad");
    refused["group"] = json!("refused");
    let answer = api.post("/api/monitors/import", &json!([good("a"), refused, good("b")])).await;
    assert_eq!(
        (answer.status, answer.detail().as_str()),
        (StatusCode::BAD_REQUEST, "nothing was imported: group must not be refused")
    );
    assert_eq!(answer.json()["errors"][0]["field"], "[1].spec.group");
    assert_eq!(cluster.calls(), Vec::<String>::new(), "dry runs only");

    // A quota passes each dry run and fails the second object.
    cluster.behaviour.lock().unwrap().quota.insert("nanomon".into(), 1);
    let answer = api.post("/api/monitors/import", &json!([good("a"), good("b")])).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.detail().starts_with("nothing was imported: "), "{}", answer.detail());
    assert_eq!(cluster.count(), 0, "the first is undone");
    cluster.behaviour.lock().unwrap().sticky = true;
    let answer = api.post("/api/monitors/import", &json!([good("a"), good("b")])).await;
    assert!(answer.detail().starts_with("the import stopped half-way: "), "{}", answer.detail());
    assert_eq!(
        answer.json()["errors"],
        json!([{"field": "nanomon/a", "message": "was created and could not be deleted again"}])
    );
    *cluster.behaviour.lock().unwrap() = Behaviour { operator: true, ..Behaviour::default() };
    cluster.objects.lock().unwrap().clear();

    let answer = api.post("/api/monitors/import", &json!([good("same"), good("same"), good("other")])).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{answer:?}");
    assert_eq!(cluster.count(), 3, "display names may be used twice");
    assert!(api.names().await.iter().filter(|name| *name == "same").count() == 2);
}
