//! TLS for probes: one configuration per distinct settings, a verifier that remembers the leaf's expiry also when it
//! refuses it, and the reasons behind a failed handshake.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use nanomon_core::Reason;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::nom::Parser;

use super::dial::stream_reason;

/// What makes two TLS configurations different. A value: equal settings share one configuration, unequal ones never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TlsSettings {
    /// False: any certificate is taken.
    pub validate: bool,
}

/// A configuration shared by all monitors with equal settings.
#[derive(Debug)]
pub(crate) struct SharedTls {
    config: ClientConfig,
    verifier: Arc<dyn ServerCertVerifier>,
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    /// A certificate of the trust bundle is unreadable.
    #[error("a certificate of the trust bundle cannot be used")]
    TrustBundle(#[source] rustls::Error),
    /// The verifier could not be built.
    #[error("the certificate verifier cannot be built")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
    /// The protocol versions could not be set.
    #[error("the TLS configuration cannot be built")]
    Config(#[from] rustls::Error),
}

/// All TLS configurations of a prober.
#[derive(Debug)]
pub(crate) struct TlsConfigs {
    provider: Arc<CryptoProvider>,
    verifier: Arc<WebPkiServerVerifier>,
    shared: Mutex<HashMap<TlsSettings, Arc<SharedTls>>>,
}

impl TlsConfigs {
    /// Trusts the system's roots (or, where there are none, the built-in ones) and these.
    pub(crate) fn new(extra_roots: &[CertificateDer<'static>]) -> Result<Self, TlsSetupError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        for root in extra_roots {
            roots.add(root.clone()).map_err(TlsSetupError::TrustBundle)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build()?;
        Ok(Self { provider, verifier, shared: Mutex::default() })
    }

    /// The one configuration for these settings.
    pub(crate) fn get(&self, settings: TlsSettings) -> Result<Arc<SharedTls>, TlsSetupError> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = shared.get(&settings) {
            return Ok(found.clone());
        }
        let verifier: Arc<dyn ServerCertVerifier> = if settings.validate {
            self.verifier.clone()
        } else {
            Arc::new(AcceptAny { schemes: self.provider.signature_verification_algorithms.supported_schemes() })
        };
        let mut config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone())
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // A resumed session shows no certificate, so it would hide the very thing that is watched.
        config.resumption = Resumption::disabled();
        let made = Arc::new(SharedTls { config, verifier });
        shared.insert(settings, made.clone());
        Ok(made)
    }
}

/// The outcome of a handshake. The certificate's expiry is known also if the handshake failed for its sake.
pub(crate) struct Handshake {
    /// The encrypted stream, or why there is none.
    pub stream: Result<Box<TlsStream<TcpStream>>, Reason>,
    /// End of the leaf certificate's validity, in Unix seconds.
    pub leaf_not_after: Option<i64>,
}

impl SharedTls {
    /// Shakes hands on a fresh connection. The certificate's expiry lands in `leaf` as soon as it is seen.
    pub(crate) async fn connect(&self, name: ServerName<'static>, tcp: TcpStream) -> Handshake {
        let recorder = Arc::new(Recorder { inner: self.verifier.clone(), leaf_not_after: OnceLock::new() });
        let mut config = self.config.clone();
        config.dangerous().set_certificate_verifier(recorder.clone());
        let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
        Handshake {
            stream: stream.map(Box::new).map_err(|e| handshake_reason(&e)),
            leaf_not_after: recorder.leaf_not_after.get().copied(),
        }
    }

    /// Whether both are one configuration.
    #[cfg(test)]
    fn is(self: &Arc<Self>, other: &Arc<Self>) -> bool {
        Arc::ptr_eq(self, other)
    }
}

/// Whole days from now until then, negative in the past.
pub(crate) fn days_until(unix_seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64);
    (unix_seconds - now).div_euclid(86_400)
}

/// The verifier of one connection: passes everything on and remembers the leaf's expiry.
#[derive(Debug)]
struct Recorder {
    inner: Arc<dyn ServerCertVerifier>,
    leaf_not_after: OnceLock<i64>,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut parser = x509_parser::certificate::X509CertificateParser::new().with_deep_parse_extensions(false);
        if let Ok((_, leaf)) = parser.parse(end_entity) {
            let _ = self.leaf_not_after.set(leaf.validity().not_after.timestamp());
        }
        self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.inner.root_hint_subjects()
    }
}

/// `validateTLS: false`: whatever the server shows is taken, also certificates too odd to check a signature with.
#[derive(Debug)]
struct AcceptAny {
    schemes: Vec<SignatureScheme>,
}

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

fn handshake_reason(error: &io::Error) -> Reason {
    let Some(tls) = error.get_ref().and_then(|e| e.downcast_ref::<Error>()) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => Reason::TlsHandshake,
            _ => stream_reason(error),
        };
    };
    let Error::InvalidCertificate(fault) = tls else {
        return Reason::TlsHandshake;
    };
    match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Reason::TlsExpired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Reason::TlsNotYetValid,
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Reason::TlsUntrusted,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Reason::TlsWrongHost,
        // A self-signed certificate as most tools make it is marked as an authority; to people it is untrusted.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => Reason::TlsUntrusted,
        _ => Reason::TlsInvalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_settings_share_and_unequal_never_do() {
        let configs = TlsConfigs::new(&[]).unwrap();
        let strict = configs.get(TlsSettings { validate: true }).unwrap();
        let lax = configs.get(TlsSettings { validate: false }).unwrap();
        assert!(strict.is(&configs.get(TlsSettings { validate: true }).unwrap()));
        assert!(lax.is(&configs.get(TlsSettings { validate: false }).unwrap()));
        assert!(!strict.is(&lax));
    }

    #[test]
    fn days_are_floored() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
        assert_eq!(days_until(now + 86_400 * 3 + 60), 3);
        assert_eq!(days_until(now - 60), -1);
    }
}
