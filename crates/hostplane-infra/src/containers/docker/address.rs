//! Address of an Engine: `DOCKER_HOST`, and `DOCKER_CERT_DIR` for one on another machine.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use super::certificates::{BadCertificates, Certificates};

/// The Engine's port for TLS, by convention.
const DEFAULT_PORT: u16 = 2376;

/// Fault of an Engine's address or of its certificates.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Another scheme than `unix://` and `tcp://`.
    #[error("DOCKER_HOST is {0:?}: expected unix:///path, or tcp://host:2376 with DOCKER_CERT_DIR")]
    Unsupported(String),
    /// A relative or an empty path.
    #[error("DOCKER_HOST is {0:?}: the socket's path must be absolute (unix:///path)")]
    RelativePath(String),
    /// No host, a bad port, or more than a host and a port.
    #[error("DOCKER_HOST is {0:?}: expected tcp://host:port and nothing more, such as tcp://app1.example.com:2376")]
    BadHost(String),
    /// An Engine on another machine without certificates.
    #[error(
        "DOCKER_HOST is {0:?} and DOCKER_CERT_DIR is not set: an Engine without TLS gives its whole network root on its \
         machine; set DOCKER_CERT_DIR to the directory with ca.pem, cert.pem and key.pem (docs/remote-hosts.md)"
    )]
    NoCertificates(String),
    /// The certificates can't be used.
    #[error("DOCKER_CERT_DIR: {0}")]
    Certificates(#[from] BadCertificates),
}

/// Address of an Engine.
#[derive(Debug)]
pub(super) enum Address {
    /// On this machine.
    Unix(String),
    /// Behind TLS.
    Tls(Endpoint),
}

/// An Engine behind TLS.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// A name or an address, without brackets.
    host: String,
    port: u16,
    pub certificates: PathBuf,
}

impl Address {
    /// Parses both settings, and reads the certificates once, so that faults show at the start.
    pub fn parse(docker_host: &str, certificates: Option<&Path>) -> Result<Self, ConnectError> {
        if let Some(path) = docker_host.strip_prefix("unix://") {
            if !path.starts_with('/') {
                return Err(ConnectError::RelativePath(docker_host.to_owned()));
            }
            return Ok(Self::Unix(path.to_owned()));
        }
        let Some(authority) = docker_host.strip_prefix("tcp://") else {
            return Err(ConnectError::Unsupported(without_credentials(docker_host)));
        };
        let (host, port) =
            host_and_port(authority).ok_or_else(|| ConnectError::BadHost(without_credentials(docker_host)))?;
        let directory = certificates.ok_or_else(|| ConnectError::NoCertificates(docker_host.to_owned()))?;
        Certificates::read(directory)?;
        Ok(Self::Tls(Endpoint { host, port, certificates: directory.to_owned() }))
    }
}

impl Endpoint {
    /// The host's name or address, which the Engine's certificate must name.
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Display for Endpoint {
    /// The form of `DOCKER_HOST`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "tcp://{open}{}{close}:{}", self.host, self.port)
    }
}

/// Host of a `tcp://` address in `DOCKER_HOST`; `None` for any other.
#[must_use]
pub fn engine_host(docker_host: &str) -> Option<String> {
    Some(host_and_port(docker_host.strip_prefix("tcp://")?)?.0)
}

fn host_and_port(authority: &str) -> Option<(String, u16)> {
    // Docker's own tools accept one slash at the end.
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':');
    let port = match port {
        None => DEFAULT_PORT,
        Some(digits) => digits.parse().ok().filter(|&port| port != 0)?,
    };
    (!host.is_empty() && host.bytes().all(is_host)).then(|| (host.to_owned(), port))
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

    fn refused(address: &str) -> String {
        Address::parse(address, None).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_socket_is_named_by_an_absolute_path() {
        assert!(Address::parse("unix:///no/such/socket", None).is_ok());
        assert!(refused("unix://docker.sock").contains("absolute"));
        assert!(refused("/var/run/docker.sock").contains("expected unix:///path"));
        assert!(!refused("ssh://user:secret@host").contains("secret"));
    }

    #[test]
    fn another_machine_needs_certificates() {
        let error = refused("tcp://app1:2375");
        assert!(error.contains("tcp://app1:2375") && error.contains("DOCKER_CERT_DIR is not set"), "{error}");
        let error = Address::parse("tcp://app1", Some(Path::new("/no/such/dir"))).unwrap_err().to_string();
        assert!(error.contains("DOCKER_CERT_DIR") && error.contains("/no/such/dir/ca.pem"), "{error}");
    }

    #[test]
    fn hosts_and_ports_are_parsed() {
        let read = |text: &str| host_and_port(text).unwrap();
        assert_eq!(read("app1"), ("app1".to_owned(), 2376));
        assert_eq!(read("app1.example.com:1/"), ("app1.example.com".to_owned(), 1));
        assert_eq!(read("[fd00::1]"), ("fd00::1".to_owned(), 2376));
        assert_eq!(read("[::1]:2000"), ("::1".to_owned(), 2000));
        for address in
            ["", ":2376", "a:0", "a:99999", "a:", "a b", "a/b", "a:1/v1", "u:p@h:1", "[x]:1", "[::1]2", "::1"]
        {
            assert!(refused(&format!("tcp://{address}")).contains("expected tcp://host:port"), "{address}");
        }
        assert!(!refused("tcp://user:secret@host:1").contains("secret"));
    }

    #[test]
    fn only_tcp_addresses_have_a_host() {
        assert_eq!(engine_host("tcp://10.0.0.2:2376").as_deref(), Some("10.0.0.2"));
        assert_eq!(engine_host("unix:///var/run/docker.sock"), None);
    }
}
