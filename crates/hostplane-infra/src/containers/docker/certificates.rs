//! Client certificates for an Engine on another machine: `ca.pem`, `cert.pem`, `key.pem`, as Docker's own tools name
//! them.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use secrecy::zeroize::Zeroizing;

/// Most bytes of a file that are read: enough for any chain.
const FILE_LIMIT: u64 = 1 << 20;
const GROUP_OR_OTHERS: u32 = 0o077;

/// Fault of the certificate files. No variant holds their contents.
#[derive(Debug, thiserror::Error)]
pub enum BadCertificates {
    /// A file is missing or can't be read.
    #[error("can't read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The key's mode lets other users read it.
    #[error("{} can be read by others than its owner: chmod 600 it, and if they may have read it, replace it", .0.display())]
    KeyOpen(PathBuf),
    /// A file lacks the expected PEM block.
    #[error("{} holds no {expected} in PEM form", path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// The expected PEM block.
        expected: &'static str,
    },
    /// The files don't match, or hold unusable keys or certificates.
    #[error("ca.pem, cert.pem and key.pem in {} can't be used: {source}", dir.display())]
    Unusable {
        /// The files' directory.
        dir: PathBuf,
        /// The cause.
        source: rustls::Error,
    },
}

/// Our certificate chain and key, and the CAs that may sign the Engine's.
pub(super) struct Certificates {
    roots: RootCertStore,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Certificates {
    /// Reads the files, which are local and small, and checks that they match.
    pub fn read(dir: &Path) -> Result<Arc<ClientConfig>, BadCertificates> {
        let unusable = |source| BadCertificates::Unusable { dir: dir.to_owned(), source };
        Self::load(dir)?.config().map_err(unusable)
    }

    fn load(dir: &Path) -> Result<Self, BadCertificates> {
        let (ca, cert, key) = (dir.join("ca.pem"), dir.join("cert.pem"), dir.join("key.pem"));
        let mut roots = RootCertStore::empty();
        for root in certificates(&ca)? {
            roots.add(root).map_err(|source| BadCertificates::Unusable { dir: dir.to_owned(), source })?;
        }
        let chain = certificates(&cert)?;
        let text = open(&key, true)?;
        let key = PrivateKeyDer::from_pem_slice(&text)
            .map_err(|_| BadCertificates::NotPem { path: key, expected: "private key without a passphrase" })?;
        Ok(Self { roots, chain, key })
    }

    /// Builds the TLS configuration, which trusts only the given CA and none of the system's.
    fn config(self) -> Result<Arc<ClientConfig>, rustls::Error> {
        // Explicit, as other crates may compile in more providers.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.roots)
            .with_client_auth_cert(self.chain, self.key)?;
        Ok(Arc::new(config))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, BadCertificates> {
    let not_pem = || BadCertificates::NotPem { path: path.to_owned(), expected: "certificate" };
    let text = open(path, false)?;
    let found = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>().map_err(|_| not_pem())?;
    if found.is_empty() { Err(not_pem()) } else { Ok(found) }
}

fn open(path: &Path, private: bool) -> Result<Zeroizing<Vec<u8>>, BadCertificates> {
    let unreadable = |source| BadCertificates::Unreadable { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    // The open file's mode: the path may have been replaced.
    if private && file.metadata().map_err(unreadable)?.permissions().mode() & GROUP_OR_OTHERS != 0 {
        return Err(BadCertificates::KeyOpen(path.to_owned()));
    }
    let mut contents = Zeroizing::new(Vec::new());
    file.take(FILE_LIMIT).read_to_end(&mut contents).map_err(unreadable)?;
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertificateParams, KeyPair};
    use tempfile::TempDir;

    use super::*;

    /// A valid directory with self-signed certificates.
    fn directory() -> TempDir {
        let dir = TempDir::new().unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["it".to_owned()]).unwrap().self_signed(&key).unwrap();
        for name in ["ca.pem", "cert.pem"] {
            fs::write(dir.path().join(name), certificate.pem()).unwrap();
        }
        write_key(&dir, &key);
        dir
    }

    fn write_key(dir: &TempDir, key: &KeyPair) {
        let path = dir.path().join("key.pem");
        fs::write(&path, key.serialize_pem()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn refused(dir: &TempDir) -> String {
        Certificates::read(dir.path()).unwrap_err().to_string()
    }

    #[test]
    fn each_missing_file_is_named() {
        Certificates::read(directory().path()).unwrap();
        for name in ["ca.pem", "cert.pem", "key.pem"] {
            let dir = directory();
            fs::remove_file(dir.path().join(name)).unwrap();
            assert!(refused(&dir).contains(&format!("{name}: No such file")), "{}", refused(&dir));
        }
    }

    #[test]
    fn a_malformed_file_is_named_but_not_quoted() {
        for name in ["ca.pem", "cert.pem", "key.pem"] {
            for contents in ["", "s3cret", "-----BEGIN CERTIFICATE-----\ns3cret\n-----END CERTIFICATE-----\n"] {
                let dir = directory();
                fs::write(dir.path().join(name), contents).unwrap();
                let error = refused(&dir);
                assert!(!error.contains("s3cret") && error.contains(name), "{name}: {error}");
            }
        }
    }

    #[test]
    fn a_key_readable_by_others_is_refused() {
        for mode in [0o640, 0o604, 0o660] {
            let dir = directory();
            fs::set_permissions(dir.path().join("key.pem"), fs::Permissions::from_mode(mode)).unwrap();
            assert!(refused(&dir).contains("key.pem can be read by others than its owner"), "{}", refused(&dir));
        }
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let dir = directory();
        write_key(&dir, &KeyPair::generate().unwrap());
        assert!(refused(&dir).contains("can't be used"), "{}", refused(&dir));
    }
}
