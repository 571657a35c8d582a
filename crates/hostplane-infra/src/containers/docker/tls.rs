//! The connections to an Engine behind TLS, and what is wrong with one, in words.
//!
//! A refused certificate is no refusal of what was asked: a renewed one mends it, so what waits for the Engine
//! waits on, as for one that is down. The files are read again at each new session.

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

/// How long connecting may take, with the handshake: less than the deadline of a ping, so that the error says
/// what was the matter.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(2_500);
/// How long a connection that nobody uses is kept: less than what firewalls on the way forget it after.
const IDLE: Duration = Duration::from_secs(45);
/// Connections that are kept. More are made when they are needed.
const KEPT: usize = 8;
/// Between two looks whether the other end of a silent connection is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Why an Engine behind TLS was not asked. It was sent nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsFailure {
    #[error("the certificates for the Docker Engine at {place} can't be used: {source}")]
    Files { place: String, source: BadCertificates },
    #[error("the Docker Engine at {place} can't be reached: {why}")]
    Unreachable { place: String, why: String },
    #[error("no TLS with the Docker Engine at {place}: {why}")]
    Tls { place: String, why: String },
}

/// A client for the Engine, with a pool of connections of its own.
pub(super) fn client(place: &Endpoint, patience_s: u64) -> Result<Client, TlsFailure> {
    let config = Certificates::read(&place.certificates)
        .map_err(|source| TlsFailure::Files { place: place.to_string(), source })?;
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
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(KEPT)
        .build(connector);
    let transport = move |request: BollardRequest| {
        let mut http = http.clone();
        async move { http.call(request).await.map_err(BollardError::from) }
    };
    let address = place.to_string().replacen("tcp://", "https://", 1);
    Client::connect_with_custom_transport(transport, Some(address), patience_s, API_DEFAULT_VERSION)
        .map_err(|error| TlsFailure::Unreachable { place: place.to_string(), why: error.to_string() })
}

fn late() -> io::Error {
    let message = format!("no connection within {} ms", CONNECT_TIMEOUT.as_millis());
    io::Error::new(io::ErrorKind::TimedOut, message)
}

/// What kept a request from being sent, if that is what the error is about.
pub(super) fn trouble(place: &Endpoint, error: &BollardError) -> Option<TlsFailure> {
    let BollardError::HyperLegacyError { err } = error else { return None };
    let (at, is_connect) = (place.to_string(), err.is_connect());
    match tls_error(err) {
        Some(tls) => Some(TlsFailure::Tls { place: at, why: in_words(place, tls, is_connect)? }),
        None if is_connect => Some(TlsFailure::Unreachable { place: at, why: innermost(err) }),
        None => None,
    }
}

/// What is wrong and what helps. With TLS 1.3 an Engine that refuses our certificate says so only after our side
/// of the handshake is over, in the place of an answer; it has read no request then.
fn in_words(place: &Endpoint, error: &TlsError, is_connect: bool) -> Option<String> {
    use AlertDescription as A;
    let (host, dir) = (place.host(), place.certificates.display());
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
        // In the middle of an answer it says nothing about what became of the request.
        _ => return None,
    };
    Some(why)
}

/// The error of the TLS layer, however it is wrapped.
fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a TlsError> {
    causes(error).find_map(|error| error.downcast_ref())
}

fn innermost(error: &(dyn StdError + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

/// An error and what lies below it.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), below)
}

/// What an I/O error wraps is not among its sources.
fn below<'a>(error: &&'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    let error: &'a (dyn StdError + 'static) = *error;
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}
