//! `hostplane job retry`.

use clap::Args;
use hostplane_domain::ids::JobId;

use super::failure::Failure;
use super::job_show;
use super::output::Format;
use super::target::Target;
use super::wait::{Wait, require_completed};
use crate::api::wire::Job;
use crate::config::layers::Layers;

/// Let a job go on that needs an operator, or begin a failed provision anew
#[derive(Debug, Args)]
pub(super) struct Retry {
    /// Its id
    id: JobId,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    target: Target,
}

impl Retry {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        let client = self.target.client(layers)?;
        let job: Job = client.post(&format!("/api/v1/jobs/{}/retry", self.id), None::<&()>).await?;
        let job = self.wait.follow(&client, job).await?;
        if !self.wait.is_on() {
            return self.format.print(&job, job_show::started);
        }
        self.format.print(&job, job_show::text)?;
        require_completed(&job)
    }
}
