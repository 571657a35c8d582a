//! Rotation of the installation's secret: every site whose passwords come from an older generation gets new ones,
//! each by a job of its own, a few at a time so that other orders get their turn.
//!
//! Nothing of this is remembered: which sites are behind is seen from what they are, at each start and once an hour.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use hostplane_domain::change::Change;
use hostplane_domain::ids::{JobId, SiteId};
use hostplane_domain::job::JobState;
use hostplane_domain::status::SiteStatus;
use hostplane_infra::error::chain;
use hostplane_infra::world::World;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{error, info, warn};

use crate::jobs::Signal;
use crate::secrets::Secrets;
use crate::store::{SiteFilter, Store, StoreError, Stored};

/// Sites that are rotated at once.
const AT_ONCE: usize = 2;
/// How long until sites that could not be rotated are tried again.
const REST: Duration = Duration::from_hours(1);
/// Sites that are read at once.
const PAGE: u32 = 500;

/// Carries rotations out.
pub(crate) struct Rotation {
    pub store: Store,
    pub world: World,
    pub secrets: Secrets,
    /// Wakes the worker.
    pub signal: Signal,
    /// Tells of a new generation.
    pub told: watch::Receiver<()>,
}

impl Rotation {
    /// Rotates whatever is behind, again and again, for ever.
    pub async fn run(mut self) {
        loop {
            self.told.mark_unchanged();
            if let Err(error) = self.pass().await {
                error!(
                    error = chain(&error),
                    "the rotation of the installation's secret broke off; going on in an hour"
                );
            }
            // The sender lives in the app; without it there will be no new generation.
            let told = async {
                if self.told.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            // What is left over is due anyway when the time is up.
            let _ = timeout(REST, told).await;
        }
    }

    async fn pass(&self) -> Stored<()> {
        let generation = self.secrets.now().newest();
        let behind = behind(&self.store, generation).await?;
        if behind.is_empty() {
            return Ok(());
        }
        info!(generation, sites = behind.len(), "giving sites passwords from the newest secret");
        let outcomes: Vec<_> =
            stream::iter(behind).map(|site| self.rotate(site, generation)).buffer_unordered(AT_ONCE).collect().await;
        outcomes.into_iter().collect::<Stored<Vec<()>>>()?;
        match self::behind(&self.store, generation).await?.len() {
            0 => info!(generation, "every site's passwords come from the newest secret"),
            sites => {
                warn!(generation, sites, "sites still have passwords from an older secret; trying again in an hour");
            }
        }
        Ok(())
    }

    /// Has one site rotated, as soon as no other job holds it.
    async fn rotate(&self, site: SiteId, generation: u32) -> Stored<()> {
        let mut changes = self.store.changes();
        loop {
            changes.mark_unchanged();
            let record = self.store.site_by_id(site).await?;
            if record.spec.is_none_or(|spec| spec.secret_generation >= generation) {
                return Ok(());
            }
            match self.store.add_change(site, &Change::Secrets { generation }, self.world.clock.now()).await {
                Ok(job) => {
                    self.signal.wake();
                    return self.ended(job, &mut changes).await;
                }
                Err(StoreError::JobActive) => {
                    // What needs an operator can hold the site for ever.
                    match self.store.active_job(site).await? {
                        Some(job) if self.store.job(job).await?.state == JobState::NeedsOperator => return Ok(()),
                        _ => {}
                    }
                }
                // It is no longer there to be changed.
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

/// Sites in service whose passwords come from an older generation.
pub(crate) async fn behind(store: &Store, generation: u32) -> Stored<Vec<SiteId>> {
    let mut behind = Vec::new();
    let mut filter = SiteFilter { status: Some(SiteStatus::Active), limit: PAGE, ..SiteFilter::default() };
    loop {
        let page = store.sites(&filter).await?;
        let Some(last) = page.last() else { return Ok(behind) };
        filter.after = Some(last.site.id);
        let is_behind = |spec: &hostplane_domain::desired::DesiredSite| spec.secret_generation < generation;
        behind.extend(page.iter().filter(|site| site.spec.as_ref().is_some_and(is_behind)).map(|site| site.site.id));
    }
}
