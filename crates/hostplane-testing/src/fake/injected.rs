//! Faults of the next call that only the fakes themselves can carry out.

use std::ops::Deref;
use std::sync::MutexGuard;

use super::State;
use hostplane_infra::error::{Effect, EffectError};

/// Changes that real adapters carry out in several requests, and the number of parts of each in the fakes. Every
/// other change happens as a whole or not at all.
pub const PARTS: &[(&str, usize)] = &[
    ("docker.create_container", 2),
    ("docker.upload", 2),
    ("mariadb.ensure_tenant", 4),
    ("mariadb.remove_tenant", 3),
    ("caddy.put_route", 2),
    ("caddy.remove_route", 2),
    ("wordpress.unpack", 3),
    ("wordpress.install", 3),
];

#[derive(Default)]
pub(super) struct Injected {
    /// The next read is answered from this.
    pub past: Option<Box<State>>,
    /// The next change breaks off after this number of parts.
    pub parts: Option<usize>,
}

/// The state as a read sees it.
pub(super) enum View<'a> {
    Now(MutexGuard<'a, State>),
    Past(Box<State>),
}

impl Deref for View<'_> {
    type Target = State;
    fn deref(&self) -> &State {
        match self {
            Self::Now(state) => state,
            Self::Past(state) => state,
        }
    }
}

/// The parts of one change, as far as it gets.
pub(super) struct Parts {
    pub call: &'static str,
    pub left: Option<usize>,
}

impl Parts {
    /// Permits the next part.
    pub fn next(&mut self) -> Effect<()> {
        match &mut self.left {
            None => Ok(()),
            Some(0) => Err(EffectError::unknown_message(self.call, "the connection broke in the middle")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }
}
