//! `hostplane secret rotate`.

use std::time::Duration;

use clap::Args;
use tokio::time::{Instant, sleep};

use super::failure::Failure;
use super::output::{OutputFormat, confirm};
use super::secret_show::text;
use super::target::Target;
use super::wait::Timeout;
use crate::api::wire::Secret;
use crate::config::layers::Layers;

/// Pause between two requests for the progress.
const PAUSE: Duration = Duration::from_millis(500);

/// Give the installation a new secret, and every site a new database password and new keys
///
/// Users have to log in to their sites again. Passwords of WordPress's users stay.
#[derive(Debug, Args)]
pub(super) struct Rotate {
    /// Don't ask
    #[arg(long)]
    yes: bool,
    /// Wait until every site has its new password
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    timeout: Timeout,
    #[command(flatten)]
    format: OutputFormat,
    #[command(flatten)]
    target: Target,
}

impl Rotate {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        let client = self.target.client(layers)?;
        if !self.yes {
            let label = client.label();
            let question = format!(
                "This gives every site of {label} a new database password and new keys; all users have to log in again.\n\
                 Type yes: "
            );
            confirm(&question, "yes")?;
        }
        let mut secret: Secret = client.post("/api/v1/secret/rotate?confirm=rotate", None::<&()>).await?;
        eprintln!("the new secret is kept; back up `secret` in the control plane's HOSTPLANE_HOME again");
        let begun = Instant::now();
        while self.wait && secret.sites_behind > 0 {
            if begun.elapsed() >= self.timeout.timeout {
                return Err(Failure::Failed(format!(
                    "{} sites still have passwords from an older secret; `hostplane job list --operation rotate` shows \
                     what holds them up, and the rotation goes on",
                    secret.sites_behind
                )));
            }
            sleep(PAUSE).await;
            secret = client.get("/api/v1/secret").await?;
        }
        self.format.print(&secret, text)
    }
}
