//! Drift, and the result of a scan.

use hostplane_domain::drift::{Drift as DomainDrift, Remediation};
use hostplane_domain::naming::{self, ResourceKind};
use hostplane_domain::observed::Reason;
use hostplane_engine::app::{DriftReport, SiteDrift};
use serde::{Deserialize, Serialize};

use super::time::time;

/// A difference between the desired and the observed state of a resource.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Drift {
    pub site: String,
    pub resource: ResourceKind,
    pub name: String,
    pub reason: Reason,
    /// `way` is its name in version 0.1.
    #[serde(alias = "way")]
    pub remediation: Remediation,
    pub detail: String,
    pub seen_at: String,
}

/// Drift of all sites.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Drifts {
    /// Time of the last full scan. A server of version 0.1 sends it under another name, so here it is missing then.
    pub scanned_at: Option<String>,
    /// Reason why the last full scan was incomplete.
    pub trouble: Option<String>,
    pub items: Vec<Drift>,
}

/// Result of a scan on request.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReconcileResult {
    /// False if the scan still goes on.
    pub complete: bool,
    #[serde(flatten)]
    pub drifts: Drifts,
}

pub(super) fn drifts_of(site: &SiteDrift) -> Vec<Drift> {
    let drift = |drift: &DomainDrift| Drift {
        site: site.site.name.to_string(),
        resource: drift.kind,
        name: naming::of(drift.kind, &site.site.name),
        reason: drift.reason,
        remediation: drift.remediation,
        detail: drift.detail.clone(),
        seen_at: time(site.seen_at),
    };
    site.drifts.iter().map(drift).collect()
}

impl From<DriftReport> for Drifts {
    fn from(report: DriftReport) -> Self {
        Self {
            scanned_at: report.scanned_at.map(time),
            trouble: report.trouble,
            items: report.sites.iter().flat_map(drifts_of).collect(),
        }
    }
}
