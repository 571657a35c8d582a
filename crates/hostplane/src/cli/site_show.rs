//! `hostplane site show`.

use clap::Args;
use hostplane_domain::disk::Size;
use hostplane_domain::name::SiteName;

use super::failure::Failure;
use super::output::{OutputFormat, facts, or_dash, table};
use super::target::Target;
use crate::api::wire::{ContainerLimits, Drift, Limits, Php, Resource, Site, Usage};
use crate::config::layers::Layers;

/// Show a site with its resources
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Name of the site
    name: SiteName,
    #[command(flatten)]
    format: OutputFormat,
    #[command(flatten)]
    target: Target,
}

impl Show {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        let client = self.target.client(layers)?;
        let site: Site = client.get(&format!("/api/v1/sites/{}", self.name)).await?;
        self.format.print(&site, text)
    }
}

fn yes_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

fn limits(limits: &Limits) -> String {
    let of = |limits: &ContainerLimits| {
        let [memory, pids] = [limits.memory_mib, limits.pids].map(or_dash);
        format!("{memory} MiB, {}, {pids} processes", limits.cpu_milli.map_or_else(String::new, cpu))
    };
    let [workers, connections, upload] =
        [limits.php_workers, limits.database_connections, limits.upload_mib].map(or_dash);
    format!(
        "PHP {}, {workers} workers; nginx {}; {connections} database connections; uploads up to {upload} MiB",
        of(&limits.php),
        of(&limits.nginx)
    )
}

fn php(php: &Php) -> String {
    let [memory, seconds, fields, opcache] =
        [php.memory_mib, php.max_execution_seconds, php.max_input_vars, php.opcache_mib].map(or_dash);
    let editor = if php.disallow_file_edit == Some(true) { "no editor" } else { "an editor" };
    format!(
        "{memory} MiB and {seconds} s for a request, {fields} fields in a form, {opcache} MiB of compiled code; \
         {editor} for code in wp-admin"
    )
}

fn cpu(milli: u32) -> String {
    if milli == 0 { "no limit of CPU".to_owned() } else { format!("{}.{:03} CPU", milli / 1000, milli % 1000) }
}

fn disk(usage: &Usage, restricted: bool) -> String {
    let size = |bytes: Option<u64>| or_dash(bytes.map(Size));
    let state = if restricted { "; used up: no uploads and no new posts" } else { "" };
    format!(
        "{} of files ({} inodes), {} of database{state}",
        size(usage.files_bytes),
        or_dash(usage.inodes),
        size(usage.database_bytes)
    )
}

fn text(site: &Site) -> String {
    let about = facts([
        ("name", site.name.clone()),
        ("status", site.status.to_string()),
        ("url", site.url.clone()),
        ("kind", site.kind.clone()),
        ("suspended", yes_no(site.suspended)),
        ("disk", site.usage.as_ref().map_or_else(|| "-".to_owned(), |usage| disk(usage, site.restricted))),
        ("upgrade pending", yes_no(site.upgrade_pending)),
        ("limits", site.limits.as_ref().map_or_else(|| "-".to_owned(), limits)),
        ("PHP", site.php.as_ref().map_or_else(|| "-".to_owned(), php)),
        ("id", site.id.to_string()),
        ("active job", or_dash(site.active_job)),
        ("created", site.created_at.clone()),
        ("updated", site.updated_at.clone()),
    ]);
    let row = |found: &Resource| {
        let detail = found.detail.clone().unwrap_or_default();
        vec![found.kind.to_string(), found.name.clone(), found.state.clone(), detail]
    };
    let resources = site.resources.iter().flatten().map(row);
    let resources = table(&["resource", "name", "state", "detail"], resources);
    let drifts: Vec<&Drift> = site.drift.iter().flatten().collect();
    if drifts.is_empty() {
        return format!("{about}\n\n{resources}");
    }
    let row = |drift: &&Drift| {
        vec![drift.resource.to_string(), drift.reason.to_string(), drift.remediation.to_string(), drift.detail.clone()]
    };
    let drifts = table(&["drift", "reason", "remediation", "detail"], drifts.iter().map(row));
    format!("{about}\n\n{resources}\n\n{drifts}")
}
