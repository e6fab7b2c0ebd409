//! `sslmode` means what libpq means, against a server that speaks TLS.

use nanomon_sql::{Settings, Store, StoreError};
use nanomon_testkit::postgres::{Options, Postgres};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// An authority's certificate, and the chain and key of a server of this name signed by it; all PEM.
fn certificates(name: &str) -> (String, String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let root = params.self_signed(&key).unwrap();
    let server_key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec![name.to_owned()])
        .unwrap()
        .signed_by(&server_key, &Issuer::new(params, key))
        .unwrap();
    (root.pem(), server.pem(), server_key.serialize_pem())
}

/// Whether a store with these parameters gets a connection that is encrypted; `None`: no connection at all.
async fn encrypted(postgres: &Postgres, parameters: &str) -> Option<bool> {
    let dsn =
        format!("host=localhost hostaddr=127.0.0.1 port={} user=nanomon dbname=postgres {parameters}", postgres.port());
    let store = Store::new(&Settings::parse(&dsn, None).unwrap().with_pool(1, parameters)).unwrap();
    match store.ping().await {
        Ok(()) => {
            let sql = nanomon_testkit::postgres::connect(&postgres.dsn("postgres")).await.unwrap();
            let query =
                "select s.ssl from pg_stat_ssl s join pg_stat_activity a using (pid) where a.application_name = $1";
            let shown: String = parameters.chars().take(63).collect();
            Some(sql.query_one(query, &[&shown]).await.unwrap().get(0))
        }
        Err(StoreError::Unavailable(_)) => None,
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn each_sslmode_checks_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let (root, chain, key) = certificates("localhost");
    let (other_root, other_chain, other_key) = certificates("other.example");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        format!("sslrootcert={}", path.display())
    };
    let (root, other_root) = (file("a", &root), file("b", &other_root));
    let start = async |tls| Postgres::start_with(Options { tcp: true, tls, ..Options::default() }).await.unwrap();
    let good = start(Some((chain, key))).await;
    for (parameters, expected) in [
        ("sslmode=disable".to_owned(), Some(false)),
        ("sslmode=prefer".to_owned(), Some(true)),
        ("sslmode=require".to_owned(), Some(true)),
        (format!("sslmode=verify-full {root}"), Some(true)),
        (format!("sslmode=verify-ca {root}"), Some(true)),
        (format!("sslmode=verify-full {other_root}"), None),
        (format!("sslmode=require {other_root}"), None),
    ] {
        assert_eq!(encrypted(&good, &parameters).await, expected, "{parameters}");
    }
    let other = start(Some((other_chain, other_key))).await;
    for (parameters, expected) in [
        (format!("sslmode=verify-full {other_root}"), None),
        (format!("sslmode=verify-ca {other_root}"), Some(true)),
        (format!("sslmode=require {root}"), None),
    ] {
        assert_eq!(encrypted(&other, &parameters).await, expected, "{parameters}");
    }
    let plain = start(None).await;
    assert_eq!(encrypted(&plain, "sslmode=prefer").await, Some(false));
    assert_eq!(encrypted(&plain, "sslmode=require").await, None);
}
