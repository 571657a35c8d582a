//! Automatic removal of orphans without data.

use std::collections::BTreeMap;
use std::time::Duration;

use hostplane_domain::drift::{Drift, Remediation};
use hostplane_domain::ids::SiteId;
use hostplane_domain::job::OperationName;
use hostplane_domain::observed::Reason;
use hostplane_infra::clock::Timestamp;
use hostplane_infra::error::chain;
use tracing::{error, info, warn};

use super::{Orphan, OrphanClass, OrphanId, OrphanReason, OrphanView, Orphans};
use crate::operations;
use crate::store::{OrderedBy, StoreError};

/// Scans that have to see an orphan before it is removed.
const SCANS: u32 = 3;
/// Most orphans that are removed at once in a small installation.
const FEW: usize = 5;
/// In a larger one, at most one in this many objects is removed at once.
const SHARE: usize = 20;

/// Drifts to be removed, by site.
pub(super) type Due = BTreeMap<SiteId, Vec<Drift>>;

/// The drift for which an orphan that is left over is removed.
pub(super) fn left_over(orphan: &Orphan) -> Option<(SiteId, Drift)> {
    let OrphanClass::LeftOver { site, kind, .. } = orphan.why else { return None };
    let detail = format!("{} is there although its site is gone", orphan.found);
    Some((site, Drift { kind, reason: Reason::LeftOver, remediation: Remediation::Repair, detail }))
}

impl Orphans {
    /// The orphans that are due for removal, among `total` objects. If there are too many, none is.
    pub(super) fn due(&self, orphans: &mut BTreeMap<OrphanId, Orphan>, now: Timestamp, total: usize) -> Due {
        let is_due = |orphan: &&mut Orphan| {
            let goes = matches!(orphan.why, OrphanClass::LeftOver { removal_failed: false, .. })
                && !orphan.found.kind.may_hold_data();
            goes && orphan.scans >= SCANS && orphan.first_seen.plus(self.pace.orphan_grace) <= now
        };
        let due: Vec<&mut Orphan> = orphans.values_mut().filter(is_due).collect();
        if due.len() > FEW.max(total / SHARE) {
            warn!(orphans = due.len(), total, "too many orphans for automatic removal; see `hostplane orphan list`");
            for orphan in due {
                orphan.held_back = true;
            }
            return Due::new();
        }
        let mut by_site = Due::new();
        for (site, drift) in due.iter().filter_map(|orphan| left_over(orphan)) {
            by_site.entry(site).or_default().push(drift);
        }
        by_site
    }

    pub(super) async fn collect(&self, due: Due) -> Result<(), StoreError> {
        for (site, why) in due {
            let collect = operations::of(OperationName::Collect);
            match self
                .store
                .enqueue_for_findings(&why, OrderedBy::ControlPlane, site, collect, self.world.clock.now())
                .await
            {
                Ok(job) => {
                    let what = why.iter().map(|drift| drift.kind.as_str()).collect::<Vec<_>>().join(", ");
                    info!(%job, site_id = %site, what, "removing orphans that several scans have seen");
                    self.signal.wake();
                }
                // Another job took the site first; the next scan finds what it leaves.
                Err(StoreError::JobActive | StoreError::Illegal(_)) => {}
                Err(error @ StoreError::Corrupt(_)) => {
                    error!(site_id = %site, error = chain(&error), "orphans of a site can't be removed; run `hostplane doctor`");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) fn view(&self, id: &OrphanId, orphan: &Orphan) -> OrphanView {
        let (reason, detail) = match orphan.why {
            OrphanClass::LeftOver { .. } if orphan.found.kind.may_hold_data() => (
                OrphanReason::LeftOver,
                "its site has failed or is destroyed; it may hold data, so only an operator removes it".to_owned(),
            ),
            OrphanClass::LeftOver { .. } if orphan.held_back => (
                OrphanReason::LeftOver,
                "its site has failed or is destroyed; there are too many orphans for automatic removal".to_owned(),
            ),
            OrphanClass::LeftOver { removal_failed: true, .. } => (
                OrphanReason::LeftOver,
                "its site has failed or is destroyed; a recent removal failed, see its job".to_owned(),
            ),
            OrphanClass::LeftOver { .. } => {
                let minutes = self.pace.orphan_grace.max(Duration::from_mins(1)).as_secs().div_ceil(60);
                let detail = format!(
                    "its site has failed or is destroyed; it is removed automatically once {SCANS} scans have seen it \
                     over {minutes} minutes"
                );
                (OrphanReason::LeftOver, detail)
            }
            OrphanClass::UnknownJob => (
                OrphanReason::UnknownJob,
                "the control database doesn't know the job that made it: the database is stale, so nothing is \
                 repaired or removed automatically; restore a newer copy of it"
                    .to_owned(),
            ),
            OrphanClass::Misnamed => (
                OrphanReason::Misnamed,
                "its labels are a copy of ours, under a name that Hostplane doesn't give; it is never touched, \
                 remove it where it was made"
                    .to_owned(),
            ),
        };
        OrphanView {
            id: id.clone(),
            kind: orphan.found.kind,
            name: orphan.found.name.clone(),
            site: orphan.found.mark.site.clone(),
            job: orphan.found.mark.job,
            reason,
            detail,
            first_seen: orphan.first_seen,
        }
    }
}
