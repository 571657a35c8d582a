//! The signal that wakes the worker.

use std::sync::Arc;

use tokio::sync::Notify;

/// Wakes the worker when a job was enqueued.
#[derive(Clone, Default)]
pub(crate) struct Signal(Arc<Notify>);

impl Signal {
    /// Wakes the worker, now or as soon as it waits.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    /// Waits for the next wake-up.
    pub async fn notified(&self) {
        self.0.notified().await;
    }
}
