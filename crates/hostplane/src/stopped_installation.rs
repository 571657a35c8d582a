//! An installation without a running control plane, as `down` and `clean` work on it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hostplane_engine::pace::Pace;
use hostplane_engine::platform::Platform;
use hostplane_engine::secrets::Secrets;
use hostplane_engine::store::{Store, StoreError};
use hostplane_infra::clock::{Clock, SystemClock};
use hostplane_infra::error::{Effect, EffectError};
use tokio::time::sleep;
use tracing::warn;

use crate::config::Config;
use crate::home::{Home, HomeError};
use crate::world::{self, WorldError};

/// Failure of `down` or `clean`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InstallationError {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    World(#[from] WorldError),
    #[error("the control database can't be used")]
    Store(#[from] StoreError),
    #[error("{}", .0.chain())]
    Effect(EffectError),
}

impl From<EffectError> for InstallationError {
    fn from(error: EffectError) -> Self {
        Self::Effect(error)
    }
}

/// An installation whose home this process owns, so that no control plane runs.
pub(crate) struct StoppedInstallation {
    pub platform: Platform,
    pub store: Store,
    // Dropped last.
    _home: Home,
}

impl StoppedInstallation {
    /// Opens the installation; `None` if the home holds no database.
    pub async fn find(config: &Config) -> Result<Option<Self>, InstallationError> {
        if !config.home().exists() {
            return Ok(None);
        }
        let home = Home::own(config.home())?;
        let database = config.database(home.default_database());
        if !exists(&database) {
            return Ok(None);
        }
        let secrets = Secrets::new(home.secret(&database)?, Arc::new(home.keeper()));
        let world = world::build(config, &secrets)?;
        let store = Store::open(&database, Pace::default().settle, SystemClock.now()).await?;
        let instance = store.instance().await?;
        let platform = Platform::new(world, config.platform_that_exists(), instance, secrets);
        Ok(Some(Self { platform, store, _home: home }))
    }
}

fn exists(database: &Path) -> bool {
    std::fs::metadata(database).is_ok_and(|file| file.len() > 0)
}

/// Attempts, and the pause between them. An Engine may still be busy with calls of a killed control plane.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// Repeats an attempt whose failure may pass: no scheduler runs that would retry later.
pub(crate) async fn retry_transient(attempt: impl AsyncFn() -> Effect<()>) -> Effect<()> {
    for _ in 1..TRIES {
        match attempt().await {
            Err(error @ (EffectError::Transient { .. } | EffectError::OutcomeUnknown { .. })) => {
                warn!(error = %error.chain(), "trying again");
            }
            other => return other,
        }
        sleep(PAUSE).await;
    }
    attempt().await
}
