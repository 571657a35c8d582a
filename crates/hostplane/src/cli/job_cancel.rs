//! `hostplane job cancel`.

use clap::Args;
use hostplane_domain::ids::JobId;

use super::failure::Failure;
use super::job_show;
use super::output::Format;
use super::target::Target;
use super::wait::{Wait, require_cancelled};
use crate::api::wire::Job;
use crate::config::layers::Layers;

/// Have a provision turn back: what it has made is removed, and its site is FAILED
#[derive(Debug, Args)]
pub(super) struct Cancel {
    /// Its id
    id: JobId,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    target: Target,
}

impl Cancel {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        let client = self.target.client(layers)?;
        let job: Job = client.post(&format!("/api/v1/jobs/{}/cancel", self.id), None::<&()>).await?;
        let job = self.wait.follow(&client, job).await?;
        if !self.wait.is_on() {
            return self.format.print(&job, job_show::started);
        }
        self.format.print(&job, job_show::text)?;
        require_cancelled(&job)
    }
}
