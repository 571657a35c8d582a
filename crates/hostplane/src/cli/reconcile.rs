//! `hostplane reconcile`.

use clap::Args;

use super::drift;
use super::failure::Failure;
use super::output::Format;
use super::target::Target;
use crate::api::wire::Reconciled;
use crate::config::layers::Layers;

/// Look at everything now, and show what is not as it should be
///
/// What can safely be mended is being mended then, by jobs: `hostplane job list --operation repair`.
#[derive(Debug, Args)]
pub(super) struct Reconcile {
    /// Look into every site too: limits, settings, WordPress, the front page
    #[arg(long, alias = "inside")]
    deep: bool,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    target: Target,
}

impl Reconcile {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        let client = self.target.client(layers)?;
        let path = if self.deep { "/api/v1/reconcile?deep=true" } else { "/api/v1/reconcile" };
        let found: Reconciled = client.post(path, None::<&()>).await?;
        if let Some(trouble) = &found.drifts.trouble {
            eprintln!("not everything could be seen: {trouble}");
        }
        if !found.complete {
            eprintln!("the look goes on; `hostplane drift` shows what it finds");
        }
        self.format.print(&found, |found| drift::text(&found.drifts))
    }
}
