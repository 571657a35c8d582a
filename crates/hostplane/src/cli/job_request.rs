//! A request about an existing site or job that is answered with a job.

use clap::Args;
use serde::Serialize;

use super::failure::Failure;
use super::job_show;
use super::output::OutputFormat;
use super::target::Target;
use super::wait::Wait;
use crate::api::wire::Job;
use crate::client::Client;
use crate::config::layers::Layers;

/// Options of such a request.
#[derive(Debug, Args)]
pub(super) struct JobRequest {
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    format: OutputFormat,
    #[command(flatten)]
    target: Target,
}

impl JobRequest {
    /// Sends the request and shows its job. With `--wait` it shows the end, and `judge` decides the exit code.
    pub async fn post(
        self,
        layers: &Layers,
        path: &str,
        judge: fn(&Job) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let client = self.target.client(layers)?;
        let job = client.post(path, None::<&()>).await?;
        self.follow(&client, job, judge).await
    }

    /// Sends a `PATCH` with a body, and shows its job as [`Self::post`] does.
    pub async fn patch(
        self,
        layers: &Layers,
        path: &str,
        body: &impl Serialize,
        judge: fn(&Job) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let client = self.target.client(layers)?;
        let job = client.patch(path, body).await?;
        self.follow(&client, job, judge).await
    }

    async fn follow(&self, client: &Client, job: Job, judge: fn(&Job) -> Result<(), Failure>) -> Result<(), Failure> {
        let job = self.wait.follow(client, job).await?;
        if !self.wait.is_on() {
            return self.format.print(&job, job_show::started);
        }
        self.format.print(&job, job_show::text)?;
        judge(&job)
    }
}
