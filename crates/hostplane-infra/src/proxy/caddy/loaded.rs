//! What Caddy is known to run.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::inside::Snippets;

/// Shared between the task that reloads and those who ask. In the beginning nothing is known.
#[derive(Clone, Default)]
pub(super) struct Loaded(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// The snippets that Caddy runs, without those of which that isn't certain.
    snippets: Snippets,
    /// It runs these and no other.
    settled: bool,
}

impl Loaded {
    /// Caddy runs this version of a file.
    pub(super) fn has(&self, file: &str, contents: &Bytes) -> bool {
        self.lock().snippets.get(file) == Some(contents)
    }

    /// Caddy runs these snippets and no other.
    pub(super) fn is(&self, snippets: &Snippets) -> bool {
        let known = self.lock();
        known.settled && known.snippets == *snippets
    }

    /// Caddy has loaded these.
    pub(super) fn set(&self, snippets: Snippets) {
        *self.lock() = Known { snippets, settled: true };
    }

    /// Of these files it isn't known what Caddy runs; the others are in what it had and in what it got.
    pub(super) fn doubt<'a>(&self, files: impl IntoIterator<Item = &'a str>) {
        let mut known = self.lock();
        known.settled = false;
        for file in files {
            known.snippets.remove(file);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // The value is whole at any moment, so a panic elsewhere doesn't spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
