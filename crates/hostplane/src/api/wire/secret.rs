//! Progress of the installation's secret.

use hostplane_engine::app::SecretView;
use serde::{Deserialize, Serialize};

/// The newest generation of the installation's secret, without its value.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Secret {
    /// Its number; 1 is the first.
    pub generation: u32,
    /// Sites in service whose passwords still come from an older generation.
    pub sites_behind: usize,
}

impl From<SecretView> for Secret {
    fn from(secret: SecretView) -> Self {
        Self { generation: secret.generation, sites_behind: secret.sites_behind }
    }
}
