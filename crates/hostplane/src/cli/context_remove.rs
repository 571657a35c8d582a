//! `hostplane context remove`.

use clap::Args;

use super::failure::Failure;
use crate::client::contexts::{self, ContextName, Contexts};
use crate::config::layers::Layers;

/// Forget a control plane's address and token; the token itself stays valid
#[derive(Debug, Args)]
pub(super) struct Remove {
    /// Name of the control plane
    name: ContextName,
}

impl Remove {
    pub fn run(self, layers: &Layers) -> Result<(), Failure> {
        Ok(Contexts::change(contexts::directory(layers).as_deref(), |all| all.remove(&self.name))?)
    }
}
