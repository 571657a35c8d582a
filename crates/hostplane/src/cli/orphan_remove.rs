//! `hostplane orphan remove`.

use clap::Args;
use hostplane_engine::app::OrphanId;

use super::failure::Failure;
use super::job_show;
use super::output::{OutputFormat, confirm};
use super::printable::printable;
use super::target::Target;
use super::wait::{Wait, require_completed};
use crate::api::wire::{Job, Orphan, Orphans};
use crate::config::layers::Layers;

/// Remove an orphaned resource with its data
///
/// Orphans without data that are in its way, such as a container that uses a volume, are removed too.
#[derive(Debug, Args)]
pub(super) struct Remove {
    /// Id of the orphan
    id: OrphanId,
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

impl Remove {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        let client = self.target.client(layers)?;
        let id = self.id.as_str();
        let orphans: Orphans = client.get("/api/v1/orphans").await?;
        let found = orphans.items.into_iter().find(|orphan| orphan.id == id);
        let Some(Orphan { kind, name, site, detail, .. }) = found else {
            let message = format!("{} knows no orphan {id}; `hostplane orphan list` shows all", client.label());
            return Err(Failure::Failed(message));
        };
        if !self.yes {
            let question = format!(
                "This removes the {kind} {name} of {} with its data. Its mark names the site {site}: {detail}.\n\
                 Type its name: ",
                client.label()
            );
            confirm(&printable(&question), &name)?;
        }
        let job: Option<Job> = client.delete(&format!("/api/v1/orphans/{id}?confirm={name}")).await?;
        let Some(job) = job else {
            eprintln!("the {kind} {} is gone", printable(&name));
            return Ok(());
        };
        let job = self.wait.follow(&client, job).await?;
        if !self.wait.is_on() {
            return self.format.print(&job, job_show::started);
        }
        if self.format.json {
            self.format.print(&job, job_show::text)?;
        }
        require_completed(&job)?;
        eprintln!("the {kind} {} is gone", printable(&name));
        Ok(())
    }
}
