//! Stops this installation's containers. Its data stays.

use crate::config::Config;
use crate::stopped_installation::{InstallationError, StoppedInstallation, retry_transient};

/// Stops the containers of the sites and of the platform.
pub(crate) async fn down(config: &Config) -> Result<(), InstallationError> {
    let Some(installation) = StoppedInstallation::find(config).await? else {
        eprintln!("no installation in {}; nothing to stop", config.home().display());
        return Ok(());
    };
    let stopped = retry_transient(async || installation.platform.down().await).await;
    installation.store.close().await;
    Ok(stopped?)
}
