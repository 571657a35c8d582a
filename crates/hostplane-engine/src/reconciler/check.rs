//! One site: looked at, and repaired if that is safe.

use hostplane_domain::desired::DesiredSite;
use hostplane_domain::drift::{Drift, drifts};
use hostplane_domain::ids::{JobId, SiteId};
use hostplane_domain::job::{JobState, OperationName};
use hostplane_domain::secret::Keyring;
use hostplane_infra::clock::Timestamp;
use hostplane_infra::error::chain;
use metrics::counter;
use tracing::{debug, error, info, warn};

use super::Reconciler;
use super::repair_policy::{RepairDecision, WINDOW, decide, repairable};
use crate::context::SiteCx;
use crate::inventory::snapshot::{Depth, Snapshot};
use crate::operations;
use crate::orphans::ScanError;
use crate::resources;
use crate::store::{JobError, ReconcileTarget, StoreError};

/// What came of a look at one site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checked {
    /// There is nothing more to do about it now.
    Settled,
    /// A job holds it: it is looked at again when that has ended.
    Busy,
    /// It is repaired, but not before.
    Later(Timestamp),
    /// It could not be seen.
    Unseen,
}

impl Reconciler {
    /// Looks at one site, tells what is not as it should be, and has it repaired.
    pub(super) async fn check(&self, site: SiteId, depth: Depth) -> Checked {
        match self.try_check(site, depth).await {
            Ok(checked) => checked,
            Err(ScanError::World(error)) => {
                // What could not be seen says nothing; the next look at everything tells whoever is down.
                debug!(site_id = %site, error = %error.chain(), "a site could not be looked at");
                Checked::Unseen
            }
            Err(ScanError::Store(error)) => {
                // The next look at everything comes to it again.
                error!(site_id = %site, error = chain(&error), "a site could not be looked at");
                Checked::Settled
            }
        }
    }

    async fn try_check(&self, site: SiteId, depth: Depth) -> Result<Checked, ScanError> {
        let Some(target) = self.store.reconcile_target(site).await? else {
            self.drift_cache.forget(site);
            return Ok(Checked::Settled);
        };
        let is_stuck = match target.held_by {
            None => false,
            Some((_, JobState::NeedsOperator)) => true,
            Some(_) => return Ok(Checked::Busy),
        };
        let (want, ring) = (target.want, self.secrets.now());
        let cx = self.context(&want, &ring);
        let begun = self.world.clock.now();
        let mut seen = Snapshot::of_site(&cx, depth).await?;
        seen.doubt_unsettled_route();
        if depth == Depth::Deep {
            seen.read_page(&cx, &want).await;
        }
        let found = drifts(&resources::observe_all(&cx, Some(&want), &seen));
        // What a job has changed meanwhile was seen half before and half after.
        let is_same = |now: &ReconcileTarget| now.want == want && now.held_by == target.held_by;
        if !self.store.reconcile_target(site).await?.as_ref().is_some_and(is_same) {
            return Ok(Checked::Busy);
        }
        match depth {
            Depth::Shallow => self.drift_cache.record_shallow(&want.site, found.clone(), begun),
            Depth::Deep => self.drift_cache.record_deep(&want.site, found.clone(), begun),
        }
        let due = repairable(&found);
        if due.is_empty() || is_stuck {
            return Ok(Checked::Settled);
        }
        self.order(&want, due).await
    }

    /// Orders a repair, unless it is too early or too often.
    async fn order(&self, want: &DesiredSite, due: Vec<Drift>) -> Result<Checked, ScanError> {
        // What a database from an older copy says of its sites is not to be made true.
        if !self.orphans.unknown().await?.is_empty() {
            debug!(site = %want.site.name, "not repaired: the control database is older than the world");
            return Ok(Checked::Settled);
        }
        let (site, now) = (want.site.id, self.world.clock.now());
        let since = Timestamp(now.0.saturating_sub(i64::try_from(WINDOW.as_micros()).unwrap_or(i64::MAX)));
        let repaired = self.store.repairs(site, since).await?.reported();
        let repair = operations::of(OperationName::Repair);
        let words =
            || due.iter().map(|drift| format!("{} {}", drift.kind, drift.reason)).collect::<Vec<_>>().join(", ");
        let ordered = match decide(&due, &repaired, now, self.settings.pace.repair_backoff) {
            RepairDecision::Now => self.store.enqueue_for_findings(&due, site, repair, now).await.map(|job| {
                info!(site = %want.site.name, %job, drifts = words(), "repairing");
                for drift in &due {
                    counter!("hostplane_repairs_ordered_total", "reason" => drift.reason.as_str()).increment(1);
                }
                self.signal.wake();
            }),
            RepairDecision::At(at) => {
                let wait_ms = u64::try_from(at.since(now).as_millis()).unwrap_or(u64::MAX);
                info!(site = %want.site.name, drifts = words(), wait_ms, "repaired before: repairing again later");
                return Ok(Checked::Later(at));
            }
            RepairDecision::Never(kind, history) => {
                let error = JobError { step: Some(kind), message: history };
                self.store.enqueue_operator_required(&due, site, repair, &error, now).await.map(|job| {
                    warn!(site = %want.site.name, %job, drifts = words(), "breaks again and again: needs an operator");
                })
            }
        };
        match ordered {
            // Another job was quicker, or the site is on its way out.
            Ok(()) | Err(StoreError::JobActive | StoreError::Illegal(_)) => Ok(Checked::Busy),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn context<'a>(&'a self, want: &'a DesiredSite, secrets: &'a Keyring) -> SiteCx<'a> {
        SiteCx {
            world: &self.world,
            secrets,
            mail: self.settings.mail_login(),
            instance: self.instance,
            site: &want.site,
            // Only names the mark of what would be made, and nothing is made here.
            job: JobId::new(want.site.id.uuid()),
            pace: self.settings.pace,
            hashes: None,
        }
    }
}
