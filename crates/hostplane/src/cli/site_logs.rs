//! `hostplane site logs`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use hostplane_domain::name::SiteName;
use tokio::time::sleep;

use super::failure::Failure;
use super::output::{Format, print, printable};
use super::target::Target;
use crate::api::inside::{LINES, MOST_LINES};
use crate::api::wire::{Line, Log};
use crate::config::layers::Layers;

/// Between two looks for new lines.
const PAUSE: Duration = Duration::from_secs(1);

/// Show what a site's containers have printed: nginx's requests, and what PHP and WordPress report
#[derive(Debug, Args)]
pub(super) struct Logs {
    /// Its name
    name: SiteName,
    /// Only of this container
    #[arg(long, value_enum)]
    container: Option<Container>,
    /// The newest so many lines
    #[arg(long, short = 'n', value_name = "N", default_value_t = LINES,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_LINES)))]
    lines: u32,
    /// Go on with what is printed from now on, until interrupted
    #[arg(long, short, conflicts_with = "json")]
    follow: bool,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Container {
    Php,
    Nginx,
}

impl Logs {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        let client = self.target.client(layers)?;
        let container = match self.container {
            None => "",
            Some(Container::Php) => "&container=php",
            Some(Container::Nginx) => "&container=nginx",
        };
        let path = format!("/api/v1/sites/{}/logs", self.name);
        let mut log: Log = client.get(&format!("{path}?lines={}{container}", self.lines)).await?;
        if self.format.json {
            return self.format.print(&log, text);
        }
        let mut last = None;
        loop {
            if !log.lines.is_empty() {
                print(&text(&log))?;
            }
            last = log.lines.pop().map(|line| line.time).or(last);
            if !self.follow {
                return Ok(());
            }
            sleep(PAUSE).await;
            // Before the first line there is none to go on from.
            let after = last.as_ref().map_or_else(String::new, |time| format!("&after={time}"));
            log = client.get(&format!("{path}?lines={MOST_LINES}{container}{after}")).await?;
        }
    }
}

fn text(log: &Log) -> String {
    let line = |line: &Line| format!("{} {:5} {}\n", line.time, line.container, printable(&line.text));
    log.lines.iter().map(line).collect()
}
