//! What goes by itself, and when.

use std::collections::BTreeMap;
use std::time::Duration;

use hostplane_domain::drift::{Drift, Reason, Remediation};
use hostplane_domain::ids::SiteId;
use hostplane_domain::job::OperationName;
use hostplane_infra::clock::Timestamp;
use hostplane_infra::error::chain;
use tracing::{error, info, warn};

use super::{Orphan, OrphanClass, OrphanId, OrphanReason, OrphanView, Orphans, goes_only_by_hand};
use crate::operations;
use crate::store::StoreError;

/// How often it has to be seen before it goes.
const SCANS: u32 = 3;
/// So many things may go at once, and of larger installations a share of all that is there.
const FEW: usize = 5;
const SHARE: usize = 20;

/// What is to be removed, by site.
pub(super) type Due = BTreeMap<SiteId, Vec<Drift>>;

/// As it is told and written down.
pub(super) fn left_over(orphan: &Orphan) -> Option<(SiteId, Drift)> {
    let OrphanClass::LeftOver { site, kind, .. } = orphan.why else { return None };
    let detail = format!("{} is there although its site is gone", orphan.found);
    Some((site, Drift { kind, reason: Reason::LeftOver, remediation: Remediation::Repair, detail }))
}

impl Orphans {
    /// What may go by itself now, of so many things that there are in all. If it is much, nothing goes.
    pub(super) fn due(&self, orphans: &mut BTreeMap<OrphanId, Orphan>, now: Timestamp, total: usize) -> Due {
        let is_due = |orphan: &&mut Orphan| {
            let goes = matches!(orphan.why, OrphanClass::LeftOver { kind, removal_failed: false, .. } if !goes_only_by_hand(kind));
            goes && orphan.scans >= SCANS && orphan.first_seen.plus(self.pace.orphan_grace) <= now
        };
        let due: Vec<&mut Orphan> = orphans.values_mut().filter(is_due).collect();
        if due.len() > FEW.max(total / SHARE) {
            warn!(
                orphans = due.len(),
                total, "so many orphans are not removed by themselves; see them with `hostplane orphan list`"
            );
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
            match self.store.enqueue_for_findings(&why, site, collect, self.world.clock.now()).await {
                Ok(job) => {
                    let what = why.iter().map(|drift| drift.kind.as_str()).collect::<Vec<_>>().join(", ");
                    info!(%job, site_id = %site, what, "removing orphans that have been there for a while");
                    self.signal.wake();
                }
                // Somebody was quicker: what that job leaves is found by the next look.
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
            OrphanClass::LeftOver { kind, .. } if goes_only_by_hand(kind) => (
                OrphanReason::LeftOver,
                "its site has failed or is destroyed; it may hold data, so it is never removed by itself".to_owned(),
            ),
            OrphanClass::LeftOver { .. } if orphan.held_back => (
                OrphanReason::LeftOver,
                "its site has failed or is destroyed; there are so many that none is removed by itself".to_owned(),
            ),
            OrphanClass::LeftOver { removal_failed: true, .. } => {
                (OrphanReason::LeftOver, "its site has failed or is destroyed; removing it has failed, see its job".to_owned())
            }
            OrphanClass::LeftOver { .. } => {
                let minutes = self.pace.orphan_grace.max(Duration::from_mins(1)).as_secs().div_ceil(60);
                let detail = format!(
                    "its site has failed or is destroyed; it is removed by itself once it was seen {SCANS} times over \
                     {minutes} minutes"
                );
                (OrphanReason::LeftOver, detail)
            }
            OrphanClass::UnknownJob => (
                OrphanReason::UnknownJob,
                "the control database doesn't know the job that made it: the database is older than the world, and \
                 nothing is repaired or removed by itself; restore a newer copy of it"
                    .to_owned(),
            ),
            OrphanClass::Misnamed => (
                OrphanReason::Misnamed,
                "it has our labels and a name that we don't give: somebody copied the labels; it is left alone, remove it \
                 where it was made"
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
