//! What the twin of the container engine tells of what happens in it.

use futures_util::stream::{StreamExt, unfold};
use hostplane_domain::mark::Labels;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::FakeWorld;
use hostplane_infra::containers::{EngineEvent, EngineEvents};
use hostplane_infra::error::EffectError;

/// Events that wait for a slow listener before it loses some, as with the Engine.
const KEPT: usize = 256;

#[derive(Clone)]
pub(super) struct EventBus(broadcast::Sender<EngineEvent>);

impl Default for EventBus {
    fn default() -> Self {
        Self(broadcast::Sender::new(KEPT))
    }
}

impl FakeWorld {
    /// Tells whoever listens that something happened. Changes that tests make to the state by hand tell nothing.
    pub fn emit_event(&self, name: &str, action: &str, labels: Labels) {
        // Without a listener nobody is told.
        let _ = self.events.0.send(EngineEvent { name: name.to_owned(), action: action.to_owned(), labels });
    }

    /// How many listen.
    #[must_use]
    pub fn listeners(&self) -> usize {
        self.events.0.receiver_count()
    }

    pub(super) fn listen(&self) -> EngineEvents {
        let next = async |mut told: broadcast::Receiver<EngineEvent>| match told.recv().await {
            Ok(event) => Some((Ok(event), told)),
            Err(RecvError::Lagged(_)) => {
                let error = EffectError::transient_message("docker.events", "events were lost");
                Some((Err(error), told))
            }
            Err(RecvError::Closed) => None,
        };
        unfold(self.events.0.subscribe(), next).boxed()
    }
}
