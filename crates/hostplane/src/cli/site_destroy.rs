//! `hostplane site destroy`.

use clap::Args;
use hostplane_domain::name::SiteName;

use super::failure::Failure;
use super::job_show;
use super::output::{OutputFormat, confirm};
use super::target::Target;
use super::wait::{Wait, require_completed};
use crate::api::wire::Job;
use crate::config::layers::Layers;

/// Destroy a site with its files and its database
#[derive(Debug, Args)]
pub(super) struct Destroy {
    /// Name of the site
    name: SiteName,
    /// Don't ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    format: OutputFormat,
    #[command(flatten)]
    target: Target,
}

impl Destroy {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        let client = self.target.client(layers)?;
        let name = &self.name;
        if !self.yes {
            let question = format!(
                "This removes the site {name} of {} with its files and its database.\nType its name: ",
                client.label()
            );
            confirm(&question, name.as_str())?;
        }
        let job: Job = client.delete(&format!("/api/v1/sites/{name}?confirm={name}")).await?;
        let job = self.wait.follow(&client, job).await?;
        if !self.wait.is_on() {
            return self.format.print(&job, job_show::started);
        }
        if self.format.json {
            self.format.print(&job, job_show::text)?;
            return require_completed(&job);
        }
        require_completed(&job)?;
        eprintln!("site {name} is gone, and nothing of it is left");
        Ok(())
    }
}
