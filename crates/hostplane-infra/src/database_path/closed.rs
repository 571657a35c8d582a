//! A closed path: its fault in words, and the repair to type.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::CALL;
use crate::error::EffectError;

/// Fault of a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PathFault {
    /// The server's host has the address, and packets to it get no answer.
    Dropped,
    /// The server is on the sites' host, which no longer has the address; it was in a network with this prefix length.
    AddressGone {
        /// The prefix length.
        prefix: u8,
    },
    /// Nothing listens at the address.
    Refused,
    /// The server takes the connection and says nothing.
    Silent,
    /// The server answers with an error instead of asking for a password.
    Denied(String),
    /// No packet gets there, for this reason.
    Unreachable(String),
}

/// A path on which sites get no answer from the database server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedPath {
    /// The fault.
    pub fault: PathFault,
    /// The server's address on the sites' own host; `None` if the server is elsewhere.
    pub on_host: Option<Ipv4Addr>,
    /// `host:port` as sites have it.
    pub server: String,
    /// The common prefix of the bridges that the sites are on.
    pub bridges: String,
}

impl ClosedPath {
    /// The closed path that an error is about.
    #[must_use]
    pub fn of(error: &EffectError) -> Option<&Self> {
        match error {
            EffectError::Transient { source, .. } => source.downcast_ref(),
            _ => None,
        }
    }

    fn port(&self) -> &str {
        self.server.rsplit_once(':').map_or("", |(_, port)| port)
    }

    /// The address in words.
    fn place(&self) -> String {
        match self.on_host {
            Some(address) => format!("{address}:{}", self.port()),
            None => self.server.clone(),
        }
    }

    fn reason(&self) -> String {
        match &self.fault {
            PathFault::Dropped if self.on_host.is_some() => "a firewall of the host keeps the sites out".to_owned(),
            PathFault::Dropped => "nothing comes back".to_owned(),
            PathFault::AddressGone { .. } => {
                "the host has this address no more, as the Engine's default bridge is gone (starting a second `dockerd \
                 --bridge=none` removes it)"
                    .to_owned()
            }
            PathFault::Refused => "nothing listens there, or a firewall rejects it".to_owned(),
            PathFault::Silent => "it takes connections and doesn't answer".to_owned(),
            PathFault::Denied(message) => format!("it answers with: {message}"),
            PathFault::Unreachable(why) => why.clone(),
        }
    }

    /// The command that opens the path, or where to search.
    #[must_use]
    pub fn repair(&self) -> String {
        let (bridges, port) = (&self.bridges, self.port());
        match (&self.fault, self.on_host) {
            (PathFault::Dropped, Some(address)) => format!(
                "ufw allow in on {bridges}+ to {address} port {port} proto tcp   # without ufw: accept interfaces \
                 {bridges}* to {address}, TCP port {port}, in the firewall's input chain"
            ),
            (PathFault::AddressGone { prefix }, Some(address)) => format!(
                "ip link add docker0 type bridge; ip address add {address}/{prefix} dev docker0; ip link set docker0 up   \
                 # or restart the Engine, which restarts every container"
            ),
            (PathFault::Refused, Some(_)) => {
                "restart MariaDB's container (MARIADB_CONTAINER) with `docker restart`, and keep the Engine's \
                 `userland-proxy` on"
                    .to_owned()
            }
            (PathFault::Denied(_) | PathFault::Silent, _) => {
                "see the database server's log, and its limits for connections".to_owned()
            }
            _ => "let the sites' host reach the database server, or see the setting SITE_DB_HOST".to_owned(),
        }
    }
}

impl fmt::Display for ClosedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no site reaches the database server at {}: {}", self.place(), self.reason())
    }
}

impl std::error::Error for ClosedPath {}

impl From<ClosedPath> for EffectError {
    fn from(closed: ClosedPath) -> Self {
        Self::transient(CALL, closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(fault: PathFault) -> ClosedPath {
        ClosedPath {
            fault,
            on_host: Some(Ipv4Addr::new(172, 17, 0, 1)),
            server: "host.docker.internal:3306".to_owned(),
            bridges: "hpabcde".to_owned(),
        }
    }

    #[test]
    fn a_firewall_is_named_with_its_rule() {
        let dropped = closed(PathFault::Dropped);
        assert!(dropped.to_string().contains("172.17.0.1:3306: a firewall of the host"), "{dropped}");
        let rule = "ufw allow in on hpabcde+ to 172.17.0.1 port 3306 proto tcp ";
        assert!(dropped.repair().starts_with(rule), "{}", dropped.repair());
    }

    #[test]
    fn a_bridge_that_is_gone_is_named_with_its_repair() {
        let gone = closed(PathFault::AddressGone { prefix: 24 });
        assert!(gone.to_string().contains("default bridge is gone"), "{gone}");
        let commands =
            "ip link add docker0 type bridge; ip address add 172.17.0.1/24 dev docker0; ip link set docker0 up ";
        assert!(gone.repair().starts_with(commands), "{}", gone.repair());
    }

    #[test]
    fn a_server_elsewhere_blames_no_firewall_of_this_host() {
        let server = "db.example.com:3306".to_owned();
        let elsewhere = ClosedPath { on_host: None, server, ..closed(PathFault::Dropped) };
        assert!(elsewhere.to_string().contains("db.example.com:3306: nothing comes back"), "{elsewhere}");
        assert!(elsewhere.repair().contains("SITE_DB_HOST"), "{}", elsewhere.repair());
    }

    #[test]
    fn an_error_keeps_its_closed_path() {
        let error = EffectError::from(closed(PathFault::Refused));
        assert_eq!(ClosedPath::of(&error), Some(&closed(PathFault::Refused)));
        assert_eq!(ClosedPath::of(&EffectError::transient_message(CALL, "late")), None);
    }
}
