//! wp-cron: WordPress's due events, run without waiting for a visitor.
//!
//! One query to the database server finds the sites with due events. It reads rows that the sites' owners write, so a
//! site that claims to be always due, or whose events hang, only uses up its own turn: sites that have waited longest
//! come first, and a site pauses after a run.

mod turns;

use std::collections::BTreeSet;
use std::time::Duration;

use hostplane_domain::desired::DesiredSite;
use hostplane_domain::ids::{InstanceId, SiteId};
use hostplane_domain::naming::ResourceKind;
use hostplane_infra::containers::ContainerState;
use hostplane_infra::databases::NextEvent;
use hostplane_infra::error::{Dependency, Effect, EffectError, chain};
use hostplane_infra::wordpress::{EventsLimits, EventsRun};
use hostplane_infra::world::World;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, error, warn};

use crate::inventory::{ScanError, lookup};
use crate::pace::Pace;
use crate::store::{Store, StoreError};
use turns::Turns;

/// Sites whose events run at once.
const RUNS: usize = 4;
/// Least pause before a scan for an event that is due later: among many sites one is due at any moment.
const SHORTEST_PAUSE: Duration = Duration::from_secs(10);
/// Failed scans in a row after which the failure is logged as a warning.
const FAILED_PASSES: u32 = 3;

/// Finds due events and runs them.
pub(crate) struct WpCron {
    store: Store,
    world: World,
    instance: InstanceId,
    pace: Pace,
}

/// The end of a run.
struct Ended {
    site: SiteId,
    began: Instant,
}

/// Runs under way, and the sites that pause.
#[derive(Default)]
struct Runs {
    tasks: JoinSet<Ended>,
    sites: BTreeSet<SiteId>,
    turns: Turns,
    /// True when a due event had to wait for a place.
    lacked_room: bool,
}

impl WpCron {
    pub fn new(store: Store, world: World, instance: InstanceId, pace: Pace) -> Self {
        Self { store, world, instance, pace }
    }

    /// Runs due events until it is dropped. A run in a container outlives it and ends without it.
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
                        // The error doesn't name the site, and no task of the site is left.
                        Err(error) => {
                            error!(%error, "a run of due events broke off");
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

    /// Starts runs of due events, as far as there is room, and returns the time until the next scan.
    async fn start_due(&self, runs: &mut Runs) -> Result<Duration, ScanError> {
        let events = self.world.databases.next_events(self.instance).await?;
        let now = self.world.clock.now();
        runs.turns.keep(&events);
        let (due, later): (Vec<NextEvent>, Vec<NextEvent>) = events.into_iter().partition(|event| event.due <= now);
        runs.lacked_room = false;
        // Else each site would fail for what all of them share.
        if !due.is_empty() {
            self.world.ping(Dependency::DATABASE_PATH).await?;
        }
        for event in runs.turns.in_turn(due) {
            if runs.sites.contains(&event.site.id) {
                continue;
            }
            if runs.tasks.len() >= RUNS {
                runs.lacked_room = true;
                break;
            }
            // Read for each site at the last moment: a site that a job holds is not touched.
            match self.store.idle_site(event.site.id).await {
                Ok(Some(want)) => self.start(runs, &event, want),
                Ok(None) => {}
                // It is asked again after its backoff, and the others have their turn.
                Err(StoreError::Corrupt(field)) => {
                    runs.turns.begin(&event);
                    runs.turns.end(event.site.id, Duration::ZERO, self.pace.wp_cron_backoff);
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
        let is_known = runs.turns.begin(event);
        runs.sites.insert(want.site.id);
        runs.tasks.spawn(async move {
            let result = run_events(&world, instance, &want).await;
            let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            let site = &want.site.name;
            match result {
                Ok(()) => debug!(%site, elapsed_ms, "ran due events"),
                Err(error) if is_known => {
                    debug!(%site, elapsed_ms, error = %error.chain(), "due events failed again");
                }
                Err(error) => warn!(%site, elapsed_ms, error = %error.chain(), "due events failed; trying later"),
            }
            Ended { site: want.site.id, began }
        });
    }
}

impl Runs {
    fn note(&mut self, ended: &Ended, shortest: Duration) {
        self.sites.remove(&ended.site);
        self.turns.end(ended.site, ended.began.elapsed(), shortest);
    }
}

/// Runs a site's events in its own PHP container.
async fn run_events(world: &World, instance: InstanceId, want: &DesiredSite) -> Effect<()> {
    let host = world.at(want.host)?;
    let found = lookup::container(host, instance, &want.site, ResourceKind::PhpContainer).await?;
    let running = found.filter(|container| container.state == ContainerState::Running);
    let php = running.ok_or_else(|| EffectError::NotFound("the running PHP container of this site".to_owned()))?;
    let run = EventsRun {
        url: want.url.clone(),
        memory_mib: want.wordpress().php.memory_mib,
        limits: EventsLimits::default(),
    };
    host.wordpress.run_events(&php.id, &run).await
}

fn report(error: &ScanError, failed: u32) {
    match error {
        ScanError::Store(error) => error!(error = chain(error), "can't scan for due events"),
        ScanError::World(error) if failed == FAILED_PASSES => {
            warn!(error = %error.chain(), failed, "can't scan for due events; still trying");
        }
        ScanError::World(error) => debug!(error = %error.chain(), "can't scan for due events"),
    }
}
