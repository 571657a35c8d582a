//! Stops this installation's containers. Its data stays.

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

/// Why `down` or `clean` did not reach its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlatformError {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    World(#[from] WorldError),
    #[error("the control database can't be used")]
    Store(#[from] StoreError),
    #[error("{}", .0.chain())]
    Effect(EffectError),
}

impl From<EffectError> for PlatformError {
    fn from(error: EffectError) -> Self {
        Self::Effect(error)
    }
}

/// An installation at rest: this process owns its home, so no control plane runs.
pub(crate) struct StoppedInstallation {
    pub platform: Platform,
    pub store: Store,
    // Given up last.
    _home: Home,
}

impl StoppedInstallation {
    /// `None` when nothing was ever made from this home.
    pub async fn find(config: &Config) -> Result<Option<Self>, PlatformError> {
        if !config.home().exists() {
            return Ok(None);
        }
        let home = Home::own(config.home())?;
        let database = config.database(home.default_database());
        if !exists(&database) {
            return Ok(None);
        }
        let secrets = Secrets::new(home.secret(&database)?, Arc::new(home.keeper()));
        let world = world::of(config, &secrets)?;
        let store = Store::open(&database, Pace::default().settle, SystemClock.now()).await?;
        let instance = store.instance().await?;
        let platform = Platform::new(world, config.platform_that_exists(), instance, secrets);
        Ok(Some(Self { platform, store, _home: home }))
    }
}

fn exists(database: &Path) -> bool {
    std::fs::metadata(database).is_ok_and(|file| file.len() > 0)
}

/// How often, and with which pause, what failed in a way that may pass is tried. An Engine that is still
/// busy with what a killed control plane asked for is one such way.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// Tries a few times, as there is nobody else who would.
pub(crate) async fn persistently(attempt: impl AsyncFn() -> Effect<()>) -> Effect<()> {
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

/// Stops what runs.
pub(crate) async fn down(config: &Config) -> Result<(), PlatformError> {
    let Some(at_rest) = StoppedInstallation::find(config).await? else {
        eprintln!("nothing was ever made from {}; nothing to stop", config.home().display());
        return Ok(());
    };
    let stopped = persistently(async || at_rest.platform.down().await).await;
    at_rest.store.close().await;
    Ok(stopped?)
}
