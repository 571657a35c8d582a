//! TLS with a control plane: the CAs that may sign its certificate, and explanations of failures.

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{CertificateError, ClientConfig, Error as TlsError, RootCertStore};

/// Longest time to connect.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// An unusable file of a CA.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustError {
    #[error("the CA's certificate can't be read from {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: pem::Error },
    #[error("{} holds no certificate in PEM form", .0.display())]
    Empty(PathBuf),
    #[error("the CA's certificate in {} can't be used: {source}", path.display())]
    Unusable { path: PathBuf, source: TlsError },
    #[error("TLS can't be set up: {0}")]
    Setup(TlsError),
}

/// Connects to `http://` and `https://`. With a file, its CAs alone are trusted; without, the public ones.
pub(super) fn connector(ca_file: Option<&Path>) -> Result<HttpsConnector<HttpConnector>, TrustError> {
    let roots = match ca_file {
        Some(file) => cas(file)?,
        None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
    };
    // Explicit, as other crates may compile in more providers.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TrustError::Setup)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_PATIENCE));
    Ok(HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp))
}

/// The CAs in a file.
pub(crate) fn cas(path: &Path) -> Result<RootCertStore, TrustError> {
    let unreadable = |source| TrustError::Unreadable { path: path.to_owned(), source };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        let added = roots.add(certificate.map_err(unreadable)?);
        added.map_err(|source| TrustError::Unusable { path: path.to_owned(), source })?;
    }
    if roots.is_empty() { Err(TrustError::Empty(path.to_owned())) } else { Ok(roots) }
}

/// Text of the innermost cause, as the outer ones repeat the address; of a refused certificate also the remedy.
pub(super) fn why(error: &(dyn StdError + 'static)) -> String {
    let causes = || std::iter::successors(Some(error), |error| below(*error));
    match causes().find_map(|error| error.downcast_ref()) {
        Some(TlsError::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)) => {
            "its certificate is not signed by a CA that is trusted here; if it is yours, name that CA's certificate with \
             --ca-file FILE (HOSTPLANE_CA_FILE)"
                .to_owned()
        }
        Some(TlsError::InvalidMessage(_)) => "what answers there does not speak TLS".to_owned(),
        Some(other) => other.to_string(),
        None => causes().last().map(ToString::to_string).unwrap_or_default(),
    }
}

/// The cause of an error; the one that an I/O error wraps is not among its sources.
fn below<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use hostplane_testing::certificates::Authority;
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_file_without_a_usable_ca_is_named() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("ca.pem");
        connector(None).expect("the public CAs");
        Authority::new().trust(dir.path());
        connector(Some(&path)).expect("a CA");
        let bad = "-----BEGIN CERTIFICATE-----\naGk=\n-----END CERTIFICATE-----\n";
        for text in [None, Some(""), Some("words"), Some(bad)] {
            match text {
                Some(text) => fs::write(&path, text).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let error = connector(Some(&path)).expect_err("no CA").to_string();
            assert!(error.contains(&path.display().to_string()), "{text:?}: {error}");
        }
    }
}
