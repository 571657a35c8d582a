//! Removes every trace of this installation from Docker, and from a MariaDB and a Caddy that aren't its own.

use crate::config::Config;
use crate::down::{PlatformError, StoppedInstallation, persistently};

/// Removes everything but the home, which still holds what would be needed to go on after a failure.
pub(crate) async fn clean(config: &Config) -> Result<(), PlatformError> {
    let home = config.home().display();
    let Some(at_rest) = StoppedInstallation::find(config).await? else {
        eprintln!("nothing was ever made from {home}; nothing to remove");
        return Ok(());
    };
    let cleaned = persistently(async || at_rest.platform.clean().await).await;
    at_rest.store.close().await;
    cleaned?;
    eprintln!("every trace is removed, except {home}: remove it too before you start anew");
    Ok(())
}
