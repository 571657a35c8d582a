//! Everything outside, as one value that is handed to the engine.

use std::sync::Arc;

use crate::clock::Clock;
use crate::containers::{Containers, GatedContainers};
use crate::databases::{Databases, GatedDatabases};
use crate::error::{Dependency, Effect};
use crate::gate::Gate;
use crate::probe::{GatedProbe, SiteProbe};
use crate::proxy::{GatedProxy, Proxy};
use crate::wordpress::{GatedWordpress, Wordpress};

/// The outside world. Its fields can only be reached through the gate: [`World::new`] wraps them.
#[derive(Clone)]
#[non_exhaustive]
pub struct World {
    /// The container engine.
    pub containers: Arc<dyn Containers>,
    /// The database server.
    pub databases: Arc<dyn Databases>,
    /// The proxy.
    pub proxy: Arc<dyn Proxy>,
    /// WordPress inside the sites' containers.
    pub wordpress: Arc<dyn Wordpress>,
    /// The site probe.
    pub probe: Arc<dyn SiteProbe>,
    /// Time and chance.
    pub clock: Arc<dyn Clock>,
}

/// The adapters of a world, before they are put behind the gate.
pub struct Adapters {
    /// The container engine.
    pub containers: Arc<dyn Containers>,
    /// The database server.
    pub databases: Arc<dyn Databases>,
    /// The proxy.
    pub proxy: Arc<dyn Proxy>,
    /// WordPress inside the sites' containers.
    pub wordpress: Arc<dyn Wordpress>,
    /// The site probe.
    pub probe: Arc<dyn SiteProbe>,
    /// Time and chance.
    pub clock: Arc<dyn Clock>,
}

impl World {
    /// Puts every adapter behind the gate.
    #[must_use]
    pub fn new(adapters: Adapters, gate: Arc<dyn Gate>) -> Self {
        Self {
            containers: Arc::new(GatedContainers::new(adapters.containers, Arc::clone(&gate))),
            databases: Arc::new(GatedDatabases::new(adapters.databases, Arc::clone(&gate))),
            proxy: Arc::new(GatedProxy::new(adapters.proxy, Arc::clone(&gate))),
            wordpress: Arc::new(GatedWordpress::new(adapters.wordpress, Arc::clone(&gate))),
            probe: Arc::new(GatedProbe::new(adapters.probe, gate)),
            clock: adapters.clock,
        }
    }

    /// Asks a dependency whether it is up. The answer opens or closes its breaker.
    ///
    /// # Errors
    /// Whatever the ping fails with. A site has no ping of its own.
    pub async fn ping(&self, dependency: Dependency) -> Effect<()> {
        match dependency {
            Dependency::Docker => self.containers.ping().await,
            Dependency::Mariadb => self.databases.ping().await,
            Dependency::Caddy => self.proxy.ping().await,
            Dependency::Site => Ok(()),
        }
    }
}
