//! A certificate authority for one control plane.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

/// An authority whose files are in a folder.
pub struct Authority {
    dir: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// Makes one and writes `ca.crt`.
    pub fn create(dir: &Path) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "nanomon-e2e");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        fs::write(dir.join("ca.crt"), issuer.pem())?;
        Ok(Self { dir: dir.to_owned(), issuer })
    }

    /// Writes `<file>.crt` and `<file>.key` for a server with these names and addresses.
    pub fn server(&self, file: &str, names: &[&str]) -> Result<()> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, file);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.write(file, &params)
    }

    /// Writes `<file>.crt` and `<file>.key` for a Kubernetes user in these groups.
    pub fn client(&self, file: &str, user: &str, groups: &[&str]) -> Result<()> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, user);
        for group in groups {
            params.distinguished_name.push(DnType::OrganizationName, *group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.write(file, &params)
    }

    /// Writes `<file>.key` and `<file>.pub`, a pair that signs tokens.
    pub fn token_keys(&self, file: &str) -> Result<()> {
        let key = KeyPair::generate()?;
        fs::write(self.dir.join(format!("{file}.key")), key.serialize_pem())?;
        fs::write(self.dir.join(format!("{file}.pub")), key.public_key_pem())?;
        Ok(())
    }

    fn write(&self, file: &str, params: &CertificateParams) -> Result<()> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        fs::write(self.dir.join(format!("{file}.crt")), certificate.pem())?;
        fs::write(self.dir.join(format!("{file}.key")), key.serialize_pem())?;
        Ok(())
    }
}
