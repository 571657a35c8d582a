//! [`Databases`] behind the gate: names and deadlines of its calls.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{Databases, TenantFacts, TenantKey, TenantSpec, Tenants};
use crate::error::{Dependency, Effect};
use crate::gate::{Call, Gate, pass};

/// How long making a tenant may take. The adapter begins nothing that could end later.
pub(super) const ENSURE_DEADLINE: Duration = Duration::from_secs(30);
/// How long removing one may take.
pub(super) const REMOVE_DEADLINE: Duration = Duration::from_mins(1);

const PING: Call = Call::ping("mariadb.ping", Dependency::Mariadb);
const TENANTS: Call = Call::read("mariadb.tenants", Dependency::Mariadb, Duration::from_secs(15));
const ENSURE_TENANT: Call = Call::change("mariadb.ensure_tenant", Dependency::Mariadb, ENSURE_DEADLINE);
const REMOVE_TENANT: Call = Call::change("mariadb.remove_tenant", Dependency::Mariadb, REMOVE_DEADLINE);

/// Any [`Databases`], with every call passed through the gate.
pub struct GatedDatabases {
    inner: Arc<dyn Databases>,
    gate: Arc<dyn Gate>,
}

impl GatedDatabases {
    /// Wraps.
    #[must_use]
    pub fn new(inner: Arc<dyn Databases>, gate: Arc<dyn Gate>) -> Self {
        Self { inner, gate }
    }
}

#[async_trait]
impl Databases for GatedDatabases {
    async fn ping(&self) -> Effect<()> {
        pass(&*self.gate, PING, self.inner.ping()).await
    }

    async fn tenants(&self, which: &Tenants) -> Effect<Vec<TenantFacts>> {
        pass(&*self.gate, TENANTS, self.inner.tenants(which)).await
    }

    async fn ensure_tenant(&self, spec: &TenantSpec) -> Effect<()> {
        pass(&*self.gate, ENSURE_TENANT, self.inner.ensure_tenant(spec)).await
    }

    async fn remove_tenant(&self, tenant: &TenantKey) -> Effect<()> {
        pass(&*self.gate, REMOVE_TENANT, self.inner.remove_tenant(tenant)).await
    }
}
