//! [`Wordpress`] behind the gate: names and deadlines of its calls.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hostplane_domain::ids::SiteId;

use super::{EventsRun, Installation, Wordpress, WordpressFacts};
use crate::error::{Dependency, Effect};
use crate::gate::{Call, Gate, pass};

const FACTS: Call = Call::read("wordpress.facts", Dependency::Site, Duration::from_secs(20));
const UNPACK: Call = Call::change("wordpress.unpack", Dependency::Site, Duration::from_mins(2));
const INSTALL: Call = Call::change("wordpress.install", Dependency::Site, Duration::from_mins(2));

const MARK_FILES: Call = Call::change("wordpress.mark_files", Dependency::Site, Duration::from_secs(20));
const MARK_TABLES: Call = Call::change("wordpress.mark_tables", Dependency::Site, Duration::from_secs(20));
const HOLD_UPDATES: Call = Call::change("wordpress.hold_updates", Dependency::Site, Duration::from_secs(20));
const REPAIR_CORE: Call = Call::change("wordpress.repair_core", Dependency::Site, Duration::from_mins(2));

/// Longer than a run may take that updates nothing. One that does goes on in its container, and ends by itself there.
const RUN_EVENTS: Call = Call::change("wordpress.run_events", Dependency::Site, Duration::from_mins(2));

/// Any [`Wordpress`], with every call passed through the gate.
pub struct GatedWordpress {
    inner: Arc<dyn Wordpress>,
    gate: Arc<dyn Gate>,
}

impl GatedWordpress {
    /// Puts an adapter behind the gate.
    #[must_use]
    pub fn new(inner: Arc<dyn Wordpress>, gate: Arc<dyn Gate>) -> Self {
        Self { inner, gate }
    }
}

#[async_trait]
impl Wordpress for GatedWordpress {
    async fn facts(&self, php_container: &str) -> Effect<WordpressFacts> {
        let (inner, php_container) = (Arc::clone(&self.inner), php_container.to_owned());
        pass(&*self.gate, FACTS, async move { inner.facts(&php_container).await }).await
    }

    async fn unpack(&self, php_container: &str, site: SiteId) -> Effect<()> {
        let (inner, php_container) = (Arc::clone(&self.inner), php_container.to_owned());
        pass(&*self.gate, UNPACK, async move { inner.unpack(&php_container, site).await }).await
    }

    async fn install(&self, php_container: &str, installation: &Installation) -> Effect<()> {
        let inner = Arc::clone(&self.inner);
        let (php_container, installation) = (php_container.to_owned(), installation.clone());
        pass(&*self.gate, INSTALL, async move { inner.install(&php_container, &installation).await }).await
    }

    async fn mark_files(&self, php_container: &str, site: SiteId) -> Effect<()> {
        let (inner, php_container) = (Arc::clone(&self.inner), php_container.to_owned());
        pass(&*self.gate, MARK_FILES, async move { inner.mark_files(&php_container, site).await }).await
    }

    async fn mark_tables(&self, php_container: &str, site: SiteId) -> Effect<()> {
        let (inner, php_container) = (Arc::clone(&self.inner), php_container.to_owned());
        pass(&*self.gate, MARK_TABLES, async move { inner.mark_tables(&php_container, site).await }).await
    }

    async fn hold_updates(&self, php_container: &str) -> Effect<bool> {
        let (inner, php_container) = (Arc::clone(&self.inner), php_container.to_owned());
        pass(&*self.gate, HOLD_UPDATES, async move { inner.hold_updates(&php_container).await }).await
    }

    async fn repair_core(&self, php_container: &str) -> Effect<()> {
        let (inner, php_container) = (Arc::clone(&self.inner), php_container.to_owned());
        pass(&*self.gate, REPAIR_CORE, async move { inner.repair_core(&php_container).await }).await
    }

    async fn run_events(&self, php_container: &str, run: &EventsRun) -> Effect<()> {
        let (inner, php_container, run) = (Arc::clone(&self.inner), php_container.to_owned(), run.clone());
        pass(&*self.gate, RUN_EVENTS, async move { inner.run_events(&php_container, &run).await }).await
    }
}
