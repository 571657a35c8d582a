//! Which control plane a command asks.

use std::path::PathBuf;

use clap::Args;

use super::failure::Failure;
use crate::client::{Client, Place};
use crate::config::layers::Layers;

/// The control plane. Its token is in HOSTPLANE_TOKEN or in its home.
#[derive(Debug, Args)]
pub(super) struct Target {
    /// Address of the control plane [default: what the home says]
    #[arg(long, env = "HOSTPLANE_API", value_name = "URL", help_heading = "Control plane")]
    api: Option<String>,
    /// Home of the control plane
    #[arg(
        long,
        env = "HOSTPLANE_HOME",
        value_name = "DIR",
        default_value = "./.hostplane",
        help_heading = "Control plane"
    )]
    hostplane_home: PathBuf,
}

impl Target {
    pub fn client(&self, layers: &Layers) -> Result<Client, Failure> {
        let token = layers.get("HOSTPLANE_TOKEN");
        let place = Place::find(&self.hostplane_home, self.api.as_deref(), token.as_deref())?;
        Ok(Client::new(place)?)
    }
}
