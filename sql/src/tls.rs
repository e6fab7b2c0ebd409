//! `sslmode` as libpq means it, on rustls with ring.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::settings::SettingsError;

/// How much of the server's certificate is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// Encryption only (`prefer`, `require` without a root certificate).
    Nothing,
    /// The chain, not the name (`verify-ca`, `require` with a root certificate).
    Chain,
    /// The chain and the name (`verify-full`).
    ChainAndName,
}

/// The files that a DSN names.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// `sslrootcert`; `system` or absent: the machine's trust store.
    pub root: Option<String>,
    /// `sslcert`.
    pub cert: Option<String>,
    /// `sslkey`.
    pub key: Option<String>,
}

/// Makes the configuration that all connections share.
pub(crate) fn client_config(check: Check, files: &Files) -> Result<ClientConfig, SettingsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match check {
        Check::Nothing => Arc::new(Lenient { provider: provider.clone(), chain: None }),
        Check::Chain | Check::ChainAndName => {
            let roots = Arc::new(roots(files.root.as_deref())?);
            let webpki = WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
                .build()
                .map_err(|error| SettingsError(format!("sslrootcert cannot be used: {error}")))?;
            if check == Check::Chain {
                Arc::new(Lenient { provider: provider.clone(), chain: Some(webpki) })
            } else {
                webpki
            }
        }
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| SettingsError(format!("TLS cannot be used: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    match (&files.cert, &files.key) {
        (Some(cert), Some(key)) => {
            let chain = certificates("sslcert", cert)?;
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| SettingsError(format!("sslkey \"{key}\" cannot be read: {error}")))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| SettingsError(format!("sslcert and sslkey cannot be used: {error}")))
        }
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(_), None) => Err(SettingsError("sslcert needs sslkey".to_owned())),
        (None, Some(_)) => Err(SettingsError("sslkey needs sslcert".to_owned())),
    }
}

fn certificates(key: &str, file: &str) -> Result<Vec<CertificateDer<'static>>, SettingsError> {
    let fault = |error: &dyn std::fmt::Display| SettingsError(format!("{key} \"{file}\" cannot be read: {error}"));
    let found: Vec<_> = CertificateDer::pem_file_iter(Path::new(file))
        .map_err(|error| fault(&error))?
        .collect::<Result<_, _>>()
        .map_err(|error| fault(&error))?;
    if found.is_empty() { Err(fault(&"it holds no certificate")) } else { Ok(found) }
}

fn roots(file: Option<&str>) -> Result<RootCertStore, SettingsError> {
    let mut store = RootCertStore::empty();
    if let Some(file) = file.filter(|&file| file != "system") {
        for certificate in certificates("sslrootcert", file)? {
            store
                .add(certificate)
                .map_err(|error| SettingsError(format!("sslrootcert \"{file}\" cannot be used: {error}")))?;
        }
        return Ok(store);
    }
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if store.is_empty() {
        return Err(SettingsError(
            "this machine has no trust store: set sslrootcert to the server's authority".to_owned(),
        ));
    }
    Ok(store)
}

/// Checks the chain only, or nothing at all; the handshake's signature is checked in any case.
#[derive(Debug)]
struct Lenient {
    provider: Arc<CryptoProvider>,
    chain: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is checked last: everything else has passed.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
