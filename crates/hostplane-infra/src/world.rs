//! The outside world, as one value that the engine gets.

use std::sync::Arc;

use hostplane_domain::ids::HostId;

use crate::clock::Clock;
use crate::containers::{Containers, GatedContainers};
use crate::database_path::{DatabasePath, GatedPath};
use crate::databases::{Databases, GatedDatabases};
use crate::error::{Dependency, Effect, Rejection};
use crate::gate::Gate;
use crate::probe::{GatedProbe, SiteProbe};
use crate::proxy::{GatedProxy, Proxy};
use crate::wordpress::{GatedWordpress, Wordpress};

/// The outside world behind the gate: the part that all hosts share, and the part of each host.
#[derive(Clone)]
#[non_exhaustive]
pub struct World {
    /// The database server.
    pub databases: Arc<dyn Databases>,
    /// The site probe.
    pub probe: Arc<dyn SiteProbe>,
    /// Time and randomness.
    pub clock: Arc<dyn Clock>,
    local: HostWorld,
}

/// The part of the outside world that one host has.
#[derive(Clone)]
#[non_exhaustive]
pub struct HostWorld {
    /// The host.
    pub id: HostId,
    /// Its container engine.
    pub containers: Arc<dyn Containers>,
    /// Its proxy.
    pub proxy: Arc<dyn Proxy>,
    /// WordPress inside the containers of its sites.
    pub wordpress: Arc<dyn Wordpress>,
    /// The path from its sites to the database server.
    pub database_path: Arc<dyn DatabasePath>,
}

/// Adapters of a world with one host, not yet behind the gate.
pub struct Adapters {
    /// The container engine.
    pub containers: Arc<dyn Containers>,
    /// The database server.
    pub databases: Arc<dyn Databases>,
    /// The proxy.
    pub proxy: Arc<dyn Proxy>,
    /// WordPress inside the sites' containers.
    pub wordpress: Arc<dyn Wordpress>,
    /// The path from the sites to the database server.
    pub database_path: Arc<dyn DatabasePath>,
    /// The site probe.
    pub probe: Arc<dyn SiteProbe>,
    /// Time and randomness.
    pub clock: Arc<dyn Clock>,
}

impl World {
    /// Puts the adapters behind the gate.
    #[must_use]
    pub fn new(adapters: Adapters, gate: Arc<dyn Gate>) -> Self {
        let id = HostId::LOCAL;
        Self {
            local: HostWorld {
                id,
                containers: Arc::new(GatedContainers::new(adapters.containers, id, Arc::clone(&gate))),
                proxy: Arc::new(GatedProxy::new(adapters.proxy, id, Arc::clone(&gate))),
                wordpress: Arc::new(GatedWordpress::new(adapters.wordpress, Arc::clone(&gate))),
                database_path: Arc::new(GatedPath::new(adapters.database_path, id, Arc::clone(&gate))),
            },
            databases: Arc::new(GatedDatabases::new(adapters.databases, Arc::clone(&gate))),
            probe: Arc::new(GatedProbe::new(adapters.probe, gate)),
            clock: adapters.clock,
        }
    }

    /// The part of a host.
    ///
    /// # Errors
    /// `Rejected` for a host that this installation doesn't have. Not `NotFound`: a caller that removes an object
    /// takes that for success.
    pub fn at(&self, host: HostId) -> Effect<&HostWorld> {
        if host == self.local.id {
            return Ok(&self.local);
        }
        let message =
            format!("this installation has no host `{host}`; restore the newest copy of the control database");
        Err(Rejection::Invalid { by: Dependency::Docker(host), message }.into())
    }

    /// The part of the host of an installation that has one.
    #[must_use]
    pub const fn local(&self) -> &HostWorld {
        &self.local
    }

    /// Pings a dependency. The result opens or closes its breaker.
    ///
    /// # Errors
    /// The ping's error. A site has no ping of its own.
    pub async fn ping(&self, dependency: Dependency) -> Effect<()> {
        match dependency {
            Dependency::Docker(host) => self.at(host)?.containers.ping().await,
            Dependency::Mariadb => self.databases.ping().await,
            Dependency::Caddy(host) => self.at(host)?.proxy.ping().await,
            // A path that can't be asked about is not known to be closed.
            Dependency::DatabasePath(host) => self.at(host)?.database_path.ping().await.map(drop),
            Dependency::Site => Ok(()),
        }
    }
}
