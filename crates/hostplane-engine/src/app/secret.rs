//! The installation's secret, and its rotation.

use tracing::info;

use super::{App, AppError, AppResult};
use crate::rotation;

/// The newest generation of the installation's secret, and its progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretView {
    /// The number of the newest generation; 1 is the first.
    pub generation: u32,
    /// Sites in service whose passwords still come from an older one.
    pub sites_behind: usize,
}

impl App {
    /// The newest generation, and how many sites are behind it.
    ///
    /// # Errors
    /// When the control database fails.
    pub async fn secret(&self) -> AppResult<SecretView> {
        let generation = self.secrets.now().newest();
        let sites_behind = rotation::behind(&self.store, generation).await?.len();
        Ok(SecretView { generation, sites_behind })
    }

    /// Makes a new generation of the installation's secret. New passwords are derived from it, and each site in
    /// service gets its own by a job.
    ///
    /// # Errors
    /// [`AppError::SecretNotKept`]: then nothing has changed.
    pub async fn rotate_secret(&self) -> AppResult<SecretView> {
        let generation = self.secrets.add().await.map_err(AppError::SecretNotKept)?;
        info!(generation, "the installation has a new secret");
        self.rotate.send_replace(());
        self.secret().await
    }
}
