//! Snippets that Caddy is known to run.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::container::Snippets;
use crate::proxy::Served;

/// Record of the loaded snippets, shared by the task that reloads and its callers; empty at the start.
#[derive(Clone, Default)]
pub(super) struct LoadedConfig(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Snippets that Caddy runs for certain.
    snippets: Snippets,
    /// Files that Caddy may run, in any version.
    doubted: BTreeSet<String>,
    /// True after the first reload: Caddy runs no other files.
    complete: bool,
}

impl LoadedConfig {
    /// True if Caddy runs this version of a file.
    pub(super) fn has(&self, file: &str, contents: &Bytes) -> bool {
        self.lock().snippets.get(file) == Some(contents)
    }

    /// True if Caddy runs these snippets and no other.
    pub(super) fn is(&self, snippets: &Snippets) -> bool {
        let known = self.lock();
        known.complete && known.doubted.is_empty() && known.snippets == *snippets
    }

    /// Files that Caddy runs or may run.
    pub(super) fn served(&self) -> Served {
        let known = self.lock();
        if known.complete {
            Served::These(known.snippets.keys().chain(&known.doubted).cloned().collect())
        } else {
            Served::Unknown
        }
    }

    /// True if Caddy runs, or may run, a file; `None` before the first reload.
    pub(super) fn may_have(&self, file: &str) -> Option<bool> {
        let known = self.lock();
        known.complete.then(|| known.snippets.contains_key(file) || known.doubted.contains(file))
    }

    /// Records that Caddy loaded these snippets and no other.
    pub(super) fn set(&self, snippets: Snippets) {
        *self.lock() = State { snippets, doubted: BTreeSet::new(), complete: true };
    }

    /// Records an unknown outcome for these files; the load changed no others.
    pub(super) fn doubt<'a>(&self, files: impl IntoIterator<Item = &'a str>) {
        let mut known = self.lock();
        for file in files {
            known.snippets.remove(file);
            known.doubted.insert(file.to_owned());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every update leaves the value valid, so a panic elsewhere does too.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
