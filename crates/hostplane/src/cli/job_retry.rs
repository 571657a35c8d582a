//! `hostplane job retry`.

use clap::Args;
use hostplane_domain::ids::JobId;

use super::failure::Failure;
use super::job_command::JobCommand;
use super::wait::require_completed;
use crate::config::layers::Layers;

/// Let a job go on that needs an operator, or begin a failed provision anew
#[derive(Debug, Args)]
pub(super) struct Retry {
    /// Its id
    id: JobId,
    #[command(flatten)]
    order: JobCommand,
}

impl Retry {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        self.order.post(layers, &format!("/api/v1/jobs/{}/retry", self.id), require_completed).await
    }
}
