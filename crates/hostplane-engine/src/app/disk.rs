//! Disk space: the findings of `doctor`, the figures of metrics, and the condition for a new site.

use hostplane_domain::disk::{DiskLimits, DiskSpace, Size};

use super::{App, AppError, AppResult, Finding, Severity, SiteDisk};

/// Largest sites that are named.
const NAMED: usize = 3;

/// Figures about disk space.
#[derive(Debug, Clone)]
pub struct DiskStatistics {
    /// The Engine's disk, if it could be measured.
    pub space: Option<DiskSpace>,
    /// Bytes of it that are kept free.
    pub reserve: u64,
    /// The sites that were measured, the largest first.
    pub sites: Vec<SiteDisk>,
    /// The number of those above the soft limit.
    pub above_soft: usize,
}

impl App {
    /// Refuses when the reserve of the Engine's disk is begun. A disk of which nothing is known refuses nothing.
    pub(super) fn require_space(&self) -> AppResult<()> {
        let limits = &self.settings.disk.limits;
        match self.disk_cache.report().space {
            Some(space) if limits.is_reserve_begun(&space) => {
                Err(AppError::DiskReserve { free: space.free, reserve: limits.reserve })
            }
            _ => Ok(()),
        }
    }

    /// Figures about disk space.
    pub(super) fn disk_statistics(&self) -> DiskStatistics {
        let limits = self.settings.disk.limits;
        let sites = self.disk_cache.sites();
        let above_soft = sites.iter().filter(|site| limits.warns(&site.measured.usage)).count();
        DiskStatistics { space: self.disk_cache.report().space, reserve: limits.reserve, sites, above_soft }
    }

    /// The findings about disk space.
    pub(super) async fn disk_findings(&self) -> Vec<Finding> {
        // Free space of a while ago is no answer to a question of now.
        let space = self.world.local().containers.space(&self.settings.disk.seen_from).await;
        self.disk_cache.record_space(space.map_err(|error| error.chain()));
        let statistics = self.disk_statistics();
        let sites = statistics.sites.iter().filter_map(|site| site_finding(site, &self.settings.disk.limits));
        std::iter::once(self.disk_finding(&statistics)).chain(sites).collect()
    }

    fn disk_finding(&self, statistics: &DiskStatistics) -> Finding {
        let limits = &self.settings.disk.limits;
        let Some(space) = statistics.space else {
            let why = self.disk_cache.report().trouble.unwrap_or_else(|| "not measured since the start".to_owned());
            let message = format!("the space of the Engine's disk is unknown: {why}");
            return Finding::bad(
                "disk",
                Severity::Warning,
                message,
                "start Caddy's container (CADDY_CONTAINER), through which it is measured",
            );
        };
        let (free, total, reserve) = (Size(space.free), Size(space.total), Size(limits.reserve));
        let message = format!("{free} of {total} are free on the disk of the Engine's data; {reserve} are kept");
        let largest = statistics.sites.iter().take(NAMED);
        let largest: Vec<String> =
            largest.map(|site| format!("{} ({})", site.name, Size(site.measured.usage.bytes()))).collect();
        let hint = format!(
            "free some space or enlarge the disk; largest sites: {}; `hostplane site suspend NAME` stops one that fills it",
            if largest.is_empty() { "none".to_owned() } else { largest.join(", ") }
        );
        if limits.is_reserve_begun(&space) {
            let message = format!("{message}: no site is made, and sites that grow are restricted");
            Finding::bad("disk", Severity::Error, message, hint)
        } else if limits.is_reserve_near(&space) {
            Finding::bad("disk", Severity::Warning, message, hint)
        } else {
            Finding::ok("disk", message)
        }
    }
}

fn site_finding(site: &SiteDisk, limits: &DiskLimits) -> Option<Finding> {
    let used = Size(site.measured.usage.bytes());
    let finding = match (site.is_restricted, limits.warns(&site.measured.usage)) {
        (true, _) => {
            let limit = limits.hard.map_or_else(|| "none is set".to_owned(), |hard| Size(hard).to_string());
            Finding::bad(
                "disk",
                Severity::Error,
                format!("it uses {used} (hard limit: {limit}): it takes no uploads, no new posts and no new tables"),
                "its owner deletes something, or raise SITE_DISK_HARD and restart the control plane",
            )
        }
        (false, true) => Finding::bad(
            "disk",
            Severity::Warning,
            format!("it uses {used}, more than the soft limit of {}", Size(limits.soft.unwrap_or_default())),
            "ask its owner to delete something, or raise SITE_DISK_SOFT",
        ),
        (false, false) => return None,
    };
    Some(finding.of(&site.name))
}
