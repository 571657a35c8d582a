//! `hostplane token create`.

use std::time::Duration;

use clap::Args;
use hostplane_domain::token::{TokenName, TokenScope};

use super::failure::Failure;
use super::output::{OutputFormat, facts};
use super::target::Target;
use super::wait::duration;
use crate::api::wire::{CreateToken, CreatedToken};
use crate::config::layers::Layers;

/// Create a token of the API; it is shown only once
#[derive(Debug, Args)]
pub(super) struct Create {
    /// Name of the token, such as its user or purpose
    name: TokenName,
    /// Rights of the token: read (everything but credentials), operate (also start operations) or admin (also create and
    /// revoke tokens)
    #[arg(long)]
    scope: TokenScope,
    /// Time until it expires, such as 90d or 12h [default: never]
    #[arg(long, value_name = "TIME", value_parser = life)]
    expires_in: Option<Duration>,
    #[command(flatten)]
    format: OutputFormat,
    #[command(flatten)]
    target: Target,
}

/// Parses days, or any time that [`duration`] takes.
fn life(text: &str) -> Result<Duration, &'static str> {
    let expected = "expected a time such as 90d, 12h or 30m";
    let life = match text.strip_suffix('d').map(str::parse::<u32>) {
        Some(Ok(days)) => Duration::from_hours(24 * u64::from(days)),
        _ => duration(text).map_err(|_| expected)?,
    };
    // The API takes whole seconds.
    if life.as_secs() == 0 { Err(expected) } else { Ok(life) }
}

impl Create {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        let client = self.target.client(layers)?;
        let expires_in = self.expires_in.map(|life| life.as_secs());
        let request = CreateToken { name: self.name.to_string(), scope: self.scope, expires_in };
        let created: CreatedToken = client.post("/api/v1/tokens", Some(&request)).await?;
        if !self.format.json {
            eprintln!("The token is shown only this once.");
        }
        self.format.print(&created, |created| {
            facts([
                ("token", created.token.clone()),
                ("id", created.id.to_string()),
                ("scope", created.scope.to_string()),
                ("expires", created.expires_at.clone().unwrap_or_else(|| "never".to_owned())),
            ])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_a_unit_too() {
        assert_eq!(life("90d"), Ok(Duration::from_hours(90 * 24)));
        assert_eq!(life("12h"), Ok(Duration::from_hours(12)));
        for bad in ["", "d", "0d", "-1d", "99999999999d", "1ms", "soon", "1y"] {
            assert!(life(bad).is_err(), "{bad:?}");
        }
    }
}
