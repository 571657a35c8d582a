//! What Caddy is known to run.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::container::Snippets;
use crate::proxy::Served;

/// Shared between the task that reloads and those who ask. In the beginning nothing is known.
#[derive(Clone, Default)]
pub(super) struct Loaded(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// The snippets that Caddy runs, without those of which that isn't certain.
    snippets: Snippets,
    /// Files of which it isn't known whether Caddy runs them, or which version.
    doubted: BTreeSet<String>,
    /// Beside those it runs no other. Until the first reload nothing is known.
    whole: bool,
}

impl Loaded {
    /// Caddy runs this version of a file.
    pub(super) fn has(&self, file: &str, contents: &Bytes) -> bool {
        self.lock().snippets.get(file) == Some(contents)
    }

    /// Caddy runs these snippets and no other.
    pub(super) fn is(&self, snippets: &Snippets) -> bool {
        let known = self.lock();
        known.whole && known.doubted.is_empty() && known.snippets == *snippets
    }

    /// The files that Caddy runs or may run.
    pub(super) fn served(&self) -> Served {
        let known = self.lock();
        if known.whole {
            Served::These(known.snippets.keys().chain(&known.doubted).cloned().collect())
        } else {
            Served::Unknown
        }
    }

    /// Whether Caddy runs, or may run, a file; `None` while nothing is known.
    pub(super) fn may_have(&self, file: &str) -> Option<bool> {
        let known = self.lock();
        known.whole.then(|| known.snippets.contains_key(file) || known.doubted.contains(file))
    }

    /// Caddy has loaded these.
    pub(super) fn set(&self, snippets: Snippets) {
        *self.lock() = Known { snippets, doubted: BTreeSet::new(), whole: true };
    }

    /// Of these files it isn't known what Caddy runs; the others are in what it had and in what it got.
    pub(super) fn doubt<'a>(&self, files: impl IntoIterator<Item = &'a str>) {
        let mut known = self.lock();
        for file in files {
            known.snippets.remove(file);
            known.doubted.insert(file.to_owned());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // The value is whole at any moment, so a panic elsewhere doesn't spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
