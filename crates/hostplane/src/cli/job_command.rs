//! What commands have in common that order something about a site or a job that is there.

use clap::Args;
use serde::Serialize;

use super::failure::Failure;
use super::job_show;
use super::output::Format;
use super::target::Target;
use super::wait::Wait;
use crate::api::wire::Job;
use crate::client::Client;
use crate::config::layers::Layers;

/// What such a command takes besides.
#[derive(Debug, Args)]
pub(super) struct JobCommand {
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    target: Target,
}

impl JobCommand {
    /// Gives the order and shows its job; with `--wait`, as it ended, and then `judge` says whether that is well.
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

    /// The same with a body that changes what is there.
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
