//! What is ours in the world and no site explains.
//!
//! Two things leave such objects behind. A call whose caller gave up may have its effect after its job has
//! ended: what appears then is removed by a job of its own, under the site's lock. And a control database
//! that was restored from an older copy doesn't know what was made since: then nothing is removed by itself,
//! anywhere, because what looks like a remainder may be somebody's live site.

mod inventory;
mod judge;

use std::collections::BTreeMap;
use std::sync::Arc;

use hostplane_domain::ids::{InstanceId, SiteId};
use hostplane_domain::job::OperationName;
use hostplane_infra::error::{EffectError, chain};
use hostplane_infra::world::World;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{debug, error, info, warn};

pub(crate) use inventory::Found;
use judge::judge;

use crate::jobs::Signal;
use crate::operations;
use crate::settings::Pace;
use crate::store::{Store, StoreError};

/// Looks for orphans, and remembers whether the database is older than the world.
pub(crate) struct Orphans {
    store: Store,
    world: World,
    instance: InstanceId,
    signal: Signal,
    pace: Pace,
    /// One look at a time.
    looking: Mutex<()>,
    last: watch::Sender<Option<Look>>,
}

/// What a look saw and left alone.
#[derive(Clone)]
struct Look {
    at: Instant,
    /// What the journal doesn't know.
    unknown: Arc<Vec<Found>>,
    /// What carries our labels under names that we don't give.
    misnamed: Arc<Vec<Found>>,
}

/// Why a look broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookError {
    /// The world could not be seen.
    #[error(transparent)]
    World(#[from] EffectError),
    /// The database could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// After so many failed looks in a row it is told louder: until one succeeds nothing is collected.
const FAILED_LOOKS: u32 = 3;

impl Orphans {
    pub fn new(store: Store, world: World, instance: InstanceId, signal: Signal, pace: Pace) -> Self {
        let (looking, last) = (Mutex::default(), watch::Sender::new(None));
        Self { store, world, instance, signal, pace, looking, last }
    }

    /// Looks at once, and then now and then, for ever.
    pub async fn run(&self) {
        let mut ticks = interval(self.pace.orphan_tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failed = 0;
        loop {
            ticks.tick().await;
            match self.look().await {
                Ok(()) => failed = 0,
                Err(error) => {
                    failed += 1;
                    match error {
                        LookError::Store(error) => error!(error = chain(&error), "can't look for orphans"),
                        LookError::World(error) if failed == FAILED_LOOKS => {
                            warn!(error = %error.chain(), failed, "can't look for orphans; going on trying");
                        }
                        // Whoever is down is told of elsewhere.
                        LookError::World(error) => debug!(error = %error.chain(), "can't look for orphans"),
                    }
                }
            }
        }
    }

    /// What was made by jobs that the journal doesn't know, by a look that isn't long ago. While there is any,
    /// the database is older than the world.
    ///
    /// # Errors
    /// When nobody has looked of late and the world or the database can't be asked now.
    pub async fn unknown(&self) -> Result<Arc<Vec<Found>>, LookError> {
        if let Some(unknown) = self.recent() {
            return Ok(unknown);
        }
        let _alone = self.looking.lock().await;
        // Somebody else may have looked meanwhile.
        if let Some(unknown) = self.recent() {
            return Ok(unknown);
        }
        self.look_alone().await
    }

    fn recent(&self) -> Option<Arc<Vec<Found>>> {
        let last = self.last.borrow();
        let look = last.as_ref().filter(|look| look.at.elapsed() < self.pace.orphan_tick * 2)?;
        Some(Arc::clone(&look.unknown))
    }

    async fn look(&self) -> Result<(), LookError> {
        let _alone = self.looking.lock().await;
        self.look_alone().await.map(drop)
    }

    /// Looks at everything that carries our mark, and orders the removal of what landed late. Answers what the
    /// journal doesn't know.
    async fn look_alone(&self) -> Result<Arc<Vec<Found>>, LookError> {
        let (at, begun) = (Instant::now(), self.world.clock.now());
        let found = inventory::of_instance(&self.world, self.instance).await?;
        let origins = self.store.origins(found.iter().map(|found| found.mark.job)).await?;
        let verdict = judge(found, &origins, begun, self.pace.collect_pause);
        let (unknown, misnamed) = (Arc::new(verdict.unknown), Arc::new(verdict.misnamed));
        self.remember(Look { at, unknown: Arc::clone(&unknown), misnamed });
        if unknown.is_empty() {
            self.collect(verdict.late).await?;
        }
        Ok(unknown)
    }

    async fn collect(&self, late: BTreeMap<SiteId, Vec<Found>>) -> Result<(), StoreError> {
        for (site, orphans) in late {
            let collect = operations::of(OperationName::Collect);
            match self.store.add_job(site, collect, self.world.clock.now()).await {
                Ok(job) => {
                    warn!(%job, site = %orphans[0].mark.site.name, orphans = names(&orphans),
                        "found what landed after its job had ended; collecting it");
                    self.signal.wake();
                }
                // Somebody was quicker: what that job leaves is found by the next look.
                Err(StoreError::JobActive | StoreError::Illegal(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Keeps what a look found, and tells what is new about it.
    fn remember(&self, look: Look) {
        let before = self.last.borrow().clone();
        let (unknown, misnamed) = before.map(|before| (before.unknown, before.misnamed)).unwrap_or_default();
        if !look.unknown.is_empty() && unknown != look.unknown {
            error!(
                unknown = names(&look.unknown),
                "the control database is older than the world: it doesn't know what made these, so nothing is \
                 removed by itself; restore a newer copy of the database"
            );
        } else if look.unknown.is_empty() && !unknown.is_empty() {
            info!("the control database knows again all that is in the world");
        }
        if !look.misnamed.is_empty() && misnamed != look.misnamed {
            warn!(
                misnamed = names(&look.misnamed),
                "these carry our labels under names that we don't give: somebody copied the labels; they are left alone"
            );
        }
        self.last.send_replace(Some(look));
    }
}

fn names(found: &[Found]) -> String {
    found.iter().map(|found| format!("{found} of job {}", found.mark.job)).collect::<Vec<_>>().join(", ")
}
