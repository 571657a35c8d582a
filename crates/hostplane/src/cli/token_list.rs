//! `hostplane token list`.

use clap::Args;

use super::failure::Failure;
use super::output::OutputFormat;
use super::target::Target;
use crate::api::wire::{Page, Token};
use crate::config::layers::Layers;

/// List the tokens of the API
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
        let page: Page<Token> = client.list("/api/v1/tokens?", u32::MAX).await?;
        let row = |token: &Token| {
            vec![
                token.id.to_string(),
                token.name.clone(),
                token.scope.to_string(),
                token.created_at.clone(),
                token.expires_at.clone().unwrap_or_else(|| "never".to_owned()),
            ]
        };
        self.format.print_page(&page, &["id", "name", "scope", "created", "expires"], row)
    }
}
