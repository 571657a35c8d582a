//! `hostplane site upgrade`.

use clap::Args;
use futures_util::stream::{FuturesUnordered, StreamExt};
use hostplane_domain::name::SiteName;

use super::failure::Failure;
use super::output::{OutputFormat, report_unreadable, table};
use super::target::Target;
use super::wait::{Timeout, ended_quietly, require_completed};
use crate::api::wire::{Job, Page, Site, UnreadableRow};
use crate::client::Client;
use crate::config::layers::Layers;

/// Upgrade sites to the images of new sites, and wait until each has answered
///
/// An upgrade that fails is rolled back. After so many failures no other begins.
#[derive(Debug, Args)]
pub(super) struct Upgrade {
    /// Names of the sites
    #[arg(required_unless_present = "all")]
    names: Vec<SiteName>,
    /// Every site whose upgrade is pending
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// Number of upgrades at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    at_once: u16,
    /// Failures after which no other upgrade begins
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    max_failures: u16,
    #[command(flatten)]
    timeout: Timeout,
    #[command(flatten)]
    format: OutputFormat,
    #[command(flatten)]
    target: Target,
}

impl Upgrade {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        let client = self.target.client(layers)?;
        let (names, unreadable) = if self.all {
            pending(&client).await?
        } else {
            (self.names.iter().map(ToString::to_string).collect(), Vec::new())
        };
        let mut waiting = names.into_iter();
        let mut running = FuturesUnordered::new();
        let (mut done, mut failures) = (Vec::new(), Vec::new());
        loop {
            while failures.len() < usize::from(self.max_failures) && running.len() < usize::from(self.at_once) {
                let Some(name) = waiting.next() else { break };
                running.push(self.upgrade(&client, name));
            }
            match running.next().await {
                None => break,
                Some(Ok(job)) => {
                    failures.extend(require_completed(&job).err());
                    done.push(job);
                }
                Some(Err(failure)) => failures.push(failure),
            }
        }
        let rest: Vec<String> = waiting.collect();
        self.format.print(&done, |jobs| {
            let row = |job: &Job| vec![job.site.clone(), job.state.to_string(), job.id.to_string()];
            table(&["site", "upgrade", "job"], jobs.iter().map(row))
        })?;
        report_unreadable(&unreadable);
        if !rest.is_empty() {
            eprintln!("not started: {}", rest.join(", "));
        }
        // Each is said; the first decides how the command ends.
        for failure in failures.iter().skip(1) {
            if let Failure::Failed(message) = failure {
                eprintln!("{message}");
            }
        }
        match failures.into_iter().next() {
            None if unreadable.is_empty() => Ok(()),
            None => Err(Failure::Failed("the sites whose rows can't be read were not upgraded".to_owned())),
            Some(failure) => Err(failure),
        }
    }

    async fn upgrade(&self, client: &Client, name: String) -> Result<Job, Failure> {
        let job: Job = client.post(&format!("/api/v1/sites/{name}/upgrade"), None::<&()>).await?;
        ended_quietly(client, job, self.timeout.timeout).await
    }
}

/// The sites whose upgrade is pending, by name, and those of which that is unknown.
async fn pending(client: &Client) -> Result<(Vec<String>, Vec<UnreadableRow>), Failure> {
    let page: Page<Site> = client.list("/api/v1/sites?status=ACTIVE", u32::MAX).await?;
    let names = page.items.into_iter().filter(|site| site.upgrade_pending).map(|site| site.name).collect();
    Ok((names, page.unreadable))
}
