//! `hostplane site create`.

use clap::Args;
use hostplane_domain::name::SiteName;

use super::failure::Failure;
use super::job_show;
use super::output::{OutputFormat, facts};
use super::target::Target;
use super::wait::{Wait, require_completed};
use crate::api::wire::{CreateSite, Job, Site};
use crate::config::layers::Layers;

/// Create a WordPress site
#[derive(Debug, Args)]
pub(super) struct Create {
    /// Name of the site: a-z, 0-9 and -, a letter first
    name: SiteName,
    /// Title of the site [default: the name]
    #[arg(long)]
    title: Option<String>,
    /// Login name of the first administrator [default: admin]
    #[arg(long, value_name = "NAME")]
    admin_user: Option<String>,
    /// E-mail address of the first administrator [default: admin at the site's host name]
    #[arg(long, value_name = "ADDRESS")]
    admin_email: Option<String>,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    format: OutputFormat,
    #[command(flatten)]
    target: Target,
}

impl Create {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        let client = self.target.client(layers)?;
        let request = CreateSite {
            name: self.name.to_string(),
            kind: "wordpress",
            title: self.title,
            admin_user: self.admin_user,
            admin_email: self.admin_email,
        };
        let job: Job = client.post("/api/v1/sites", Some(&request)).await?;
        let job = self.wait.follow(&client, job).await?;
        if self.format.json || !self.wait.is_on() {
            self.format.print(&job, job_show::started)?;
            return if self.wait.is_on() { require_completed(&job) } else { Ok(()) };
        }
        require_completed(&job)?;
        let site: Site = client.get(&format!("/api/v1/sites/{}", self.name)).await?;
        self.format.print(&site, |site| {
            facts([
                ("site", site.name.clone()),
                ("url", site.url.clone()),
                ("next", format!("hostplane site credentials {}", site.name)),
            ])
        })
    }
}
