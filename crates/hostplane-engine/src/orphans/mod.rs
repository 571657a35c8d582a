//! What is ours in the world and no site explains.
//!
//! Two things leave such objects behind. A call whose caller gave up may have its effect after its job has
//! ended: what appears then is removed by a job of its own, under the site's lock. And a control database
//! that was restored from an older copy doesn't know what was made since: then nothing is removed by itself,
//! anywhere, because what looks like a remainder may be somebody's live site.

mod inventory;
mod judge;

use std::sync::Arc;

use hostplane_domain::ids::InstanceId;
use hostplane_domain::job::OperationName;
use hostplane_domain::status::SiteEvent;
use hostplane_infra::error::{EffectError, chain};
use hostplane_infra::world::World;
use tokio::sync::{Mutex, watch};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, error, info, warn};

pub(crate) use inventory::Found;
use judge::judge;

use crate::jobs::Signal;
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
    /// What the journal doesn't know, as of the last look; `None` before the first.
    unknown: watch::Sender<Option<Arc<Vec<Found>>>>,
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

impl Orphans {
    pub fn new(store: Store, world: World, instance: InstanceId, signal: Signal, pace: Pace) -> Self {
        let (looking, unknown) = (Mutex::default(), watch::Sender::new(None));
        Self { store, world, instance, signal, pace, looking, unknown }
    }

    /// Looks at once, and then now and then, for ever.
    pub async fn run(&self) {
        let mut ticks = interval(self.pace.orphan_tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.look().await {
                Ok(()) => {}
                // Whoever is down is told of elsewhere.
                Err(LookError::World(error)) => debug!(error = %error.chain(), "can't look for orphans"),
                Err(LookError::Store(error)) => error!(error = chain(&error), "can't look for orphans"),
            }
        }
    }

    /// What was made by jobs that the journal doesn't know. While there is any, the database is older than the
    /// world.
    ///
    /// # Errors
    /// When nobody has looked yet and the world or the database can't be asked now.
    pub async fn unknown(&self) -> Result<Arc<Vec<Found>>, LookError> {
        if let Some(unknown) = self.last_unknown() {
            return Ok(unknown);
        }
        self.look().await?;
        Ok(self.last_unknown().unwrap_or_default())
    }

    /// The same as of the last look, if there was one.
    pub fn last_unknown(&self) -> Option<Arc<Vec<Found>>> {
        self.unknown.borrow().clone()
    }

    /// Looks at everything that carries our mark, and orders the removal of what landed late.
    pub async fn look(&self) -> Result<(), LookError> {
        let _alone = self.looking.lock().await;
        let begun = self.world.clock.now();
        let found = inventory::of_instance(&self.world, self.instance).await?;
        let origins = self.store.origins(found.iter().map(|found| found.mark.job)).await?;
        let verdict = judge(found, &origins, begun);
        let is_safe = verdict.unknown.is_empty();
        self.remember(verdict.unknown);
        if !is_safe {
            return Ok(());
        }
        for (site, orphans) in verdict.late {
            let now = self.world.clock.now();
            match self.store.add_job(site, OperationName::Collect, SiteEvent::Collected, now).await {
                Ok(job) => {
                    let names: Vec<String> = orphans.iter().map(ToString::to_string).collect();
                    warn!(%job, site = %orphans[0].mark.site.name, orphans = names.join(", "),
                        "found what landed after its job had ended; collecting it");
                    self.signal.wake();
                }
                // Somebody was quicker: what that job leaves is found by the next look.
                Err(StoreError::JobActive | StoreError::Illegal(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn remember(&self, unknown: Vec<Found>) {
        let before = self.last_unknown().unwrap_or_default();
        if !unknown.is_empty() && *before != unknown {
            let names: Vec<String> = unknown.iter().map(|found| format!("{found} of job {}", found.mark.job)).collect();
            error!(
                unknown = names.join(", "),
                "the control database is older than the world: it doesn't know what made these, so nothing is \
                 removed by itself; restore a newer copy of the database"
            );
        } else if unknown.is_empty() && !before.is_empty() {
            info!("the control database knows again all that is in the world");
        }
        self.unknown.send_replace(Some(Arc::new(unknown)));
    }
}
