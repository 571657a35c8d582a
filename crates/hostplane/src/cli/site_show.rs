//! `hostplane site show`.

use clap::Args;
use hostplane_domain::name::SiteName;

use super::failure::Failure;
use super::output::{Format, facts, or_dash, table};
use super::target::Target;
use crate::api::wire::{Resource, Site};
use crate::config::layers::Layers;

/// Show a site with its resources
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Its name
    name: SiteName,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    target: Target,
}

impl Show {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        let client = self.target.client(layers)?;
        let site: Site = client.get(&format!("/api/v1/sites/{}", self.name)).await?;
        self.format.print(&site, text)
    }
}

fn text(site: &Site) -> String {
    let about = facts([
        ("name", site.name.clone()),
        ("status", site.status.to_string()),
        ("url", site.url.clone()),
        ("kind", site.kind.clone()),
        ("id", site.id.to_string()),
        ("active job", or_dash(site.active_job)),
        ("created", site.created_at.clone()),
        ("updated", site.updated_at.clone()),
    ]);
    let row = |found: &Resource| {
        let detail = found.detail.clone().unwrap_or_default();
        vec![found.kind.to_string(), found.name.clone(), found.state.clone(), detail]
    };
    let resources = site.resources.iter().flatten().map(row);
    format!("{about}\n\n{}", table(&["resource", "name", "state", "detail"], resources))
}
