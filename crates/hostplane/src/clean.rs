//! Removes every trace of this installation from Docker, and from a MariaDB and a Caddy that aren't its own.

use crate::config::Config;
use crate::stopped_installation::{InstallationError, StoppedInstallation, retry_transient};

/// Removes everything but the home, which a second run needs after a failure.
pub(crate) async fn clean(config: &Config) -> Result<(), InstallationError> {
    let home = config.home().display();
    let Some(installation) = StoppedInstallation::find(config).await? else {
        eprintln!("no installation in {home}; nothing to remove");
        return Ok(());
    };
    let cleaned = retry_transient(async || installation.platform.clean().await).await;
    installation.store.close().await;
    cleaned?;
    eprintln!("every trace is removed, except {home}: remove it too before you start anew");
    Ok(())
}
