//! `hostplane job retry`.

use clap::Args;
use hostplane_domain::ids::JobId;

use super::failure::Failure;
use super::job_request::JobRequest;
use super::wait::require_completed;
use crate::config::layers::Layers;

/// Continue a job that needs an operator, or start a failed provision again
#[derive(Debug, Args)]
pub(super) struct Retry {
    /// Id of the job
    id: JobId,
    #[command(flatten)]
    request: JobRequest,
}

impl Retry {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        self.request.post(layers, &format!("/api/v1/jobs/{}/retry", self.id), require_completed).await
    }
}
