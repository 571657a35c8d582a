//! Figures about the installation, for metrics.

use std::collections::BTreeMap;

use hostplane_domain::drift::Remediation;
use hostplane_domain::job::{JobState, OperationName};
use hostplane_domain::observed::Reason;
use hostplane_domain::status::SiteStatus;
use hostplane_infra::clock::Timestamp;
use hostplane_infra::error::Dependency;

use super::{App, AppResult, DiskStatistics, ObjectKind, OrphanReason};

/// Figures about the installation.
#[derive(Debug, Clone)]
pub struct Statistics {
    /// Sites by status, without those that are DESTROYED.
    pub sites: Vec<(SiteStatus, u64)>,
    /// Jobs that have not ended.
    pub jobs: Vec<(Option<OperationName>, JobState, u64)>,
    /// Drifts, as last detected.
    pub drifts: BTreeMap<(Reason, Remediation), u64>,
    /// Orphans as of the last full scan, by kind and reason.
    pub orphans: BTreeMap<(ObjectKind, OrphanReason), u64>,
    /// Each dependency, with `true` if it answers.
    pub dependencies: Vec<(Dependency, bool)>,
    /// Disk space.
    pub disk: DiskStatistics,
    /// Time of the last full scan.
    pub scanned_at: Option<Timestamp>,
    /// True if jobs that the control database doesn't know made some of the objects.
    pub is_database_stale: bool,
}

impl App {
    /// Counts, and asks each dependency.
    ///
    /// # Errors
    /// When the control database fails.
    pub async fn statistics(&self) -> AppResult<Statistics> {
        let (sites, jobs) = (self.store.count_sites().await?, self.store.count_jobs().await?);
        let report = self.drift_cache.report();
        let mut drifts = BTreeMap::new();
        for drift in report.sites.iter().flat_map(|site| &site.drifts) {
            *drifts.entry((drift.reason, drift.remediation)).or_default() += 1;
        }
        let mut orphans = BTreeMap::new();
        for orphan in self.orphans.all() {
            *orphans.entry((orphan.kind, orphan.reason)).or_default() += 1;
        }
        let ask = |dependency| async move { (dependency, self.world.ping(dependency).await.is_ok()) };
        let (docker, mariadb, caddy) =
            futures_util::join!(ask(Dependency::DOCKER), ask(Dependency::Mariadb), ask(Dependency::CADDY));
        // While MariaDB is down, its path is not what keeps it from the sites.
        let path = (Dependency::DATABASE_PATH, !mariadb.1 || ask(Dependency::DATABASE_PATH).await.1);
        Ok(Statistics {
            sites,
            disk: self.disk_statistics(),
            jobs,
            drifts,
            is_database_stale: orphans.keys().any(|(_, reason)| *reason == OrphanReason::UnknownJob),
            orphans,
            dependencies: vec![docker, mariadb, caddy, path],
            scanned_at: report.scanned_at,
        })
    }
}
