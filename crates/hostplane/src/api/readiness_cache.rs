//! Short-lived cache of the readiness.

use std::sync::Arc;
use std::time::Duration;

use hostplane_engine::app::{App, Readiness};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Time for which a result is reused: `/readyz` needs no token, and each check costs calls outside.
const FRESH: Duration = Duration::from_secs(1);

/// The last readiness. Concurrent requests share one check.
#[derive(Clone, Default)]
pub(super) struct ReadinessCache(Arc<Mutex<Option<(Instant, Readiness)>>>);

impl ReadinessCache {
    pub async fn readiness(&self, app: &App) -> Readiness {
        let mut last = self.0.lock().await;
        match &*last {
            Some((at, readiness)) if at.elapsed() < FRESH => readiness.clone(),
            _ => {
                let readiness = app.readiness().await;
                *last = Some((Instant::now(), readiness.clone()));
                readiness
            }
        }
    }
}
