//! TLS connections to an Engine, and explanations of their failures.
//!
//! A refused certificate is transient, as a renewed one resolves it: jobs keep waiting as for an Engine that is down.
//! Each new session reads the files again.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use bollard::errors::Error as BollardError;
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker as Client};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{AlertDescription, CertificateError, Error as TlsError};
use tokio::time::timeout;
use tower::{Service, ServiceExt};

use super::address::Endpoint;
use super::certificates::{BadCertificates, Certificates};

/// Time limit of connecting, handshake included: less than a ping's deadline, so that the error names the cause.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(2_500);
/// Time for which an idle connection is kept: less than after which firewalls drop it.
const IDLE_LIMIT: Duration = Duration::from_secs(45);
/// Most idle connections kept; there may be more in use.
const IDLE_CONNECTIONS: usize = 8;
/// Interval of TCP keepalive probes on a silent connection.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Failure to reach an Engine behind TLS. No request was sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsFailure {
    #[error("the certificates for the Docker Engine at {endpoint} can't be used: {source}")]
    Files { endpoint: String, source: BadCertificates },
    #[error("the Docker Engine at {endpoint} can't be reached: {why}")]
    Unreachable { endpoint: String, why: String },
    #[error("no TLS with the Docker Engine at {endpoint}: {why}")]
    Tls { endpoint: String, why: String },
}

/// Builds a client for the Engine, with its own pool of connections.
pub(super) fn client(endpoint: &Endpoint, timeout_s: u64) -> Result<Client, TlsFailure> {
    let config = Certificates::read(&endpoint.certificates)
        .map_err(|source| TlsFailure::Files { endpoint: endpoint.to_string(), source })?;
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(KEEPALIVE));
    let tls = HttpsConnectorBuilder::new().with_tls_config((*config).clone()).https_only().enable_http1();
    let connector = tls.wrap_connector(tcp);
    let connector = tower::service_fn(move |uri| {
        let connecting = connector.clone().oneshot(uri);
        Box::pin(async move { timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or_else(|_| Err(late().into())) })
    });
    let http = HttpClient::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_LIMIT)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .build(connector);
    let transport = move |request: BollardRequest| {
        let mut http = http.clone();
        async move { http.call(request).await.map_err(BollardError::from) }
    };
    let address = endpoint.to_string().replacen("tcp://", "https://", 1);
    Client::connect_with_custom_transport(transport, Some(address), timeout_s, API_DEFAULT_VERSION)
        .map_err(|error| TlsFailure::Unreachable { endpoint: endpoint.to_string(), why: error.to_string() })
}

fn late() -> io::Error {
    let message = format!("no connection within {} ms", CONNECT_TIMEOUT.as_millis());
    io::Error::new(io::ErrorKind::TimedOut, message)
}

/// Explains an error that kept a request from being sent; `None` for any other.
pub(super) fn connect_failure(endpoint: &Endpoint, error: &BollardError) -> Option<TlsFailure> {
    let BollardError::HyperLegacyError { err } = error else { return None };
    let (at, is_connect) = (endpoint.to_string(), err.is_connect());
    match tls_error(err) {
        Some(tls) => Some(TlsFailure::Tls { endpoint: at, why: explanation(endpoint, tls, is_connect)? }),
        None if is_connect => Some(TlsFailure::Unreachable { endpoint: at, why: innermost(err) }),
        None => None,
    }
}

/// Names the cause and the remedy. With TLS 1.3 an Engine refuses our certificate only after our side of the handshake,
/// in place of an answer, without having read a request.
fn explanation(endpoint: &Endpoint, error: &TlsError, is_connect: bool) -> Option<String> {
    use AlertDescription as A;
    let (host, dir) = (endpoint.host(), endpoint.certificates.display());
    let why = match error {
        TlsError::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "its certificate has expired; renew it there".to_owned()
        }
        TlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!("its certificate is not made out to {host}; make one with subjectAltName {host}"),
        TlsError::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            format!(
                "its certificate was not signed by the CA in {dir}/ca.pem; if that Engine is yours, give it one that is"
            )
        }
        TlsError::InvalidCertificate(other) => format!("its certificate is refused: {other}"),
        TlsError::AlertReceived(A::CertificateExpired) => {
            format!("it says that our certificate has expired; renew cert.pem and key.pem in {dir}")
        }
        TlsError::AlertReceived(
            alert @ (A::BadCertificate
            | A::UnknownCA
            | A::CertificateUnknown
            | A::CertificateRevoked
            | A::UnsupportedCertificate
            | A::CertificateRequired
            | A::NoCertificate
            | A::AccessDenied
            | A::DecryptError),
        ) => format!(
            "it refuses our certificate ({alert:?}): it is not signed by the CA of that Engine (--tlscacert), not made \
             for clients, or has expired; replace cert.pem and key.pem in {dir}"
        ),
        TlsError::InvalidMessage(_) if is_connect => {
            "what answers there does not speak TLS; start that Engine with --tlsverify".to_owned()
        }
        other if is_connect => other.to_string(),
        // In the middle of an answer the request may have been done.
        _ => return None,
    };
    Some(why)
}

/// Finds the TLS layer's error among the causes.
fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a TlsError> {
    causes(error).find_map(|error| error.downcast_ref())
}

fn innermost(error: &(dyn StdError + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

/// Iterates over an error and its causes.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), below)
}

/// Returns the cause of an error; the error that an I/O error wraps is not among its sources.
fn below<'a>(error: &&'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    let error: &'a (dyn StdError + 'static) = *error;
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}
