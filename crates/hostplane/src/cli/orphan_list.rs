//! `hostplane orphan list`.

use clap::Args;

use super::failure::Failure;
use super::output::{OutputFormat, table};
use super::target::Target;
use crate::api::wire::{Orphan, Orphans};
use crate::config::layers::Layers;

/// List orphaned resources
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    format: OutputFormat,
    #[command(flatten)]
    target: Target,
}

impl List {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        let client = self.target.client(layers)?;
        let orphans: Orphans = client.get("/api/v1/orphans").await?;
        self.format.print(&orphans, |orphans| {
            let row = |orphan: &Orphan| {
                vec![
                    orphan.id.clone(),
                    orphan.kind.clone(),
                    orphan.name.clone(),
                    orphan.site.clone(),
                    orphan.reason.clone(),
                    orphan.first_seen.clone(),
                    orphan.detail.clone(),
                ]
            };
            table(&["id", "kind", "name", "site", "reason", "first seen", "detail"], orphans.items.iter().map(row))
        })
    }
}
