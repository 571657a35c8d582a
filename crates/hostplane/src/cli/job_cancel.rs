//! `hostplane job cancel`.

use clap::Args;
use hostplane_domain::ids::JobId;

use super::failure::Failure;
use super::job_command::JobCommand;
use super::wait::require_cancelled;
use crate::config::layers::Layers;

/// Have a job turn back: what it has made or changed is as it was before
#[derive(Debug, Args)]
pub(super) struct Cancel {
    /// Its id
    id: JobId,
    #[command(flatten)]
    order: JobCommand,
}

impl Cancel {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        self.order.post(layers, &format!("/api/v1/jobs/{}/cancel", self.id), require_cancelled).await
    }
}
