//! `hostplane context use`.

use clap::Args;

use super::failure::Failure;
use crate::client::contexts::{self, ContextName, Contexts};
use crate::config::layers::Layers;

/// Choose the control plane to use by default
#[derive(Debug, Args)]
pub(super) struct Use {
    /// Name of the control plane
    #[arg(required_unless_present = "none")]
    name: Option<ContextName>,
    /// Use none of them by default, but the control plane whose home is here
    #[arg(long, conflicts_with = "name")]
    none: bool,
}

impl Use {
    pub fn run(self, layers: &Layers) -> Result<(), Failure> {
        Ok(Contexts::change(contexts::directory(layers).as_deref(), |all| all.choose(self.name))?)
    }
}
