//! What the reconciler and the doctor have found.

use hostplane_domain::drift::{Drift as DomainDrift, Remediation};
use hostplane_domain::ids::{JobId, SiteId};
use hostplane_domain::naming;
use hostplane_domain::observed::Reason;
use hostplane_domain::resource_kind::ResourceKind;
use hostplane_engine::app::{DriftReport, Finding as AppFinding, OrphanView, Severity, SiteDrift};
use serde::{Deserialize, Serialize};

use super::time;

/// A resource of a site that is not as it should be.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Drift {
    pub site: String,
    pub resource: ResourceKind,
    pub name: String,
    pub reason: Reason,
    /// What follows from it.
    pub remediation: Remediation,
    pub detail: String,
    pub seen_at: String,
}

/// All that is not as it should be.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Drifts {
    /// When everything was last looked at.
    pub scanned_at: Option<String>,
    /// JobFinding the last look did not see everything.
    pub trouble: Option<String>,
    pub items: Vec<Drift>,
}

/// What a look at everything found.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Reconciled {
    /// It has ended; otherwise it goes on.
    pub complete: bool,
    #[serde(flatten)]
    pub drifts: Drifts,
}

/// Something with the installation's mark that no site explains.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Orphan {
    pub id: String,
    pub kind: String,
    pub name: String,
    /// The site that it says it was made for.
    pub site: String,
    pub site_id: SiteId,
    /// The job that it says it was made by.
    pub job: JobId,
    pub reason: String,
    pub detail: String,
    pub first_seen: String,
}

/// All orphans.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Orphans {
    pub items: Vec<Orphan>,
}

/// What was found of all that has to work.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Examined {
    /// Nothing of it is an error.
    pub healthy: bool,
    pub findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Finding {
    /// `ok`, `warning` or `error`.
    pub severity: String,
    pub check: String,
    pub site: Option<String>,
    pub message: String,
    /// What to type.
    pub hint: Option<String>,
}

/// JobFinding a job was begun that nobody ordered.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct JobFinding {
    pub resource: ResourceKind,
    pub reason: Reason,
    pub detail: String,
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

impl From<Vec<AppFinding>> for Examined {
    fn from(findings: Vec<AppFinding>) -> Self {
        let healthy = findings.iter().all(|finding| finding.severity < Severity::Error);
        let finding = |finding: AppFinding| Finding {
            severity: finding.severity.as_str().to_owned(),
            check: finding.check.to_owned(),
            site: finding.site.map(|site| site.to_string()),
            message: finding.message,
            hint: finding.hint,
        };
        Self { healthy, findings: findings.into_iter().map(finding).collect() }
    }
}

impl From<OrphanView> for Orphan {
    fn from(orphan: OrphanView) -> Self {
        Self {
            id: orphan.id.as_str().to_owned(),
            kind: orphan.kind.to_string(),
            name: orphan.name,
            site: orphan.site.name.to_string(),
            site_id: orphan.site.id,
            job: orphan.job,
            reason: orphan.reason.as_str().to_owned(),
            detail: orphan.detail,
            first_seen: time(orphan.first_seen),
        }
    }
}

impl From<DomainDrift> for JobFinding {
    fn from(drift: DomainDrift) -> Self {
        Self { resource: drift.kind, reason: drift.reason, detail: drift.detail }
    }
}
