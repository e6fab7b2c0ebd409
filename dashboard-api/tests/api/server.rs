//! Serving on real ports, and stopping.

#![expect(clippy::disallowed_methods, reason = "the test is the client; no user aims it")]

use std::time::Duration;

use nanomon_dashboard_api::{ApiConfig, AuthSettings, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::fresh_store;

const DEADLINE: Duration = Duration::from_secs(20);

async fn ask(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(DEADLINE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn both_ports_serve_everything_and_end_with_the_stop() {
    let listeners = [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("[::1]:0").await.unwrap()];
    let addresses = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let config = ApiConfig::standalone();
    let metrics = config.metrics.clone();
    let serving = tokio::spawn(serve(config, fresh_store().await, listeners.into(), stop.clone()));
    for address in addresses {
        for path in ["/api/health", "/api/monitors", "/config.json", "/"] {
            let answer = ask(address, path).await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{address}{path}: {answer}");
        }
        assert!(ask(address, "/api/nothing").await.starts_with("HTTP/1.1 404 "));
    }
    let mut text = String::new();
    metrics.source().render(nanomon_service::Exposition::Text, &mut text);
    let counted = "nanomon_api_requests_total{route=\"/api/health\",method=\"GET\",code=\"200\"} 2";
    assert!(text.contains(counted), "{text}");
    assert!(text.contains("route=\"other\",method=\"GET\",code=\"404\"} 2"), "{text}");
    stop.cancel();
    timeout(DEADLINE, serving).await.unwrap().unwrap().unwrap();
    for address in addresses {
        assert!(TcpStream::connect(address).await.is_err(), "{address} is closed");
    }
}

#[tokio::test]
async fn sign_in_that_cannot_be_verified_stops_the_start() {
    let auth = AuthSettings { client_id: "abc".into(), ..AuthSettings::default() };
    let config = ApiConfig { auth, ..ApiConfig::standalone() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = serve(config, fresh_store().await, vec![listener], CancellationToken::new()).await.unwrap_err();
    assert!(refused.to_string().starts_with("AUTH_CLIENT_ID is set"), "{refused}");
}
