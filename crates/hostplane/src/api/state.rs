//! State that all handlers share.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hostplane_domain::url::BaseDomain;
use hostplane_engine::app::App;
use tokio::sync::watch;

use super::readiness_cache::ReadinessCache;
use super::stream_slots::{SILENCE, StreamSlots};

/// State of the API; each handler gets a clone.
#[derive(Clone)]
pub struct Api {
    pub(super) app: App,
    pub(super) base_domain: BaseDomain,
    pub(super) platform: PlatformProgress,
    /// Directory of the installation; the doctor checks its disk.
    pub(super) home: Option<PathBuf>,
    pub(super) readiness: ReadinessCache,
    pub(super) streams: StreamSlots,
    pub(super) silence: Duration,
}

/// Progress of a platform that this process makes: the last obstacle, or `None` once it is up.
#[derive(Clone, Default)]
pub struct PlatformProgress(Option<watch::Receiver<Option<String>>>);

impl PlatformProgress {
    /// Progress of a platform that this process makes.
    #[must_use]
    pub fn watched(receiver: watch::Receiver<Option<String>>) -> Self {
        Self(Some(receiver))
    }

    pub(super) fn error(&self) -> Option<String> {
        self.0.as_ref().and_then(|receiver| receiver.borrow().clone())
    }
}

impl Api {
    /// The API of an engine. Sites get their default e-mail address below `base_domain`.
    #[must_use]
    pub fn new(app: App, base_domain: BaseDomain, platform: PlatformProgress) -> Self {
        let (readiness, streams) = (ReadinessCache::default(), StreamSlots::default());
        Self { app, base_domain, platform, home: None, readiness, streams, silence: SILENCE }
    }

    /// Adds the home of the installation.
    #[must_use]
    pub fn with_home(self, home: &Path) -> Self {
        Self { home: Some(home.to_owned()), ..self }
    }

    /// Sets the longest silence of an event stream. Operators have no reason to change it.
    #[must_use]
    pub fn silent_for(self, silence: Duration) -> Self {
        Self { silence, ..self }
    }
}
