//! `hostplane site list`.

use clap::Args;
use hostplane_domain::name::SiteNamePrefix;
use hostplane_domain::status::SiteStatus;

use super::failure::Failure;
use super::output::{OutputFormat, or_dash};
use super::target::Target;
use crate::api::wire::{Page, Site};
use crate::config::layers::Layers;

/// List sites
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only those of this status, such as ACTIVE or FAILED
    #[arg(long)]
    status: Option<SiteStatus>,
    /// Only those whose name begins like this
    #[arg(long)]
    prefix: Option<SiteNamePrefix>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = u32::MAX, hide_default_value = true)]
    limit: u32,
    #[command(flatten)]
    format: OutputFormat,
    #[command(flatten)]
    target: Target,
}

impl List {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        let client = self.target.client(layers)?;
        let status = self.status.map(|status| format!("status={status}"));
        let prefix = self.prefix.map(|prefix| format!("prefix={prefix}"));
        let query: Vec<String> = status.into_iter().chain(prefix).collect();
        let page: Page<Site> = client.list(&format!("/api/v1/sites?{}", query.join("&")), self.limit).await?;
        let row = |site: &Site| {
            let mut notes = Vec::new();
            notes.extend(site.suspended.then_some("suspended"));
            notes.extend(site.restricted.then_some("disk space used up"));
            notes.extend(site.upgrade_pending.then_some("upgrade pending"));
            let (name, status, url) = (site.name.clone(), site.status.to_string(), site.url.clone());
            vec![name, status, url, or_dash(site.active_job), notes.join(", ")]
        };
        self.format.print_page(&page, &["name", "status", "url", "active job", "notes"], row)
    }
}
