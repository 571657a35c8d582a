//! The outside world, as one value that the engine gets.

use std::sync::Arc;

use crate::clock::Clock;
use crate::containers::{Containers, GatedContainers};
use crate::databases::{Databases, GatedDatabases};
use crate::error::{Dependency, Effect};
use crate::gate::Gate;
use crate::probe::{GatedProbe, SiteProbe};
use crate::proxy::{GatedProxy, Proxy};
use crate::wordpress::{GatedWordpress, Wordpress};

/// The outside world behind the gate: [`World::new`] wraps every adapter but the clock.
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
    /// Time and randomness.
    pub clock: Arc<dyn Clock>,
}

/// Adapters of a world, not yet behind the gate.
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
    /// Time and randomness.
    pub clock: Arc<dyn Clock>,
}

impl World {
    /// Puts the adapters behind the gate.
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

    /// Pings a dependency. The result opens or closes its breaker.
    ///
    /// # Errors
    /// The ping's error. A site has no ping of its own.
    pub async fn ping(&self, dependency: Dependency) -> Effect<()> {
        match dependency {
            Dependency::Docker => self.containers.ping().await,
            Dependency::Mariadb => self.databases.ping().await,
            Dependency::Caddy => self.proxy.ping().await,
            Dependency::Site => Ok(()),
        }
    }
}
