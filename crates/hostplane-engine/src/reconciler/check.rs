//! Check of one site: scan, compare, enqueue a repair where that is safe.

use hostplane_domain::desired::DesiredSite;
use hostplane_domain::drift::{Drift, drifts};
use hostplane_domain::ids::{JobId, SiteId};
use hostplane_domain::job::{JobState, OperationName};
use hostplane_domain::secret::Keyring;
use hostplane_infra::clock::Timestamp;
use hostplane_infra::error::{Dependency, Effect, chain};
use metrics::counter;
use tracing::{debug, error, info, warn};

use super::Reconciler;
use super::drift_cache::is_deep;
use super::repair_policy::{RepairDecision, WINDOW, decide, repairable};
use crate::context::{Intent, SiteCx};
use crate::inventory::ScanError;
use crate::inventory::snapshot::Depth;
use crate::operations;
use crate::sites;
use crate::store::{OrderedBy, ReconcileTarget, StoreError};

/// Outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CheckOutcome {
    /// Nothing to do now.
    Settled,
    /// A job holds the site, which is checked again after the job's end.
    Busy,
    /// Backoff: the repair is due at this time.
    Later(Timestamp),
    /// The site could not be observed.
    Unobserved,
}

impl Reconciler {
    /// Scans one site, records its drift, and enqueues a repair.
    pub(super) async fn check(&self, site: SiteId, depth: Depth) -> CheckOutcome {
        match self.try_check(site, depth).await {
            Ok(outcome) => outcome,
            Err(ScanError::World(error)) => {
                // Only for debugging: the next full scan reports the dependency that is down.
                debug!(site_id = %site, error = %error.chain(), "site not observed");
                CheckOutcome::Unobserved
            }
            Err(ScanError::Store(error)) => {
                // The next full scan includes the site again.
                error!(site_id = %site, error = chain(&error), "site not checked");
                CheckOutcome::Settled
            }
        }
    }

    async fn try_check(&self, site: SiteId, depth: Depth) -> Result<CheckOutcome, ScanError> {
        let Some(target) = self.store.reconcile_target(site).await? else {
            self.drift_cache.forget(site);
            return Ok(CheckOutcome::Settled);
        };
        let is_stuck = match target.held_by {
            None => false,
            Some((_, JobState::NeedsOperator)) => true,
            Some(_) => return Ok(CheckOutcome::Busy),
        };
        let (want, ring) = (target.want, self.secrets.now());
        let cx = self.context(&want, &ring)?;
        let begun = self.world.clock.now();
        let blueprint = sites::of(want.kind.kind());
        let mut seen = blueprint.snapshot(&cx, depth).await?;
        seen.doubt_unsettled_route();
        if depth == Depth::Deep {
            seen.read_page(&cx, &want, blueprint.asks_wordpress()).await;
        }
        let mut found = drifts(&blueprint.observe(&cx, Some(&want), &seen));
        let depth = if depth == Depth::Deep && found.iter().any(is_deep) && self.is_path_closed().await {
            // Behind a closed path every site fails, for a cause that the full scan reports.
            found.retain(|drift| !is_deep(drift));
            Depth::Shallow
        } else {
            depth
        };
        // A job that ran during the scan makes the snapshot a mix of before and after.
        let is_same = |now: &ReconcileTarget| now.want == want && now.held_by == target.held_by;
        if !self.store.reconcile_target(site).await?.as_ref().is_some_and(is_same) {
            return Ok(CheckOutcome::Busy);
        }
        match depth {
            Depth::Shallow => self.drift_cache.record_shallow(&want.site, found.clone(), begun),
            Depth::Deep => self.drift_cache.record_deep(&want.site, found.clone(), begun),
        }
        let due = repairable(&found);
        if due.is_empty() || is_stuck {
            return Ok(CheckOutcome::Settled);
        }
        self.enqueue_repair(&want, due).await
    }

    /// True when no site reaches the database server.
    async fn is_path_closed(&self) -> bool {
        self.world.ping(Dependency::DATABASE_PATH).await.is_err()
    }

    /// Enqueues a repair, unless the database is stale or the repair policy says to wait.
    async fn enqueue_repair(&self, want: &DesiredSite, due: Vec<Drift>) -> Result<CheckOutcome, ScanError> {
        // The desired state in a stale database is out of date, so it must not be made true.
        if self.staleness.is_stale().await? {
            debug!(site = %want.site.name, "not repaired: the control database is stale");
            return Ok(CheckOutcome::Settled);
        }
        let (site, now) = (want.site.id, self.world.clock.now());
        let since = Timestamp(now.0.saturating_sub(i64::try_from(WINDOW.as_micros()).unwrap_or(i64::MAX)));
        let repaired = self.store.repairs(site, since).await?.reported();
        let repair = operations::of(OperationName::Repair);
        let in_words =
            || due.iter().map(|drift| format!("{} {}", drift.kind, drift.reason)).collect::<Vec<_>>().join(", ");
        let ordered = match decide(&due, &repaired, now, self.settings.pace.repair_backoff) {
            RepairDecision::Now => {
                self.store.enqueue_for_findings(&due, OrderedBy::ControlPlane, site, repair, now).await.map(|job| {
                    info!(site = %want.site.name, %job, drifts = in_words(), "repairing");
                    for drift in &due {
                        counter!("hostplane_repairs_ordered_total", "reason" => drift.reason.as_str()).increment(1);
                    }
                    self.signal.wake();
                })
            }
            RepairDecision::At(at, history) => {
                let wait_ms = u64::try_from(at.since(now).as_millis()).unwrap_or(u64::MAX);
                let (site, drifts) = (&want.site.name, in_words());
                if let Some(history) = history {
                    warn!(%site, drifts, wait_ms, history, "drifts again and again; find the cause");
                } else {
                    info!(%site, drifts, wait_ms, "repaired before; the next repair waits");
                }
                return Ok(CheckOutcome::Later(at));
            }
        };
        match ordered {
            // Another job was quicker, or the site is being destroyed.
            Ok(()) | Err(StoreError::JobActive | StoreError::Illegal(_)) => Ok(CheckOutcome::Busy),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn context<'a>(&'a self, want: &'a DesiredSite, secrets: &'a Keyring) -> Effect<SiteCx<'a>> {
        Ok(SiteCx {
            world: &self.world,
            host: self.world.at(want.host)?,
            secrets,
            mail: self.settings.mail_login(),
            instance: self.instance,
            site: &want.site,
            // Any job will do: only the marks of new objects name one, and observing makes none.
            job: JobId::new(want.site.id.uuid()),
            pace: self.settings.pace,
            intent: Intent::Change,
            baseline: None,
            hashes: None,
        })
    }
}
