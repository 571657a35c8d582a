//! The connection to the Engine, and the version of its API that is spoken.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bollard::errors::Error as BollardError;
use bollard::{API_DEFAULT_VERSION, Docker as Client, body_full};
use bytes::Bytes;

use crate::error::{Effect, EffectError};

/// Seconds after which bollard gives up. Deadlines are the gate's; this only has to be longer than any.
const CLIENT_TIMEOUT_S: u64 = 900;

/// Why an Engine's address can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// Another scheme than `unix://`.
    #[error("DOCKER_HOST is {0:?}: only Unix sockets (unix:///path) are supported yet")]
    Unsupported(String),
    /// A relative or an empty path.
    #[error("DOCKER_HOST is {0:?}: the socket's path must be absolute (unix:///path)")]
    RelativePath(String),
}

/// The Engine at one address. Nothing is connected until the first call, so that the control plane can
/// start before the Engine.
pub(super) struct Session {
    path: String,
    client: Mutex<Option<Client>>,
}

impl Session {
    /// For an address as in `DOCKER_HOST`.
    pub fn new(docker_host: &str) -> Result<Self, ConnectError> {
        let path = docker_host
            .strip_prefix("unix://")
            .ok_or_else(|| ConnectError::Unsupported(without_credentials(docker_host)))?;
        if !path.starts_with('/') {
            return Err(ConnectError::RelativePath(docker_host.to_owned()));
        }
        Ok(Self { path: path.to_owned(), client: Mutex::new(None) })
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
        let client = negotiate(&self.path).await.map_err(|error| EffectError::transient(call, error))?;
        *self.slot() = Some(client.clone());
        Ok(client)
    }

    /// The Engine was away or was exchanged: its version is asked for again.
    pub fn forget(&self) {
        *self.slot() = None;
    }
}

async fn negotiate(path: &str) -> Result<Client, BollardError> {
    let client = Client::connect_with_unix(path, CLIENT_TIMEOUT_S, API_DEFAULT_VERSION)?.negotiate_version().await?;
    Ok(pinned(client, None))
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
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let rest = uri.path_and_query().map_or("/", |path| path.as_str());
        if let Ok(uri) = format!("unix://{authority}{prefix}{rest}").parse() {
            *request.uri_mut() = uri;
        }
        if let Some(body) = &body {
            *request.body_mut() = body_full(body.clone());
        }
        request
    })
}

fn without_credentials(address: &str) -> String {
    match (address.split_once("://"), address.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_absolute_unix_sockets_are_accepted_and_nothing_is_connected() {
        assert!(Session::new("unix:///no/such/socket").is_ok());
        let refused = |address| Session::new(address).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refused("tcp://10.0.0.1:2376").contains("only Unix sockets"));
        assert!(refused("/var/run/docker.sock").contains("only Unix sockets"));
        assert!(refused("unix://docker.sock").contains("absolute"));
        assert!(!refused("ssh://user:secret@host").contains("secret"));
    }
}
