//! Certificates in every state that a probe can meet.

use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// What is odd about a server's certificate. All but `SelfSigned` are signed by the test authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertState {
    /// Valid for `localhost`, 127.0.0.1 and ::1 until 2099-01-01.
    Good,
    /// Like `Good`, but until 2021-01-01.
    Expired,
    /// Like `Good`, but from 2090-01-01.
    NotYetValid,
    /// Valid for `other.example` only.
    WrongHost,
    /// For clients only, not for servers.
    ClientOnly,
    /// Signed by its own key, and marked as an authority, as most tools do it.
    SelfSigned,
}

/// End of validity of good certificates, in Unix seconds.
pub const GOOD_NOT_AFTER: i64 = 4_070_908_800;

/// An authority of its own: trust it, or do not and have untrusted servers.
pub struct TestCa {
    root: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl TestCa {
    /// Makes keys and a root certificate.
    pub fn new() -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "NanoMon test authority");
        let root = params.self_signed(&key)?.der().clone();
        Ok(Self { root, issuer: Issuer::new(params, key) })
    }

    /// The root to trust, in DER.
    pub fn root(&self) -> CertificateDer<'static> {
        self.root.clone()
    }

    /// A server's TLS configuration with such a certificate. ALPN as given, in order of preference; empty: none.
    pub fn server(&self, state: CertState, alpn: &[&str]) -> Result<Arc<ServerConfig>> {
        self.build(state, alpn, false)
    }

    /// A good server that demands a certificate of its clients, signed by this authority.
    pub fn demanding_server(&self) -> Result<Arc<ServerConfig>> {
        self.build(CertState::Good, &[], true)
    }

    fn build(&self, state: CertState, alpn: &[&str], demanding: bool) -> Result<Arc<ServerConfig>> {
        let names = match state {
            CertState::WrongHost => vec!["other.example".to_owned()],
            CertState::Good
            | CertState::Expired
            | CertState::NotYetValid
            | CertState::ClientOnly
            | CertState::SelfSigned => {
                vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()]
            }
        };
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, "NanoMon test server");
        (params.not_before, params.not_after) = match state {
            CertState::Expired => (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1)),
            CertState::NotYetValid => (date_time_ymd(2090, 1, 1), date_time_ymd(2099, 1, 1)),
            CertState::Good | CertState::WrongHost | CertState::ClientOnly | CertState::SelfSigned => {
                (date_time_ymd(2020, 1, 1), date_time_ymd(2099, 1, 1))
            }
        };
        if state == CertState::ClientOnly {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        }
        let certificate = if state == CertState::SelfSigned {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.self_signed(&key)?
        } else {
            params.signed_by(&key, &self.issuer)?
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).ok().context("the key cannot be used")?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let clients = if demanding {
            let mut roots = RootCertStore::empty();
            roots.add(self.root())?;
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build()?
        } else {
            WebPkiClientVerifier::no_client_auth()
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![certificate.der().clone()], key)?;
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Ok(Arc::new(config))
    }
}
