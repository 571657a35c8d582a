//! The connection to the Engine, and the version of its API that is spoken.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bollard::errors::Error as BollardError;
use bollard::{API_DEFAULT_VERSION, Docker as Client, body_full};
use bytes::Bytes;

use super::address::Address;
use super::tls::{self, TlsFailure};
use crate::error::{Effect, EffectError};

/// Seconds after which bollard gives up. Deadlines are the gate's; this only has to be longer than any.
const CLIENT_TIMEOUT_S: u64 = 900;

/// The Engine at one address. Nothing is connected until the first call, so that the control plane can
/// start before the Engine.
pub(super) struct Session {
    address: Address,
    client: Mutex<Option<Client>>,
}

impl Session {
    pub fn new(address: Address) -> Self {
        Self { address, client: Mutex::new(None) }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Client>> {
        // A client is put in whole or not at all, so a panic elsewhere doesn't spoil it.
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client that speaks the version that was agreed on. It is agreed on at the first call and again
    /// after [`Session::forget`]. Failing is always transient: the call itself was not sent.
    pub async fn client(&self, call: &'static str) -> Effect<Client> {
        if let Some(client) = self.slot().clone() {
            return Ok(client);
        }
        // Two first calls at once negotiate twice, to the same end.
        let client = match self.connect() {
            Ok(client) => client.negotiate_version().await,
            Err(Unconnected::TlsFailure(trouble)) => return Err(EffectError::transient(call, trouble)),
            Err(Unconnected::Client(error)) => Err(error),
        };
        let client = client.map(|client| pinned(client, None)).map_err(|error| self.never_sent(call, error))?;
        *self.slot() = Some(client.clone());
        Ok(client)
    }

    /// The Engine was away or was exchanged: its version is asked for again.
    pub fn forget(&self) {
        *self.slot() = None;
    }

    fn connect(&self) -> Result<Client, Unconnected> {
        match &self.address {
            Address::Unix(path) => {
                Client::connect_with_unix(path, CLIENT_TIMEOUT_S, API_DEFAULT_VERSION).map_err(Unconnected::Client)
            }
            Address::Tls(place) => tls::client(place, CLIENT_TIMEOUT_S).map_err(Unconnected::TlsFailure),
        }
    }

    /// What kept a request from being sent, where more is known than the error itself tells.
    pub fn trouble(&self, error: &BollardError) -> Option<TlsFailure> {
        match &self.address {
            Address::Unix(_) => None,
            Address::Tls(place) => tls::trouble(place, error),
        }
    }

    fn never_sent(&self, call: &'static str, error: BollardError) -> EffectError {
        match self.trouble(&error) {
            Some(trouble) => EffectError::transient(call, trouble),
            None => EffectError::transient(call, error),
        }
    }
}

enum Unconnected {
    Client(BollardError),
    TlsFailure(TlsFailure),
}

/// The client with a body of our own in every request: for fields that bollard's models don't have.
pub(super) fn with_body(client: Client, body: Bytes) -> Client {
    pinned(client, Some(body))
}

/// bollard negotiates a version but never puts it into the path; an Engine without one in the path
/// speaks its newest.
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
