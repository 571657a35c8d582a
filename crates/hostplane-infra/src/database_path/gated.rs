//! [`DatabasePath`] behind the gate: name and deadline of its call.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hostplane_domain::ids::HostId;

use super::{CALL, DatabasePath, PathState};
use crate::error::{Dependency, Effect};
use crate::gate::{Call, Gate, pass};

/// Its deadline is longer than another ping's: a program starts in a container, and waits for packets.
const PING: Call = Call { deadline: Duration::from_secs(15), ..Call::ping(CALL, Dependency::DATABASE_PATH) };

/// Any [`DatabasePath`], with every call passed through the gate.
pub struct GatedPath {
    inner: Arc<dyn DatabasePath>,
    host: HostId,
    gate: Arc<dyn Gate>,
}

impl GatedPath {
    /// Puts the adapter of a host behind the gate.
    #[must_use]
    pub fn new(inner: Arc<dyn DatabasePath>, host: HostId, gate: Arc<dyn Gate>) -> Self {
        Self { inner, host, gate }
    }
}

#[async_trait]
impl DatabasePath for GatedPath {
    async fn ping(&self) -> Effect<PathState> {
        let inner = Arc::clone(&self.inner);
        pass(&*self.gate, PING.on(self.host), async move { inner.ping().await }).await
    }
}
