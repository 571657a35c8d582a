//! `hostplane site suspend`, `resume` and `rotate`: orders that need no more than a name.

use clap::Args;
use hostplane_domain::name::SiteName;

use super::failure::Failure;
use super::job_command::JobCommand;
use super::wait::require_completed;
use crate::config::layers::Layers;

/// What each of them takes.
#[derive(Debug, Args)]
pub(super) struct Named {
    /// Its name
    name: SiteName,
    #[command(flatten)]
    order: JobCommand,
}

impl Named {
    /// Orders one of them, by the last part of its address in the API.
    pub async fn order(self, layers: &Layers, what: &str) -> Result<(), Failure> {
        self.order.post(layers, &format!("/api/v1/sites/{}/{what}", self.name), require_completed).await
    }
}
