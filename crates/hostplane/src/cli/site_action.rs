//! `hostplane site suspend`, `resume` and `rotate`, which need no more than a name.

use clap::Args;
use hostplane_domain::name::SiteName;

use super::failure::Failure;
use super::job_request::JobRequest;
use super::wait::require_completed;
use crate::config::layers::Layers;

/// Arguments of each of them.
#[derive(Debug, Args)]
pub(super) struct SiteAction {
    /// Name of the site
    name: SiteName,
    #[command(flatten)]
    request: JobRequest,
}

impl SiteAction {
    /// Requests an action by the last part of its address in the API.
    pub async fn run(self, layers: &Layers, action: &str) -> Result<(), Failure> {
        self.request.post(layers, &format!("/api/v1/sites/{}/{action}", self.name), require_completed).await
    }
}
