//! `hostplane site logs`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use hostplane_domain::name::SiteName;
use tokio::time::sleep;

use super::failure::Failure;
use super::output::{Format, print, printable};
use super::target::Target;
use crate::api::logs::{LINES, MOST_LINES};
use crate::api::wire::{Line, Log};
use crate::client::Client;
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
        if self.follow { self.go_on(&client, &path, &log).await } else { Ok(()) }
    }

    /// Each container is asked for what comes after its own last line: read one after the other, the later answer
    /// may have a line that is newer than one that the earlier answer has not yet.
    async fn go_on(&self, client: &Client, path: &str, log: &Log) -> Result<(), Failure> {
        let last = |name: &str| log.lines.iter().rfind(|line| line.container == name).map(|line| line.time.clone());
        let followed = self.container.map_or_else(|| Container::value_variants().to_vec(), |container| vec![container]);
        let mut places: Vec<_> =
            followed.into_iter().map(|container| (container.as_str(), last(container.as_str()))).collect();
        loop {
            sleep(PAUSE).await;
            let mut news = Log { lines: Vec::new() };
            for (container, last) in &mut places {
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
