//! `hostplane token revoke`.

use clap::Args;
use hostplane_domain::ids::TokenId;

use super::failure::Failure;
use super::target::Target;
use crate::config::layers::Layers;

/// Revoke a token of the API at once
#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// Id of the token
    id: TokenId,
    #[command(flatten)]
    target: Target,
}

impl Revoke {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        let client = self.target.client(layers)?;
        client.delete::<()>(&format!("/api/v1/tokens/{}", self.id)).await?;
        eprintln!("the token is no longer valid");
        Ok(())
    }
}
