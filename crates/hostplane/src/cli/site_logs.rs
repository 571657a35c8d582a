//! `hostplane site logs`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use hostplane_domain::name::SiteName;
use tokio::time::sleep;

use super::failure::Failure;
use super::output::{OutputFormat, print};
use super::printable::printable;
use super::target::Target;
use crate::api::logs::{LINES, MOST_LINES};
use crate::api::wire::{Line, Log};
use crate::client::Client;
use crate::config::layers::Layers;

/// Pause between two requests for new lines.
const PAUSE: Duration = Duration::from_secs(1);

/// Show the logs of a site's containers: nginx's requests, and messages of PHP and WordPress
#[derive(Debug, Args)]
pub(super) struct Logs {
    /// Name of the site
    name: SiteName,
    /// Only of this container
    #[arg(long, value_enum)]
    container: Option<Container>,
    /// Number of the newest lines
    #[arg(long, short = 'n', value_name = "N", default_value_t = LINES,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_LINES)))]
    lines: u32,
    /// Follow new lines until interrupted
    #[arg(long, short, conflicts_with = "json")]
    follow: bool,
    #[command(flatten)]
    format: OutputFormat,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Container {
    Php,
    Nginx,
}

impl Container {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Php => "php",
            Self::Nginx => "nginx",
        }
    }
}

impl Logs {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        let client = self.target.client(layers)?;
        let path = format!("/api/v1/sites/{}/logs", self.name);
        let container =
            self.container.map_or_else(String::new, |container| format!("&container={}", container.as_str()));
        let log: Log = client.get(&format!("{path}?lines={}{container}", self.lines)).await?;
        if self.format.json {
            return self.format.print(&log, text);
        }
        if !log.lines.is_empty() {
            print(&text(&log))?;
        }
        if self.follow { self.follow_lines(&client, &path, &log).await } else { Ok(()) }
    }

    /// Follows each container from its own last line: the answers come one after the other, so a line of the later
    /// answer may be newer than a line that the earlier answer lacked.
    async fn follow_lines(&self, client: &Client, path: &str, log: &Log) -> Result<(), Failure> {
        let last = |name: &str| log.lines.iter().rfind(|line| line.container == name).map(|line| line.time.clone());
        let followed = self.container.map_or_else(|| Container::value_variants().to_vec(), |container| vec![container]);
        let mut positions: Vec<_> =
            followed.into_iter().map(|container| (container.as_str(), last(container.as_str()))).collect();
        loop {
            sleep(PAUSE).await;
            let mut news = Log { lines: Vec::new() };
            for (container, last) in &mut positions {
                // Before the first line there is none to go on from.
                let after = last.as_ref().map_or_else(String::new, |time| format!("&after={time}"));
                let path = format!("{path}?lines={MOST_LINES}&container={container}{after}");
                let found: Log = client.get(&path).await?;
                *last = found.lines.last().map(|line| line.time.clone()).or(last.take());
                news.lines.extend(found.lines);
            }
            news.lines.sort_by(|one, other| one.time.cmp(&other.time));
            if !news.lines.is_empty() {
                print(&text(&news))?;
            }
        }
    }
}

fn text(log: &Log) -> String {
    let line = |line: &Line| format!("{} {:5} {}\n", line.time, line.container, printable(&line.text));
    log.lines.iter().map(line).collect()
}
