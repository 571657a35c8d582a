//! `hostplane doctor`.

use clap::Args;

use super::failure::Failure;
use super::output::{Format, print, printable};
use super::target::Target;
use crate::api::wire::{Examined, Finding};
use crate::config::layers::Layers;

/// Look at all that has to work, into every site too, and say what to do about what doesn't
///
/// Exit code 1 when something doesn't work, 3 when the control plane can't be reached.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    target: Target,
}

impl Doctor {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        let client = self.target.client(layers)?;
        let examined: Examined = client.get("/api/v1/doctor").await?;
        if self.format.json {
            self.format.print(&examined, text)?;
        } else {
            print(&text(&examined))?;
        }
        if examined.healthy { Ok(()) } else { Err(Failure::Reported) }
    }
}

fn text(examined: &Examined) -> String {
    let mut lines: Vec<String> = examined.findings.iter().map(line).collect();
    let count = |severity: &str| examined.findings.iter().filter(|finding| finding.severity == severity).count();
    lines.push(format!("{} errors, {} warnings", count("error"), count("warning")));
    lines.join("\n")
}

fn line(finding: &Finding) -> String {
    let Finding { severity, check, site, message, hint } = finding;
    let site = site.as_ref().map_or_else(String::new, |site| format!(" {site}"));
    let hint = hint.as_ref().map_or_else(String::new, |hint| format!("\n         → {hint}"));
    printable(&format!("{severity:7}  {check}{site}: {message}{hint}"))
}
