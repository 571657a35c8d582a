//! [`Proxy`] behind the gate: names and deadlines of its calls.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hostplane_domain::ids::{HostId, InstanceId};
use hostplane_domain::mark::SiteRef;
use hostplane_domain::name::SiteName;

use super::{Proxy, RouteFacts, RouteSpec, Routes};
use crate::error::{Dependency, Effect};
use crate::gate::{Call, Gate, pass};

/// Time limit of a change. The adapter begins no program that could end later.
pub(super) const CHANGE_DEADLINE: Duration = Duration::from_mins(1);

const PING: Call = Call::ping("caddy.ping", Dependency::CADDY);
const ROUTES: Call = Call::read("caddy.routes", Dependency::CADDY, Duration::from_secs(15));
const ROUTE: Call = Call::read("caddy.route", Dependency::CADDY, Duration::from_secs(15));
const SETTLE: Call = Call::change("caddy.settle", Dependency::CADDY, CHANGE_DEADLINE);
const PUT_ROUTE: Call = Call::change("caddy.put_route", Dependency::CADDY, CHANGE_DEADLINE);
const REMOVE_ROUTE: Call = Call::change("caddy.remove_route", Dependency::CADDY, CHANGE_DEADLINE);

/// Any [`Proxy`], with every call passed through the gate.
pub struct GatedProxy {
    inner: Arc<dyn Proxy>,
    host: HostId,
    gate: Arc<dyn Gate>,
}

impl GatedProxy {
    /// Puts the adapter of a host behind the gate.
    #[must_use]
    pub fn new(inner: Arc<dyn Proxy>, host: HostId, gate: Arc<dyn Gate>) -> Self {
        Self { inner, host, gate }
    }
}

#[async_trait]
impl Proxy for GatedProxy {
    async fn ping(&self) -> Effect<()> {
        let inner = Arc::clone(&self.inner);
        pass(&*self.gate, PING.on(self.host), async move { inner.ping().await }).await
    }

    async fn routes(&self) -> Effect<Routes> {
        let inner = Arc::clone(&self.inner);
        pass(&*self.gate, ROUTES.on(self.host), async move { inner.routes().await }).await
    }

    async fn route(&self, site: &SiteName) -> Effect<RouteFacts> {
        let (inner, site) = (Arc::clone(&self.inner), site.clone());
        pass(&*self.gate, ROUTE.on(self.host), async move { inner.route(&site).await }).await
    }

    async fn settle(&self) -> Effect<()> {
        let inner = Arc::clone(&self.inner);
        pass(&*self.gate, SETTLE.on(self.host), async move { inner.settle().await }).await
    }

    async fn put_route(&self, spec: &RouteSpec) -> Effect<()> {
        let (inner, spec) = (Arc::clone(&self.inner), spec.clone());
        pass(&*self.gate, PUT_ROUTE.on(self.host), async move { inner.put_route(&spec).await }).await
    }

    async fn remove_route(&self, instance: InstanceId, site: &SiteRef) -> Effect<()> {
        let (inner, site) = (Arc::clone(&self.inner), site.clone());
        pass(&*self.gate, REMOVE_ROUTE.on(self.host), async move { inner.remove_route(instance, &site).await }).await
    }
}
