//! [`SiteProbe`] behind the gate: names and deadlines of its calls.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hostplane_domain::health::Health;
use hostplane_domain::probe_key::{ProbeKey, ProbeMode};
use hostplane_domain::url::SiteUrl;

use super::{Page, SiteProbe};
use crate::error::{Dependency, Effect};
use crate::gate::{Call, Gate, pass};

const GET: Call = Call::read("probe.get", Dependency::Site, Duration::from_secs(20));
const ASK: Call = Call::read("probe.ask", Dependency::Site, Duration::from_secs(20));
const RESET_CODE: Call = Call::read("probe.reset_code", Dependency::Site, Duration::from_secs(20));

/// Any [`SiteProbe`], with every call passed through the gate.
pub struct GatedProbe {
    inner: Arc<dyn SiteProbe>,
    gate: Arc<dyn Gate>,
}

impl GatedProbe {
    /// Puts an adapter behind the gate.
    #[must_use]
    pub fn new(inner: Arc<dyn SiteProbe>, gate: Arc<dyn Gate>) -> Self {
        Self { inner, gate }
    }
}

#[async_trait]
impl SiteProbe for GatedProbe {
    async fn get(&self, url: &SiteUrl, path: &str) -> Effect<Page> {
        let inner = Arc::clone(&self.inner);
        let (url, path) = (url.clone(), path.to_owned());
        pass(&*self.gate, GET, async move { inner.get(&url, &path).await }).await
    }

    async fn ask(&self, url: &SiteUrl, mode: ProbeMode, path: &str, key: &ProbeKey) -> Effect<Option<Health>> {
        let inner = Arc::clone(&self.inner);
        let (url, path, key) = (url.clone(), path.to_owned(), key.clone());
        pass(&*self.gate, ASK, async move { inner.ask(&url, mode, &path, &key).await }).await
    }

    async fn reset_code(&self, url: &SiteUrl, key: &ProbeKey) -> Effect<bool> {
        let inner = Arc::clone(&self.inner);
        let (url, key) = (url.clone(), key.clone());
        pass(&*self.gate, RESET_CODE, async move { inner.reset_code(&url, &key).await }).await
    }
}
