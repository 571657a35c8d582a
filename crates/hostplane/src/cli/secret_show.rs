//! `hostplane secret show`.

use clap::Args;

use super::failure::Failure;
use super::output::{OutputFormat, facts};
use super::target::Target;
use crate::api::wire::Secret;
use crate::config::layers::Layers;

/// Show the generation of the installation's secret and the sites behind it; never its value
#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    format: OutputFormat,
    #[command(flatten)]
    target: Target,
}

impl Show {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        let client = self.target.client(layers)?;
        let secret: Secret = client.get("/api/v1/secret").await?;
        self.format.print(&secret, text)
    }
}

pub(super) fn text(secret: &Secret) -> String {
    facts([("generation", secret.generation.to_string()), ("sites behind", secret.sites_behind.to_string())])
}
