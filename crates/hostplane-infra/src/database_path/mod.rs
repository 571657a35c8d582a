//! Network path on which a host's sites reach the database server.
//!
//! The control plane reaches the server on another path, so it can answer here and be out of every site's reach. The
//! question is asked on a network made like a site's, by a container that no owner has anything to do with.

mod closed;
mod container;
mod gated;

use async_trait::async_trait;

pub use closed::{ClosedPath, PathFault};
pub use container::{ContainerPath, PathSettings};
pub use gated::GatedPath;

use crate::error::Effect;

/// The name of the question in errors.
const CALL: &str = "database_path.ping";

/// Name under which a site's container knows its own host.
pub const HOST_NAME: &str = "host.docker.internal";

/// State of a path that is not known to be closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathState {
    /// The server answers.
    Open,
    /// The question can't be asked, for this reason. That says nothing about the path.
    Unwatched(String),
}

/// The path from a host's sites to the database server.
#[async_trait]
pub trait DatabasePath: Send + Sync {
    /// Asks the server for an answer, as a site does. `Transient` with a [`ClosedPath`] as its cause when the sites
    /// get none.
    async fn ping(&self) -> Effect<PathState>;
}
