//! The in-memory world: a fake of every adapter, over one shared state.
//!
//! Its worth is its likeness: one contract suite runs against it and against the real servers. Most faults are
//! injected at the gate; those that only a fake can carry out are in [`PARTS`].

mod clock;
mod containers;
mod database_path;
mod databases;
mod engine_events;
mod gate;
mod injected;
mod probe;
mod proxy;
mod wordpress;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

pub use clock::FakeClock;
pub use containers::{ContainersState, FakeContainer, FakeNetwork, FakeVolume, Name, Named};
pub use database_path::FakePath;
pub use databases::{DatabaseState, DatabasesState, LedgerRow, StatementState, UserState};
use engine_events::EventBus;
pub use gate::ScriptedGate;
pub use injected::PARTS;
pub use probe::ANSWERS;
use proxy::ProxyKnowledge;
pub use proxy::ProxyState;

use hostplane_infra::clock::Timestamp;
use hostplane_infra::gate::Gate;
use hostplane_infra::world::{Adapters, World};

use injected::{Injected, Parts, View};

/// The in-memory world. A clone is another handle to the same world.
#[derive(Clone, Default)]
pub struct FakeWorld {
    state: Arc<Mutex<State>>,
    injected: Arc<Mutex<Injected>>,
    /// Its time goes on when a control plane is started anew.
    clock: FakeClock,
    /// Listeners of the container engine.
    events: EventBus,
    /// Knowledge of the proxy that the process behind this handle has.
    proxy_knowledge: Arc<Mutex<ProxyKnowledge>>,
}

/// The state, by area. Tests read it and plant foreign objects in it. Its JSON form keeps the world that an earlier
/// version has made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Containers, volumes, networks, images.
    pub containers: ContainersState,
    /// Databases, users, ledger.
    pub databases: DatabasesState,
    /// Snippets.
    pub proxy: ProxyState,
    /// The path from the sites to the database server.
    #[serde(default)]
    pub database_path: FakePath,
}

impl State {
    /// The same without the number of ids given out, to be compared with another.
    #[must_use]
    pub fn uncounted(mut self) -> Self {
        self.containers.ids = 0;
        self
    }
}

impl FakeWorld {
    /// The state, locked. Never held across an await.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers the next read from an earlier state.
    pub fn answer_next_read_from(&self, past: State) {
        self.injected().past = Some(Box::new(past));
    }

    /// Breaks the next change off after this number of its parts (see [`PARTS`]); its outcome is unknown.
    pub fn break_next_change_off_after(&self, parts: usize) {
        self.injected().parts = Some(parts);
    }

    fn injected(&self) -> MutexGuard<'_, Injected> {
        self.injected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn view(&self) -> View<'_> {
        let past = self.injected().past.take();
        past.map_or_else(|| View::Now(self.state()), View::Past)
    }

    fn parts(&self, call: &'static str) -> Parts {
        Parts { call, left: self.injected().parts.take() }
    }

    /// A world in a state that another one was left in, at a time.
    #[must_use]
    pub fn resumed(state: State, now: Timestamp) -> Self {
        Self { state: Arc::new(Mutex::new(state)), clock: FakeClock::starting(now), ..Self::default() }
    }

    /// The world's time.
    #[must_use]
    pub fn clock(&self) -> FakeClock {
        self.clock
    }

    /// The same world, as a process sees it that has just started.
    #[must_use]
    pub fn as_new_process(&self) -> Self {
        Self { proxy_knowledge: Arc::new(Mutex::new(ProxyKnowledge::nothing())), ..self.clone() }
    }

    /// This world behind a gate, as a process sees it that has just started.
    #[must_use]
    pub fn behind(&self, gate: Arc<dyn Gate>) -> World {
        let me = Arc::new(self.as_new_process());
        let adapters = Adapters {
            containers: me.clone(),
            databases: me.clone(),
            proxy: me.clone(),
            wordpress: me.clone(),
            database_path: me.clone(),
            probe: me,
            clock: Arc::new(self.clock),
        };
        World::new(adapters, gate)
    }
}
