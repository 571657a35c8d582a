//! `hostplane reconcile`.

use clap::Args;

use super::drift;
use super::failure::Failure;
use super::output::OutputFormat;
use super::target::Target;
use crate::api::wire::ReconcileResult;
use crate::config::layers::Layers;

/// Scan all sites now, and show their drift
///
/// Jobs repair drift where that is safe: `hostplane job list --operation repair`.
#[derive(Debug, Args)]
pub(super) struct Reconcile {
    /// Scan inside every site too: limits, settings, WordPress, the front page
    #[arg(long, alias = "inside")]
    deep: bool,
    #[command(flatten)]
    format: OutputFormat,
    #[command(flatten)]
    target: Target,
}

impl Reconcile {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        let client = self.target.client(layers)?;
        let path = if self.deep { "/api/v1/reconcile?deep=true" } else { "/api/v1/reconcile" };
        let found: ReconcileResult = client.post(path, None::<&()>).await?;
        if let Some(trouble) = &found.drifts.trouble {
            eprintln!("the scan was incomplete: {trouble}");
        }
        if !found.complete {
            eprintln!("the scan goes on; `hostplane drift` shows its result");
        }
        self.format.print(&found, |found| drift::text(&found.drifts))
    }
}
