//! Rotation of the installation's secret: every site whose passwords come from an older generation gets new ones,
//! each by a job of its own, a few at a time so that other jobs get their turn.
//!
//! Nothing of this is remembered: the sites that are behind are found by their desired state, at each start, after each
//! new generation and every few minutes.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::ids::{JobId, SiteId};
use hostplane_domain::job::JobState;
use hostplane_domain::secret::Keyring;
use hostplane_domain::site_change::SiteChange;
use hostplane_domain::status::SiteStatus;
use hostplane_infra::error::chain;
use hostplane_infra::world::World;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tracing::{error, info, warn};

use crate::background::backoff::{Backoff, SiteBackoff};
use crate::background::signal::Signal;
use crate::inventory::ScanError;
use crate::pace::Pace;
use crate::secrets::Secrets;
use crate::staleness::Staleness;
use crate::store::{OrderedBy, SiteFilter, Store, StoreError, Stored};

/// Sites that are rotated at once.
const AT_ONCE: usize = 2;
/// Pause between two scans for sites that are behind. One that was being made or repaired is found by the next.
const TICK: Duration = Duration::from_mins(5);
/// The pause of a site that could not be rotated.
const BACKOFF: Backoff = Backoff { first: Duration::from_mins(5), longest: Duration::from_hours(24) };
/// Sites that are read at once.
const PAGE: u32 = 500;

/// Carries rotations out.
pub(crate) struct Rotation {
    pub store: Store,
    pub world: World,
    pub secrets: Secrets,
    /// Wakes the worker.
    pub signal: Signal,
    /// Signals a new generation.
    pub generations: watch::Receiver<()>,
    pub staleness: Staleness,
    pub pace: Pace,
}

/// The end of a pass.
enum Pass {
    Complete,
    Unreachable,
}

impl Rotation {
    /// Rotates sites that are behind, until it is dropped.
    pub async fn run(mut self) {
        let mut backoff = SiteBackoff::default();
        loop {
            self.generations.mark_unchanged();
            let pause = match self.pass(&mut backoff).await {
                Ok(Pass::Complete) => TICK,
                Ok(Pass::Unreachable) => self.pace.dependency_pause,
                Err(error) => {
                    error!(
                        error = chain(&error),
                        "the rotation of the installation's secret broke off; it goes on later"
                    );
                    TICK
                }
            };
            // The sender lives in the app; without it there will be no new generation.
            let generation = async {
                if self.generations.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            if timeout(pause, generation).await.is_ok() {
                backoff.clear();
            }
        }
    }

    async fn pass(&self, backoff: &mut SiteBackoff) -> Stored<Pass> {
        let generation = self.secrets.now().newest();
        let behind = behind(&self.store, generation).await?;
        backoff.retain(|site| behind.contains(&site));
        let now = Instant::now();
        let due: Vec<SiteId> = behind.into_iter().filter(|site| backoff.is_due(*site, now)).collect();
        if due.is_empty() {
            return Ok(Pass::Complete);
        }
        // A stale database must not change a site.
        match self.staleness.is_stale().await {
            Ok(false) => {}
            Ok(true) => return Ok(Pass::Complete),
            Err(ScanError::World(_)) => return Ok(Pass::Unreachable),
            Err(ScanError::Store(error)) => return Err(error),
        }
        info!(generation, sites = due.len(), "giving sites passwords from the newest secret");
        let rotated = |site| async move {
            match self.rotate(site, generation).await {
                Err(error @ StoreError::Corrupt(_)) => {
                    error!(site_id = %site, error = chain(&error), "passwords of a site stay old; run `hostplane doctor`");
                    Ok(site)
                }
                other => other.map(|()| site),
            }
        };
        let outcomes: Vec<_> = stream::iter(due).map(rotated).buffer_unordered(AT_ONCE).collect().await;
        let tried = outcomes.into_iter().collect::<Stored<Vec<SiteId>>>()?;
        let left = self::behind(&self.store, generation).await?;
        for site in tried.into_iter().filter(|site| left.contains(site)) {
            backoff.fail(site, Instant::now(), &BACKOFF);
        }
        if left.is_empty() {
            info!(generation, "every site's passwords come from the newest secret");
        } else {
            warn!(
                generation,
                sites = left.len(),
                "sites still have passwords from an older secret; trying again later"
            );
        }
        Ok(Pass::Complete)
    }

    /// Has one site rotated, as soon as no other job holds it.
    async fn rotate(&self, site: SiteId, generation: u32) -> Stored<()> {
        let mut changes = self.store.changes();
        let change = SiteChange::Secrets { generation };
        loop {
            changes.mark_unchanged();
            let record = self.store.site_by_id(site).await?;
            if record.spec.is_none_or(|spec| spec.secret_generation >= generation) {
                return Ok(());
            }
            match self.store.enqueue_change(site, &change, OrderedBy::ControlPlane, self.world.clock.now()).await {
                Ok(job) => {
                    self.signal.wake();
                    return self.ended(job, &mut changes).await;
                }
                Err(StoreError::JobActive) => {
                    // A job that needs an operator can hold the site for ever.
                    match self.store.active_job(site).await? {
                        Some(job) if self.store.job(job).await?.state == JobState::NeedsOperator => return Ok(()),
                        _ => {}
                    }
                }
                // The site is no longer there to be changed.
                Err(StoreError::Illegal(_)) => return Ok(()),
                Err(error) => return Err(error),
            }
            if changes.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    async fn ended(&self, job: JobId, changes: &mut watch::Receiver<()>) -> Stored<()> {
        loop {
            changes.mark_unchanged();
            if !matches!(self.store.job(job).await?.state, JobState::Pending | JobState::Running) {
                return Ok(());
            }
            if changes.changed().await.is_err() {
                return Ok(());
            }
        }
    }
}

/// Sites in service whose passwords come from an older generation, or from an unknown one: their row can't be read.
pub(crate) async fn behind(store: &Store, generation: u32) -> Stored<Vec<SiteId>> {
    if generation == Keyring::FIRST {
        return Ok(Vec::new());
    }
    let mut behind = Vec::new();
    let mut filter = SiteFilter { status: Some(SiteStatus::Active), limit: PAGE, ..SiteFilter::default() };
    loop {
        let page = store.sites(&filter).await?;
        behind.extend(page.unreadable.iter().filter_map(|row| row.id.parse::<SiteId>().ok()));
        let page = page.reported();
        let Some(last) = page.last() else { return Ok(behind) };
        filter.after = Some(last.site.site.id);
        let is_behind = |spec: &DesiredSite| spec.secret_generation < generation;
        let sites = page.iter().map(|entry| &entry.site);
        behind.extend(sites.filter(|site| site.spec.as_ref().is_some_and(is_behind)).map(|site| site.site.id));
    }
}
