//! [`Wordpress`] behind the gate: names and deadlines of its calls.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hostplane_domain::ids::SiteId;

use super::{Installation, Wordpress, WordpressFacts};
use crate::error::{Dependency, Effect};
use crate::gate::{Call, Gate, pass};

const FACTS: Call = Call::read("wordpress.facts", Dependency::Site, Duration::from_secs(20));
const UNPACK: Call = Call::change("wordpress.unpack", Dependency::Site, Duration::from_mins(2));
const INSTALL: Call = Call::change("wordpress.install", Dependency::Site, Duration::from_mins(2));

/// Any [`Wordpress`], with every call passed through the gate.
pub struct GatedWordpress {
    inner: Arc<dyn Wordpress>,
    gate: Arc<dyn Gate>,
}

impl GatedWordpress {
    /// Wraps.
    #[must_use]
    pub fn new(inner: Arc<dyn Wordpress>, gate: Arc<dyn Gate>) -> Self {
        Self { inner, gate }
    }
}

#[async_trait]
impl Wordpress for GatedWordpress {
    async fn facts(&self, php_container: &str) -> Effect<WordpressFacts> {
        pass(&*self.gate, FACTS, self.inner.facts(php_container)).await
    }

    async fn unpack(&self, php_container: &str, site: SiteId) -> Effect<()> {
        pass(&*self.gate, UNPACK, self.inner.unpack(php_container, site)).await
    }

    async fn install(&self, php_container: &str, installation: &Installation) -> Effect<()> {
        pass(&*self.gate, INSTALL, self.inner.install(php_container, installation)).await
    }
}
