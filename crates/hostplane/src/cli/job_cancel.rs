//! `hostplane job cancel`.

use clap::Args;
use hostplane_domain::ids::JobId;

use super::failure::Failure;
use super::job_request::JobRequest;
use super::wait::require_cancelled;
use crate::config::layers::Layers;

/// Cancel a job and roll its changes back
#[derive(Debug, Args)]
pub(super) struct Cancel {
    /// Id of the job
    id: JobId,
    #[command(flatten)]
    request: JobRequest,
}

impl Cancel {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        self.request.post(layers, &format!("/api/v1/jobs/{}/cancel", self.id), require_cancelled).await
    }
}
