//! `hostplane job watch`.

use std::time::Duration;

use clap::Args;
use hostplane_domain::ids::JobId;

use super::failure::Failure;
use super::job_show;
use super::output::OutputFormat;
use super::target::Target;
use super::wait::{self, require_completed};
use crate::api::wire::Job;
use crate::config::layers::Layers;

/// Follow a job until it has ended
#[derive(Debug, Args)]
pub(super) struct Watch {
    /// Id of the job
    id: JobId,
    /// Longest time to wait, such as 90s or 1h30m [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = wait::duration)]
    timeout: Option<Duration>,
    #[command(flatten)]
    format: OutputFormat,
    #[command(flatten)]
    target: Target,
}

impl Watch {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        let client = self.target.client(layers)?;
        let job: Job = client.get(&format!("/api/v1/jobs/{}", self.id)).await?;
        let job = wait::ended(&client, job, self.timeout).await?;
        self.format.print(&job, job_show::text)?;
        require_completed(&job)
    }
}
