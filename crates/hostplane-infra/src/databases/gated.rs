//! [`Databases`] behind the gate: names and deadlines of its calls.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hostplane_domain::ids::InstanceId;

use super::{Databases, EndedStatement, NextEvent, TenantFacts, TenantKey, TenantSpec, Tenants};
use crate::error::{Dependency, Effect};
use crate::gate::{Call, Gate, pass};

/// Time limit of making a tenant. The adapter begins no statement that could end later.
pub(super) const ENSURE_DEADLINE: Duration = Duration::from_secs(30);
/// Time limit of confirming a tenant.
pub(super) const CONFIRM_DEADLINE: Duration = Duration::from_secs(15);
/// Time limit of ending statements.
pub(super) const END_DEADLINE: Duration = Duration::from_secs(15);
/// Time limit of removing a tenant.
pub(super) const REMOVE_DEADLINE: Duration = Duration::from_mins(1);

const PING: Call = Call::ping("mariadb.ping", Dependency::Mariadb);
const TENANTS: Call = Call::read("mariadb.tenants", Dependency::Mariadb, Duration::from_secs(15));
const NEXT_EVENTS: Call = Call::read("mariadb.next_events", Dependency::Mariadb, Duration::from_secs(15));
const SIZES: Call = Call::read("mariadb.sizes", Dependency::Mariadb, Duration::from_secs(15));
const ENSURE_TENANT: Call = Call::change("mariadb.ensure_tenant", Dependency::Mariadb, ENSURE_DEADLINE);
const CONFIRM_TENANT: Call = Call::change("mariadb.confirm_tenant", Dependency::Mariadb, CONFIRM_DEADLINE);
const END_LONG_STATEMENTS: Call = Call::change("mariadb.end_long_statements", Dependency::Mariadb, END_DEADLINE);
const REMOVE_TENANT: Call = Call::change("mariadb.remove_tenant", Dependency::Mariadb, REMOVE_DEADLINE);

/// Any [`Databases`], with every call passed through the gate.
pub struct GatedDatabases {
    inner: Arc<dyn Databases>,
    gate: Arc<dyn Gate>,
}

impl GatedDatabases {
    /// Puts an adapter behind the gate.
    #[must_use]
    pub fn new(inner: Arc<dyn Databases>, gate: Arc<dyn Gate>) -> Self {
        Self { inner, gate }
    }
}

#[async_trait]
impl Databases for GatedDatabases {
    async fn ping(&self) -> Effect<()> {
        let inner = Arc::clone(&self.inner);
        pass(&*self.gate, PING, async move { inner.ping().await }).await
    }

    async fn tenants(&self, which: &Tenants) -> Effect<Vec<TenantFacts>> {
        let (inner, which) = (Arc::clone(&self.inner), which.clone());
        pass(&*self.gate, TENANTS, async move { inner.tenants(&which).await }).await
    }

    async fn ensure_tenant(&self, spec: &TenantSpec) -> Effect<()> {
        let (inner, spec) = (Arc::clone(&self.inner), spec.clone());
        pass(&*self.gate, ENSURE_TENANT, async move { inner.ensure_tenant(&spec).await }).await
    }

    async fn confirm_tenant(&self, tenant: &TenantKey) -> Effect<()> {
        let (inner, tenant) = (Arc::clone(&self.inner), tenant.clone());
        pass(&*self.gate, CONFIRM_TENANT, async move { inner.confirm_tenant(&tenant).await }).await
    }

    async fn next_events(&self, instance: InstanceId) -> Effect<Vec<NextEvent>> {
        let inner = Arc::clone(&self.inner);
        pass(&*self.gate, NEXT_EVENTS, async move { inner.next_events(instance).await }).await
    }

    async fn end_long_statements(&self, instance: InstanceId, limit_s: u32) -> Effect<Vec<EndedStatement>> {
        let inner = Arc::clone(&self.inner);
        pass(&*self.gate, END_LONG_STATEMENTS, async move { inner.end_long_statements(instance, limit_s).await }).await
    }

    async fn sizes(&self, exactly: &[String]) -> Effect<BTreeMap<String, u64>> {
        let (inner, exactly) = (Arc::clone(&self.inner), exactly.to_vec());
        pass(&*self.gate, SIZES, async move { inner.sizes(&exactly).await }).await
    }

    async fn remove_tenant(&self, tenant: &TenantKey) -> Effect<()> {
        let (inner, tenant) = (Arc::clone(&self.inner), tenant.clone());
        pass(&*self.gate, REMOVE_TENANT, async move { inner.remove_tenant(&tenant).await }).await
    }
}
