//! Full scan: the lists of all sites' objects, in a constant number of calls.

use std::collections::HashSet;
use std::sync::PoisonError;

use futures_util::join;
use hostplane_domain::drift::drifts;
use hostplane_domain::ids::SiteId;
use hostplane_domain::job::JobState;

use hostplane_infra::error::{Dependency, chain};
use metrics::{counter, histogram};
use tokio::task::yield_now;
use tokio::time::Instant;
use tracing::{debug, error, warn};

use super::Reconciler;
use super::repair_policy::repairable;
use crate::context::SiteCx;
use crate::inventory::Inventory;
use crate::inventory::ScanError;
use crate::sites;
use crate::store::ReconcileTarget;

/// Full scans until every site has had a deep scan.
const SCANS_PER_DEEP_CYCLE: usize = 60;
/// Sites that are compared before other tasks may run.
const BATCH: usize = 64;
/// Failed scans in a row until one warning is logged: without a scan nothing is repaired or collected.
pub(super) const FAILED_SCANS: u32 = 3;

/// Sites to check after a full scan.
#[derive(Debug, Default)]
pub(super) struct ScanResult {
    /// Sites that seem to need a repair. Each is checked alone, as a job may have changed it during the scan.
    pub suspects: Vec<SiteId>,
    /// Sites due for a deep scan.
    pub deep: Vec<SiteId>,
    /// Sites that a job holds.
    pub busy: Vec<SiteId>,
    /// True if a part of the inventory could not be read.
    pub is_incomplete: bool,
}

impl Reconciler {
    /// Scans everything. With `all`, every site is due for a deep scan, else a share of them.
    pub(super) async fn scan(&self, all: bool) -> Result<ScanResult, ScanError> {
        let begun = Instant::now();
        let result = self.try_scan(all).await;
        let outcome = if result.is_ok() { "ok" } else { "failed" };
        counter!("hostplane_scans_total", "outcome" => outcome).increment(1);
        histogram!("hostplane_scan_duration_seconds").record(begun.elapsed());
        result
    }

    async fn try_scan(&self, all: bool) -> Result<ScanResult, ScanError> {
        let exclusive = self.orphans.exclusive().await;
        // Read before the world, so that no site added since seems to miss its resources.
        let targets = self.store.reconcile_targets().await?;
        let path = self.world.ping(Dependency::DATABASE_PATH);
        let (inventory, path) = join!(Inventory::scan(&self.world, self.instance), path);
        let mut inventory = match inventory {
            Ok(inventory) => inventory,
            Err(error) => {
                self.drift_cache.fail_scan(error.to_string());
                return Err(error.into());
            }
        };
        let unreachable = inventory.unreachable.as_ref().map(ToString::to_string);
        let is_whole = unreachable.is_none();
        let trouble = unreachable.or_else(|| path.as_ref().err().map(ToString::to_string));
        // Orphans can be classified only in a complete inventory. Even if that fails, the sites are compared.
        let assessed = if is_whole {
            self.orphans.assess(&inventory, exclusive).await
        } else {
            drop(exclusive);
            Ok(())
        };
        let ring = self.secrets.now();
        let mut hashes = std::mem::take(&mut *self.hashes.lock().unwrap_or_else(PoisonError::into_inner));
        let mut result = ScanResult { is_incomplete: trouble.is_some(), ..ScanResult::default() };
        let (mut idle, mut there) = (Vec::new(), HashSet::new());
        for (nth, (name, target)) in targets.into_iter().enumerate() {
            if nth % BATCH == BATCH - 1 {
                yield_now().await;
            }
            let ReconcileTarget { want, held_by } = match target {
                Ok(target) => target,
                Err(error) => {
                    error!(
                        site = name,
                        error = chain(&error),
                        "the site's row can't be read, so its drift goes undetected; stop the control plane and correct the row \
                         with `sqlite3`"
                    );
                    continue;
                }
            };
            let site = want.site.id;
            there.insert(site);
            match held_by {
                None => idle.push(site),
                Some((_, JobState::NeedsOperator)) => {}
                Some(_) => {
                    result.busy.push(site);
                    continue;
                }
            }
            let seen = inventory.take(&want.site.name);
            let blueprint = sites::of(want.kind.kind());
            let hashes = hashes.entry(site).or_insert_with(|| blueprint.hashes(&want));
            if !hashes.are_of(&want) {
                *hashes = blueprint.hashes(&want);
            }
            let cx = match self.context(&want, &ring) {
                Ok(cx) => SiteCx { hashes: Some(hashes), ..cx },
                Err(error) => {
                    error!(site = %want.site.name, error = %error.chain(), "site not scanned");
                    continue;
                }
            };
            let found = drifts(&blueprint.observe(&cx, Some(&want), &seen));
            if held_by.is_none() && !repairable(&found).is_empty() {
                result.suspects.push(site);
            } else {
                self.drift_cache.record_shallow(&want.site, found, inventory.scanned_at);
            }
        }
        hashes.retain(|site, _| there.contains(site));
        *self.hashes.lock().unwrap_or_else(PoisonError::into_inner) = hashes;
        let share = if all { idle.len() } else { idle.len().div_ceil(SCANS_PER_DEEP_CYCLE) };
        result.deep = self.drift_cache.next_deep(&idle, share);
        // Behind a closed path a deep scan would blame each site.
        result.deep.retain(|site| path.is_ok() && !result.suspects.contains(site));
        self.drift_cache.complete_scan(inventory.scanned_at, trouble, &there);
        if let Err(error) = assessed {
            // The sites were compared all the same, and need their repairs.
            Self::report(&error, FAILED_SCANS);
            result.is_incomplete = true;
        }
        Ok(result)
    }

    pub(super) fn report(error: &ScanError, failed: u32) {
        match error {
            ScanError::Store(error) => error!(error = chain(error), "full scan failed"),
            ScanError::World(error) if failed == FAILED_SCANS => {
                warn!(error = %error.chain(), failed, "full scan failed; trying again");
            }
            // The gate logs which dependency is down.
            ScanError::World(error) => debug!(error = %error.chain(), "full scan failed"),
        }
    }
}
