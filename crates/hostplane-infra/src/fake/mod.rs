//! The in-memory world: the twin of every adapter, over one shared state.
//!
//! It is only worth what its likeness is worth: the contract suite runs against it and against the real
//! thing. It holds no faults of its own; those are injected at the gate.

mod clock;
mod containers;
mod databases;
mod gate;
mod probe;
mod proxy;
mod wordpress;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use clock::FakeClock;
pub use containers::{ContainersState, FakeContainer, FakeNetwork, FakeVolume};
pub use databases::{DatabaseState, DatabasesState, UserState};
pub use gate::ScriptedGate;
pub use proxy::ProxyState;

use crate::gate::Gate;
use crate::world::{Adapters, World};

/// All that exists in the in-memory world. Cloning gives another handle to the same world.
#[derive(Clone, Default)]
pub struct FakeWorld {
    state: Arc<Mutex<State>>,
}

/// The state, by area. Tests read it and plant foreign things in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Containers, volumes, networks, images.
    pub containers: ContainersState,
    /// Databases, users, ledger.
    pub databases: DatabasesState,
    /// Snippets.
    pub proxy: ProxyState,
}

impl FakeWorld {
    /// The state, locked. Never held across an await.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This world behind a gate, with a clock of its own.
    #[must_use]
    pub fn behind(&self, gate: Arc<dyn Gate>) -> World {
        let me = Arc::new(self.clone());
        let adapters = Adapters {
            containers: me.clone(),
            databases: me.clone(),
            proxy: me.clone(),
            wordpress: me.clone(),
            probe: me,
            clock: Arc::new(FakeClock::default()),
        };
        World::new(adapters, gate)
    }
}
