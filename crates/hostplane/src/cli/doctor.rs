//! `hostplane doctor`.

use clap::Args;

use super::failure::Failure;
use super::output::{OutputFormat, print};
use super::printable::printable;
use super::target::Target;
use crate::api::wire::{DoctorReport, Finding};
use crate::config::layers::Layers;

/// Check the installation and every site, and suggest fixes
///
/// Exit code 1 if a check finds an error, 3 if the control plane can't be reached.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    format: OutputFormat,
    #[command(flatten)]
    target: Target,
}

impl Doctor {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        let client = self.target.client(layers)?;
        let report: DoctorReport = client.get("/api/v1/doctor").await?;
        if self.format.json {
            self.format.print(&report, text)?;
        } else {
            print(&text(&report))?;
        }
        if report.healthy { Ok(()) } else { Err(Failure::Reported) }
    }
}

fn text(report: &DoctorReport) -> String {
    let mut lines: Vec<String> = report.findings.iter().map(line).collect();
    let count = |severity: &str| report.findings.iter().filter(|finding| finding.severity == severity).count();
    lines.push(format!("{} errors, {} warnings", count("error"), count("warning")));
    lines.join("\n")
}

fn line(finding: &Finding) -> String {
    let Finding { severity, check, site, message, hint } = finding;
    let site = site.as_ref().map_or_else(String::new, |site| format!(" {site}"));
    let hint = hint.as_ref().map_or_else(String::new, |hint| format!("\n         → {hint}"));
    printable(&format!("{severity:7}  {check}{site}: {message}{hint}"))
}
