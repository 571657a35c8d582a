//! WordPress's scheduled events, run when they are due and not when a visitor happens to come.
//!
//! One question to the database server tells which sites have something to do. What a site stores is its own
//! word, so a site that claims to be always due, or whose events hang, only uses up its own turn: sites that
//! have waited longest come first, and after a run a site backoff.

mod backoff;

use std::collections::BTreeSet;
use std::time::Duration;

use hostplane_domain::desired::DesiredSite;
use hostplane_domain::ids::{InstanceId, SiteId};
use hostplane_domain::resource_kind::ResourceKind;
use hostplane_infra::containers::ContainerState;
use hostplane_infra::databases::NextEvent;
use hostplane_infra::error::{Effect, EffectError, chain};
use hostplane_infra::wordpress::EventsRun;
use hostplane_infra::world::World;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, error, warn};

use crate::inventory::lookup;
use crate::pace::Pace;
use crate::store::{Store, StoreError};
use backoff::WpCronBackoff;

/// Sites whose events run at once.
const RUNS: usize = 4;
/// Between two looks at least, however soon the next event is due: among many sites one is due at any moment.
const SHORTEST_PAUSE: Duration = Duration::from_secs(10);
/// After so many failed looks in a row it is told louder.
const FAILED_PASSES: u32 = 3;

/// Looks for what is due, and has it run.
pub(crate) struct WpCron {
    store: Store,
    world: World,
    instance: InstanceId,
    pace: Pace,
}

/// Why a look broke off.
#[derive(Debug, thiserror::Error)]
enum ScanError {
    #[error(transparent)]
    World(#[from] EffectError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How a run ended.
struct Ended {
    site: SiteId,
    began: Instant,
}

/// What runs, and who backoff.
#[derive(Default)]
struct Runs {
    tasks: JoinSet<Ended>,
    sites: BTreeSet<SiteId>,
    backoff: WpCronBackoff,
    /// Something was due and had to wait for a place.
    lacked_room: bool,
}

impl WpCron {
    pub fn new(store: Store, world: World, instance: InstanceId, pace: Pace) -> Self {
        Self { store, world, instance, pace }
    }

    /// Looks again and again, for ever. Dropped, it waits for nobody: a run in a container ends by itself.
    pub async fn run(&self) {
        let mut runs = Runs::default();
        let mut next = Instant::now() + self.pace.wp_cron_tick;
        let mut failed = 0;
        loop {
            tokio::select! {
                biased;
                Some(ended) = runs.tasks.join_next(), if !runs.tasks.is_empty() => {
                    match ended {
                        Ok(ended) => runs.note(&ended, self.pace.wp_cron_backoff),
                        // Which one it was isn't known; nothing of it is left.
                        Err(error) => {
                            error!(%error, "a run of scheduled events broke off");
                            if runs.tasks.is_empty() {
                                runs.sites.clear();
                            }
                        }
                    }
                    if runs.lacked_room {
                        next = Instant::now();
                    }
                }
                () = sleep_until(next) => {
                    let pause = match self.start_due(&mut runs).await {
                        Ok(pause) => {
                            failed = 0;
                            pause
                        }
                        Err(error) => {
                            failed += 1;
                            report(&error, failed);
                            self.pace.wp_cron_tick
                        }
                    };
                    next = Instant::now() + pause;
                }
            }
        }
    }

    /// Starts what is due, as far as there is room, and answers how long until the next look.
    async fn start_due(&self, runs: &mut Runs) -> Result<Duration, ScanError> {
        let events = self.world.databases.next_events(self.instance).await?;
        let now = self.world.clock.now();
        runs.backoff.keep(&events);
        let (due, later): (Vec<NextEvent>, Vec<NextEvent>) = events.into_iter().partition(|event| event.due <= now);
        runs.lacked_room = false;
        for event in runs.backoff.in_turn(due) {
            if runs.sites.contains(&event.site.id) {
                continue;
            }
            if runs.tasks.len() >= RUNS {
                runs.lacked_room = true;
                break;
            }
            // Asked for each site at the last moment: what a job holds is left alone.
            match self.store.idle_site(event.site.id).await {
                Ok(Some(want)) => self.start(runs, &event, want),
                Ok(None) => {}
                // It is asked again after its backoff, and the others have their turn.
                Err(StoreError::Corrupt(field)) => {
                    runs.backoff.begin(&event);
                    runs.backoff.end(event.site.id, Duration::ZERO, self.pace.wp_cron_backoff);
                    error!(
                        site = %event.site.name, field,
                        "left out the due events of a site whose row can't be read; `hostplane doctor` says what to do"
                    );
                }
                Err(error) => return Err(error.into()),
            }
        }
        let soonest = later.iter().map(|event| event.due.since(now)).min();
        Ok(soonest.map_or(self.pace.wp_cron_tick, |soonest| soonest.max(SHORTEST_PAUSE).min(self.pace.wp_cron_tick)))
    }

    fn start(&self, runs: &mut Runs, event: &NextEvent, want: DesiredSite) {
        let (world, instance, began) = (self.world.clone(), self.instance, Instant::now());
        let is_known = runs.backoff.begin(event);
        runs.sites.insert(want.site.id);
        runs.tasks.spawn(async move {
            let result = run_events(&world, instance, &want).await;
            let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            let site = &want.site.name;
            match result {
                Ok(()) => debug!(%site, elapsed_ms, "ran scheduled events"),
                Err(error) if is_known => {
                    debug!(%site, elapsed_ms, error = %error.chain(), "scheduled events failed again");
                }
                Err(error) => warn!(%site, elapsed_ms, error = %error.chain(), "scheduled events failed; trying later"),
            }
            Ended { site: want.site.id, began }
        });
    }
}

impl Runs {
    fn note(&mut self, ended: &Ended, rest: Duration) {
        self.sites.remove(&ended.site);
        self.backoff.end(ended.site, ended.began.elapsed(), rest);
    }
}

/// Runs a site's events in its own PHP container.
async fn run_events(world: &World, instance: InstanceId, want: &DesiredSite) -> Effect<()> {
    let found = lookup::container(world, instance, &want.site, ResourceKind::PhpContainer).await?;
    let running = found.filter(|container| container.state == ContainerState::Running);
    let php = running.ok_or_else(|| EffectError::NotFound("the running PHP container of this site".to_owned()))?;
    let run = EventsRun { url: want.url.clone(), memory_mib: want.php.memory_mib };
    world.wordpress.run_events(&php.id, &run).await
}

fn report(error: &ScanError, failed: u32) {
    match error {
        ScanError::Store(error) => error!(error = chain(error), "can't look for scheduled events"),
        ScanError::World(error) if failed == FAILED_PASSES => {
            warn!(error = %error.chain(), failed, "can't look for scheduled events; going on trying");
        }
        ScanError::World(error) => debug!(error = %error.chain(), "can't look for scheduled events"),
    }
}
