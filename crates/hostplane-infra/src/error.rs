//! Errors of outside calls: exactly four kinds.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use hostplane_domain::ids::HostId;
use ipnet::Ipv4Net;

/// The result of an outside call.
pub type Effect<T> = Result<T, EffectError>;

/// Part of the outside world that can be down as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dependency {
    /// The Docker Engine of a host.
    Docker(HostId),
    /// The database server of the sites.
    Mariadb,
    /// The proxy of a host.
    Caddy(HostId),
    /// The network path from a host's sites to the database server.
    DatabasePath(HostId),
    /// The site itself: the programs in its own containers.
    Site,
}

impl Dependency {
    /// The Docker Engine of an installation that has one host.
    pub const DOCKER: Self = Self::Docker(HostId::LOCAL);
    /// The proxy of an installation that has one host.
    pub const CADDY: Self = Self::Caddy(HostId::LOCAL);
    /// The path to the database server of an installation that has one host.
    pub const DATABASE_PATH: Self = Self::DatabasePath(HostId::LOCAL);

    /// The same dependency of another host.
    #[must_use]
    pub const fn of(self, host: HostId) -> Self {
        match self {
            Self::Docker(_) => Self::Docker(host),
            Self::Caddy(_) => Self::Caddy(host),
            Self::DatabasePath(_) => Self::DatabasePath(host),
            Self::Mariadb | Self::Site => self,
        }
    }

    /// The stable text form: `waiting_for` in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Docker(_) => "docker",
            Self::Mariadb => "mariadb",
            Self::Caddy(_) => "caddy",
            Self::DatabasePath(_) => "database_path",
            Self::Site => "site",
        }
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Cause of an error, shared so that errors can be cloned.
pub type Source = Arc<dyn StdError + Send + Sync>;

/// Failure of an outside call. No variant ever holds a secret.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EffectError {
    /// Permanent: calling again can't help until an operator changes something.
    #[error("{0}")]
    Rejected(Rejection),
    /// The call's subject doesn't exist.
    #[error("{0} doesn't exist")]
    NotFound(String),
    /// Nothing was changed; calling again may help.
    #[error("{call}: {source}")]
    Transient {
        /// The call's name.
        call: &'static str,
        /// The cause.
        source: Source,
        /// The dependency that is known to be down (its own ping failed), if one is.
        down: Option<Dependency>,
    },
    /// The effect may have happened, or may happen later: observe, then decide.
    #[error("{call}: outcome unknown: {source}")]
    OutcomeUnknown {
        /// The call's name.
        call: &'static str,
        /// The cause.
        source: Source,
    },
}

/// A permanent refusal. The message says how to resolve it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A name that the site needs belongs to another object.
    #[error(
        "the name {name} is taken: a {what} of that name belongs to {owner}; remove or rename it, or choose another name"
    )]
    NameTaken {
        /// `container`, `volume`, `network`, `database`, `route`.
        what: &'static str,
        /// The name.
        name: String,
        /// The owner, described for a message.
        owner: String,
    },
    /// The subnet overlaps with one in use.
    #[error(
        "the subnet {0} overlaps with a network that exists; retry to get another, or set SUBNET_POOL to a free range"
    )]
    SubnetOverlap(Ipv4Net),
    /// No subnet is left.
    #[error("no subnet is free in the pool {0}; destroy a site or set SUBNET_POOL to a larger range")]
    PoolExhausted(String),
    /// A port to publish is taken on the host.
    #[error("a port is taken on the Docker host: {0}")]
    PortTaken(String),
    /// The Engine can't make another network or attach another container.
    #[error("the Docker Engine has no room left: {0}")]
    Capacity(String),
    /// The image isn't on the host.
    #[error("the image {0} is not on the Docker host; build or pull it, or set another")]
    ImageMissing(String),
    /// The proxy refused the configuration.
    #[error("Caddy refuses the configuration: {0}")]
    ConfigRejected(String),
    /// The host name is served by another snippet.
    #[error("the host name {host} is already served by {by}; remove that route or choose another site name")]
    HostTaken {
        /// The host name.
        host: String,
        /// The snippet's file name.
        by: String,
    },
    /// The credentials or privileges don't suffice.
    #[error("access denied by {by}: {message}")]
    AccessDenied {
        /// The dependency that refused.
        by: Dependency,
        /// The dependency's own message, without secrets.
        message: String,
    },
    /// A resource of the site can't be repaired without losing data.
    #[error("{0}")]
    WouldLoseData(String),
    /// Any other request that the dependency calls invalid.
    #[error("{by} refuses: {message}")]
    Invalid {
        /// The dependency that refused.
        by: Dependency,
        /// The dependency's own message, without secrets.
        message: String,
    },
}

impl From<Rejection> for EffectError {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

/// An error that consists of a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Message(pub String);

impl EffectError {
    /// A transient error with a cause.
    pub fn transient(call: &'static str, source: impl StdError + Send + Sync + 'static) -> Self {
        Self::Transient { call, source: Arc::new(source), down: None }
    }

    /// A transient error with a message.
    pub fn transient_message(call: &'static str, message: impl Into<String>) -> Self {
        Self::transient(call, Message(message.into()))
    }

    /// An unknown outcome with a cause.
    pub fn unknown(call: &'static str, source: impl StdError + Send + Sync + 'static) -> Self {
        Self::OutcomeUnknown { call, source: Arc::new(source) }
    }

    /// An unknown outcome with a message.
    pub fn unknown_message(call: &'static str, message: impl Into<String>) -> Self {
        Self::unknown(call, Message(message.into()))
    }

    /// The message and every cause, for an operator's log.
    #[must_use]
    pub fn chain(&self) -> String {
        // The message itself quotes the first cause.
        let below = match self {
            Self::Transient { source, .. } | Self::OutcomeUnknown { source, .. } => source.source(),
            Self::Rejected(_) | Self::NotFound(_) => None,
        };
        with_causes(self.to_string(), below)
    }
}

/// Formats an error and every cause on one line, for an operator's log.
#[must_use]
pub fn chain(error: &dyn StdError) -> String {
    with_causes(error.to_string(), error.source())
}

fn with_causes(mut text: String, first: Option<&dyn StdError>) -> String {
    let mut next = first;
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// Maps `NotFound` to success, for removals.
///
/// # Errors
/// Every other error of the call.
pub fn absent_is_done(result: Effect<()>) -> Effect<()> {
    match result {
        Err(EffectError::NotFound(_)) => Ok(()),
        other => other,
    }
}

/// Maps `NotFound` to `None`, for observations.
///
/// # Errors
/// Every other error of the call.
pub fn absent_is_none<T>(result: Effect<T>) -> Effect<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(EffectError::NotFound(_)) => Ok(None),
        Err(other) => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    #[test]
    fn each_cause_is_listed_once() {
        let layers = || Layer("outer", Some(Box::new(Layer("middle", Some(Box::new(Layer("inner", None)))))));
        assert_eq!(chain(&layers()), "outer: middle: inner");
        let effect = EffectError::transient("docker.ping", layers());
        assert_eq!(effect.chain(), "docker.ping: outer: middle: inner");
        assert_eq!(EffectError::NotFound("it".to_owned()).chain(), "it doesn't exist");
    }
}
