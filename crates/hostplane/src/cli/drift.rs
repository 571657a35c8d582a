//! `hostplane drift`.

use clap::Args;
use hostplane_domain::name::SiteName;

use super::failure::Failure;
use super::output::{OutputFormat, table};
use super::target::Target;
use crate::api::wire::{Drift, Drifts};
use crate::config::layers::Layers;

/// Show the drift of all sites, as last scanned
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Only of this site
    #[arg(long)]
    site: Option<SiteName>,
    #[command(flatten)]
    format: OutputFormat,
    #[command(flatten)]
    target: Target,
}

impl Show {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        let client = self.target.client(layers)?;
        let query = self.site.map_or_else(String::new, |site| format!("?site={site}"));
        let drifts: Drifts = client.get(&format!("/api/v1/drift{query}")).await?;
        if let Some(trouble) = &drifts.trouble {
            eprintln!("the last scan was incomplete: {trouble}");
        }
        self.format.print(&drifts, text)
    }
}

pub(super) fn text(drifts: &Drifts) -> String {
    let Some(scanned_at) = &drifts.scanned_at else {
        return "no scan since the control plane started; `hostplane reconcile` scans now".to_owned();
    };
    if drifts.items.is_empty() {
        return format!("no drift as of {scanned_at}");
    }
    let row = |drift: &Drift| {
        vec![
            drift.site.clone(),
            drift.resource.to_string(),
            drift.name.clone(),
            drift.reason.to_string(),
            drift.remediation.to_string(),
            drift.detail.clone(),
        ]
    };
    table(&["site", "resource", "name", "reason", "remediation", "detail"], drifts.items.iter().map(row))
}
