//! `/metrics`, as Prometheus reads it.

use std::collections::BTreeSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use hostplane_domain::job::{JobState, OperationName};
use hostplane_domain::observed::Reason;
use hostplane_domain::status::SiteStatus;
use hostplane_engine::app::{SiteDisk, Statistics};
use metrics::{Label, counter, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;

use super::extract::Params;
use super::problem::ApiResult;
use super::state::Api;

/// Upper ends of the buckets of all durations, in seconds: from a call to the Engine to a site's unpacking.
const BUCKETS: [f64; 11] = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0];

/// The metrics of this process; `None` if the process had another recorder already.
static METRICS: LazyLock<Option<Metrics>> = LazyLock::new(Metrics::new);

/// Requests that showed no right token.
const REFUSED: &str = "hostplane_requests_refused_total";

/// Names and values, all from our own code.
type Labels = Vec<(&'static str, &'static str)>;

type ReportedGauges = BTreeSet<(&'static str, Labels)>;

struct Metrics {
    handle: PrometheusHandle,
    process: Collector,
    /// Gauges once reported. Each stays, and is 0 when nothing of its kind is left.
    reported: Mutex<ReportedGauges>,
}

/// Starts to count.
pub(super) fn install() {
    LazyLock::force(&METRICS);
}

/// Counts a request that showed no right token.
pub(super) fn refused(reason: &'static str) {
    counter!(REFUSED, "reason" => reason).increment(1);
}

impl Metrics {
    /// `None` if the process has another recorder already.
    fn new() -> Option<Self> {
        let recorder = PrometheusBuilder::new().set_buckets(&BUCKETS).ok()?.build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).ok()?;
        let process = Collector::default();
        process.describe();
        gauge!("hostplane_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1);
        start_at_zero();
        Some(Self { handle, process, reported: Mutex::default() })
    }

    /// All metrics, as Prometheus reads them. One scrape at a time: two at once would render each other's gauges.
    fn scrape(&self, statistics: &Statistics) -> String {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        set_gauges(statistics, &mut reported);
        self.process.collect();
        self.handle.run_upkeep();
        // A site's own gauges end with it, which the recorder's don't.
        self.handle.render() + &sites_gauges(&statistics.disk.sites)
    }
}

/// Sets every gauge.
#[expect(clippy::cast_precision_loss, reason = "nothing here is counted up to 2^52")]
fn set_gauges(statistics: &Statistics, reported: &mut ReportedGauges) {
    let mut now = Vec::new();
    for status in SiteStatus::ALL.iter().filter(|status| **status != SiteStatus::Destroyed) {
        let count = statistics.sites.iter().find(|(found, _)| found == status).map_or(0, |(_, count)| *count);
        now.push(("hostplane_sites", vec![("status", status.as_str())], count));
    }
    for (operation, state, count) in &statistics.jobs {
        let operation = operation.map_or("unknown", OperationName::as_str);
        let labels = vec![("operation", operation), ("state", state.as_str())];
        now.push(("hostplane_jobs", labels, *count));
    }
    for ((reason, remediation), count) in &statistics.drifts {
        now.push((
            "hostplane_drifts",
            vec![("reason", reason.as_str()), ("remediation", remediation.as_str())],
            *count,
        ));
    }
    for ((kind, reason), count) in &statistics.orphans {
        now.push(("hostplane_orphans", vec![("kind", kind.as_str()), ("reason", reason.as_str())], *count));
    }
    for (dependency, is_up) in &statistics.dependencies {
        now.push(("hostplane_dependency_up", vec![("dependency", dependency.as_str())], u64::from(*is_up)));
    }
    let restricted = statistics.disk.sites.iter().filter(|site| site.is_restricted).count();
    now.push(("hostplane_sites_above_soft_limit", Vec::new(), statistics.disk.above_soft as u64));
    now.push(("hostplane_sites_restricted", Vec::new(), restricted as u64));
    now.push(("hostplane_disk_reserve_bytes", Vec::new(), statistics.disk.reserve));
    if let Some(space) = statistics.disk.space {
        now.push(("hostplane_disk_bytes", vec![("of", "total")], space.total));
        now.push(("hostplane_disk_bytes", vec![("of", "free")], space.free));
        now.push(("hostplane_disk_inodes", vec![("of", "total")], space.inodes));
        now.push(("hostplane_disk_inodes", vec![("of", "free")], space.free_inodes));
    }
    now.push(("hostplane_database_stale", Vec::new(), u64::from(statistics.is_database_stale)));
    for (name, labels) in reported.iter() {
        set(name, labels, 0.0);
    }
    for (name, labels, count) in now {
        set(name, &labels, count as f64);
        reported.insert((name, labels));
    }
    if let Some(at) = statistics.scanned_at {
        set("hostplane_last_scan_timestamp_seconds", &[], at.0 as f64 / 1e6);
    }
}

/// The gauges of each site, as text.
fn sites_gauges(sites: &[SiteDisk]) -> String {
    type Value = fn(&SiteDisk) -> Option<u64>;
    let gauges: [(&str, Value); 3] = [
        ("hostplane_site_files_bytes", |site| site.measured.usage.files.map(|files| files.bytes)),
        ("hostplane_site_inodes", |site| site.measured.usage.files.map(|files| files.inodes)),
        ("hostplane_site_database_bytes", |site| site.measured.usage.database),
    ];
    let mut text = String::new();
    for (name, value) in gauges {
        let values = sites.iter().filter_map(|site| Some((&site.name, value(site)?)));
        let lines: Vec<String> = values.map(|(site, value)| format!("{name}{{site=\"{site}\"}} {value}\n")).collect();
        if !lines.is_empty() {
            text.extend([format!("# TYPE {name} gauge\n"), lines.concat(), "\n".to_owned()]);
        }
    }
    text
}

/// Starts every counter at 0: Prometheus misses the first event of a counter that wasn't there before.
fn start_at_zero() {
    let ends = [JobState::Completed, JobState::Failed, JobState::Cancelled, JobState::NeedsOperator];
    for operation in OperationName::ALL {
        for state in ends {
            let labels = [("operation", operation.as_str()), ("state", state.as_str())];
            counter!("hostplane_jobs_ended_total", &labels).absolute(0);
        }
    }
    for reason in Reason::ALL {
        counter!("hostplane_drifts_detected_total", "reason" => reason.as_str()).absolute(0);
        counter!("hostplane_repairs_ordered_total", "reason" => reason.as_str()).absolute(0);
    }
    for reason in ["no_token", "wrong_token", "throttled"] {
        counter!(REFUSED, "reason" => reason).absolute(0);
    }
    for outcome in ["ok", "failed"] {
        counter!("hostplane_scans_total", "outcome" => outcome).absolute(0);
    }
}

fn set(name: &'static str, labels: &[(&'static str, &'static str)], value: f64) {
    let labels: Vec<Label> = labels.iter().map(|(key, value)| Label::from_static_parts(key, value)).collect();
    gauge!(name, labels).set(value);
}

pub(super) async fn show(State(api): State<Api>, params: Params) -> ApiResult<Response> {
    params.only(&[])?;
    let text = match &*METRICS {
        Some(metrics) => {
            let statistics = api.app.statistics().await?;
            metrics.scrape(&statistics)
        }
        None => String::new(),
    };
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}
