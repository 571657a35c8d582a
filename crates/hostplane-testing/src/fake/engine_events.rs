//! Events of the fake container engine.

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
    /// Sends an event to every listener. Changes that tests make to the state by hand send none.
    pub fn emit_event(&self, name: &str, action: &str, labels: Labels) {
        // Without a listener the event is lost, as with the Engine.
        let _ = self.events.0.send(EngineEvent { name: name.to_owned(), action: action.to_owned(), labels });
    }

    /// Number of listeners.
    #[must_use]
    pub fn listeners(&self) -> usize {
        self.events.0.receiver_count()
    }

    pub(super) fn listen(&self) -> EngineEvents {
        let next = async |mut events: broadcast::Receiver<EngineEvent>| match events.recv().await {
            Ok(event) => Some((Ok(event), events)),
            Err(RecvError::Lagged(_)) => {
                let error = EffectError::transient_message("docker.events", "events were lost");
                Some((Err(error), events))
            }
            Err(RecvError::Closed) => None,
        };
        unfold(self.events.0.subscribe(), next).boxed()
    }
}
