//! `hostplane site credentials`.

use clap::Args;
use hostplane_domain::name::SiteName;

use super::failure::Failure;
use super::output::{OutputFormat, facts};
use super::target::Target;
use crate::api::wire::Credentials;
use crate::config::layers::Layers;

/// Show address, user and password of a site's first administrator
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Name of the site
    name: SiteName,
    #[command(flatten)]
    format: OutputFormat,
    #[command(flatten)]
    target: Target,
}

impl Show {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        let client = self.target.client(layers)?;
        let found: Credentials = client.get(&format!("/api/v1/sites/{}/credentials", self.name)).await?;
        self.format.print(&found, |found| {
            facts([
                ("url", found.url.clone()),
                ("log in", format!("{}/wp-login.php", found.url)),
                ("user", found.user.clone()),
                ("password", found.password.clone()),
            ])
        })
    }
}
