//! Certificate authorities of the tests' own, and directories as an Engine and its client have them.

#![expect(clippy::missing_panics_doc, reason = "a harness panics where its test would fail")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use tempfile::TempDir;

/// A certificate authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// The holder of a certificate.
#[derive(Debug, Clone, Copy)]
enum Purpose {
    Client,
    Server,
}

impl Authority {
    /// A new one.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "each has a key of its own")]
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, "a CA of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("it signs itself"))
    }

    /// A directory with a client's three files, which trusts this authority.
    #[must_use]
    pub fn client(&self) -> TempDir {
        let dir = TempDir::with_prefix("hostplane-certificates-").expect("a temporary directory");
        self.write(dir.path(), &self.params("hostplane", Purpose::Client));
        dir
    }

    /// The same with a certificate that has expired.
    #[must_use]
    pub fn expired_client(&self) -> TempDir {
        let dir = TempDir::with_prefix("hostplane-certificates-").expect("a temporary directory");
        self.write(dir.path(), &expired(self.params("hostplane", Purpose::Client)));
        dir
    }

    /// A directory with a server's three files, made out to a name or an address.
    #[must_use]
    pub fn server(&self, host: &str) -> TempDir {
        let dir = TempDir::with_prefix("hostplane-certificates-").expect("a temporary directory");
        self.write(dir.path(), &self.params(host, Purpose::Server));
        dir
    }

    /// The same with a certificate that has expired.
    #[must_use]
    pub fn expired_server(&self, host: &str) -> TempDir {
        let dir = TempDir::with_prefix("hostplane-certificates-").expect("a temporary directory");
        self.write(dir.path(), &expired(self.params(host, Purpose::Server)));
        dir
    }

    /// Puts this authority's certificate into a directory, as the one that is trusted there.
    pub fn trust(&self, dir: &Path) {
        fs::write(dir.join("ca.pem"), self.0.pem()).expect("a file");
    }

    #[expect(clippy::unused_self, reason = "reads as what an authority does")]
    fn params(&self, name: &str, purpose: Purpose) -> CertificateParams {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.extended_key_usages = vec![match purpose {
            Purpose::Client => ExtendedKeyUsagePurpose::ClientAuth,
            Purpose::Server => ExtendedKeyUsagePurpose::ServerAuth,
        }];
        params
    }

    /// Writes `ca.pem`, `cert.pem` and `key.pem`.
    fn write(&self, dir: &Path, params: &CertificateParams) {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("it signs");
        self.trust(dir);
        fs::write(dir.join("cert.pem"), certificate.pem()).expect("a file");
        fs::write(dir.join("key.pem"), key.serialize_pem()).expect("a file");
        fs::set_permissions(dir.join("key.pem"), fs::Permissions::from_mode(0o600)).expect("a mode");
    }
}

fn expired(mut params: CertificateParams) -> CertificateParams {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
    params
}
