//! Connection to the Engine, with a negotiated API version.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bollard::errors::Error as BollardError;
use bollard::{API_DEFAULT_VERSION, Docker as Client, body_full};
use bytes::Bytes;

use super::address::Address;
use super::tls::{self, TlsFailure};
use crate::error::{Effect, EffectError};

/// Seconds after which bollard gives up: longer than any deadline of the gate.
const CLIENT_TIMEOUT_S: u64 = 900;

/// Connection to the Engine at one address. The first call connects, so that the control plane can start before the
/// Engine.
pub(super) struct Session {
    address: Address,
    client: Mutex<Option<Client>>,
}

impl Session {
    pub fn new(address: Address) -> Self {
        Self { address, client: Mutex::new(None) }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Client>> {
        // The value is replaced as a whole, so a panic elsewhere leaves it valid.
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a client with the negotiated version. The first call, and the first after [`Session::forget`],
    /// negotiates. Every error is transient, as the call itself was not sent.
    pub async fn client(&self, call: &'static str) -> Effect<Client> {
        if let Some(client) = self.slot().clone() {
            return Ok(client);
        }
        // Two concurrent first calls both negotiate, with the same result.
        let client = match self.connect() {
            Ok(client) => client.negotiate_version().await,
            Err(SessionError::Tls(failure)) => return Err(EffectError::transient(call, failure)),
            Err(SessionError::Client(error)) => Err(error),
        };
        let client = client.map(|client| pinned(client, None)).map_err(|error| self.never_sent(call, error))?;
        *self.slot() = Some(client.clone());
        Ok(client)
    }

    /// Drops the client, because the Engine was away or was replaced: the next call negotiates again.
    pub fn forget(&self) {
        *self.slot() = None;
    }

    fn connect(&self) -> Result<Client, SessionError> {
        match &self.address {
            Address::Unix(path) => {
                Client::connect_with_unix(path, CLIENT_TIMEOUT_S, API_DEFAULT_VERSION).map_err(SessionError::Client)
            }
            Address::Tls(endpoint) => tls::client(endpoint, CLIENT_TIMEOUT_S).map_err(SessionError::Tls),
        }
    }

    /// The TLS layer's reason why a request was not sent; `None` where the error itself says as much.
    pub fn connect_failure(&self, error: &BollardError) -> Option<TlsFailure> {
        match &self.address {
            Address::Unix(_) => None,
            Address::Tls(endpoint) => tls::connect_failure(endpoint, error),
        }
    }

    fn never_sent(&self, call: &'static str, error: BollardError) -> EffectError {
        match self.connect_failure(&error) {
            Some(failure) => EffectError::transient(call, failure),
            None => EffectError::transient(call, error),
        }
    }
}

/// Failure to build a client.
enum SessionError {
    Client(BollardError),
    Tls(TlsFailure),
}

/// Replaces the body of the client's requests, for fields that bollard's models lack.
pub(super) fn with_body(client: Client, body: Bytes) -> Client {
    pinned(client, Some(body))
}

/// Puts the negotiated version into every path, which bollard doesn't: without it an Engine uses its newest version.
fn pinned(client: Client, body: Option<Bytes>) -> Client {
    let version = client.client_version();
    let prefix = format!("/v{}.{}", version.major_version, version.minor_version);
    client.with_request_modifier(move |mut request| {
        let uri = request.uri();
        let scheme = uri.scheme_str().unwrap_or("unix");
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let rest = uri.path_and_query().map_or("/", |path| path.as_str());
        if let Ok(uri) = format!("{scheme}://{authority}{prefix}{rest}").parse() {
            *request.uri_mut() = uri;
        }
        if let Some(body) = &body {
            *request.body_mut() = body_full(body.clone());
        }
        request
    })
}
