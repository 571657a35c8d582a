//! Report of the doctor.

use hostplane_engine::app::{Finding as AppFinding, Severity};
use serde::{Deserialize, Serialize};

/// Findings about the installation and its sites.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DoctorReport {
    /// True if no finding is an error.
    pub healthy: bool,
    pub findings: Vec<Finding>,
}

/// Result of one check.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Finding {
    /// `ok`, `warning` or `error`.
    pub severity: String,
    pub check: String,
    pub site: Option<String>,
    pub message: String,
    /// The command to type.
    pub hint: Option<String>,
}

impl From<Vec<AppFinding>> for DoctorReport {
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
