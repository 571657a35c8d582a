//! All that a front end may call.

mod credentials;
mod disk;
mod doctor;
mod exec;
mod health;
mod jobs;
mod logs;
mod reconcile;
mod secret;
mod site_container;
mod sites;
mod statistics;
mod tokens;

use std::sync::{Arc, Mutex};

use hostplane_domain::disk::Size;
use hostplane_domain::ids::{InstanceId, JobId};
use hostplane_domain::name::SiteName;
use hostplane_domain::site_change::RefusedSetting;
use hostplane_domain::status::SiteStatus;
use hostplane_infra::clock::Timestamp;
use hostplane_infra::error::{Effect, EffectError};
use hostplane_infra::world::World;
use tokio::sync::{mpsc, oneshot, watch};

pub use crate::disk::{DiskReport, MeasuredUsage, SiteDisk};
pub use crate::inventory::ObjectKind;
pub use crate::orphans::{BadOrphanId, OrphanId, OrphanReason, OrphanView};
pub use crate::reconciler::{DriftReport, SiteDrift};
pub use credentials::Credentials;
pub use disk::DiskStatistics;
pub use doctor::{Finding, Severity};
pub use exec::ProgramOutput;
pub use health::Readiness;
pub use jobs::JobView;
pub use secret::SecretView;
pub use site_container::SiteContainer;
pub use sites::{ResourceState, ResourceView, SiteDetail, SiteView};
pub use statistics::Statistics;

use crate::background::signal::Signal;
use crate::disk::{Disk, DiskCache};
use crate::jobs::Worker;
use crate::orphans::Orphans;
use crate::reconciler::{DriftCache, Reconciler, ScanRequest};
use crate::retention::Retention;
use crate::rotation::Rotation;
use crate::secrets::Secrets;
use crate::site_settings::SiteSettings;
use crate::staleness::Staleness;
use crate::statement_limit::StatementLimit;
use crate::store::{Store, StoreError, Stored};
use crate::wp_cron::WpCron;

/// The engine, as front ends see it.
#[derive(Clone)]
pub struct App {
    store: Store,
    world: World,
    instance: InstanceId,
    secrets: Secrets,
    /// Announces a new generation of the secret.
    rotate: watch::Sender<()>,
    settings: SiteSettings,
    signal: Signal,
    orphans: Arc<Orphans>,
    staleness: Staleness,
    drift_cache: Arc<DriftCache>,
    disk_cache: Arc<DiskCache>,
    /// Requests for full scans.
    scan_requests: mpsc::Sender<ScanRequest>,
}

/// The reason why a request failed. Each message says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// There is no such site.
    #[error("there is no site {0}; `hostplane site list` shows those there are")]
    NoSite(SiteName),
    /// There is no such job.
    #[error("there is no job of this id; `hostplane job list` shows those there are")]
    NoJob,
    /// Another site has the name.
    #[error("{}", name_taken(name, *status))]
    NameTaken {
        /// The name.
        name: SiteName,
        /// Status of the site that has it.
        status: SiteStatus,
    },
    /// The Engine's disk has no room for another site.
    #[error(
        "no site is made while the Engine's disk has less than its reserve: {} are free, and DISK_RESERVE keeps {}; \
         free some space (`hostplane doctor` names the largest sites), or lower the reserve",
        Size(*free), Size(*reserve)
    )]
    DiskReserve {
        /// Bytes that are free.
        free: u64,
        /// Bytes that are kept.
        reserve: u64,
    },
    /// A job of the site has not ended.
    #[error("{}", busy(name, *job, *stuck))]
    Busy {
        /// The site.
        name: SiteName,
        /// The job; `None` if it ended a moment ago.
        job: Option<JobId>,
        /// True if the job needs an operator.
        stuck: bool,
    },
    /// The site's status doesn't allow it.
    #[error("site {name} is {status}: {hint}")]
    WrongStatus {
        /// The site.
        name: SiteName,
        /// Its status.
        status: SiteStatus,
        /// The next step, or the condition that isn't met.
        hint: &'static str,
    },
    /// The site's PHP container is not there or doesn't run.
    #[error(
        "the PHP container of site {0} doesn't run; `hostplane site show {0}` and `hostplane site logs {0}` say more"
    )]
    NotRunning(SiteName),
    /// A request to the site's containers failed.
    #[error("a request to the containers of site {name} failed: {}", error.chain())]
    Unanswered {
        /// The site.
        name: SiteName,
        /// The failure.
        error: EffectError,
    },
    /// Settings that are out of bounds.
    #[error(transparent)]
    RefusedSetting(RefusedSetting),
    /// The job can't be retried.
    #[error(
        "only a job that needs an operator, or the failed or cancelled provision of a site that is FAILED, can be retried"
    )]
    NotRetriable,
    /// The job can't be cancelled.
    #[error("{0}")]
    NotCancellable(&'static str),
    /// There is no such orphan.
    #[error("there is no orphan of this id; `hostplane orphan list` shows those there are")]
    NoOrphan,
    /// The orphan is not removed.
    #[error("{0}")]
    OrphanStays(String),
    /// The reconciler has stopped.
    #[error("the control plane is stopping and scans no more; try again after its restart")]
    Stopping,
    /// The cursor names no item.
    #[error("the cursor is not the next_cursor of an earlier page")]
    NoCursor,
    /// The installation's new secret could not be written.
    #[error("the new secret could not be kept: {0}")]
    SecretNotKept(std::io::Error),
    /// There is no such token.
    #[error("there is no token of this id; `hostplane token list` shows those there are")]
    NoToken,
    /// The token is the home's.
    #[error(
        "this is the token in the control plane's home, which keeps you from locking yourself out; to replace it, \
         remove the file `token` of HOSTPLANE_HOME and restart the control plane"
    )]
    HomeToken,
    /// The control database failed.
    #[error("the control database failed; the log says why")]
    Store(#[source] StoreError),
}

fn name_taken(name: &SiteName, status: SiteStatus) -> String {
    match status {
        SiteStatus::Failed => format!(
            "site {name} exists and is FAILED: retry its job (`hostplane job list --site {name}`, `hostplane job \
             retry ID`) or destroy it (`hostplane site destroy {name}`)"
        ),
        status => format!("site {name} exists and is {status}; choose another name, or destroy that site first"),
    }
}

fn busy(name: &SiteName, job: Option<JobId>, stuck: bool) -> String {
    match (job, stuck) {
        (None, _) => format!("site {name} was busy until a moment ago; ask again"),
        (Some(job), false) => {
            format!("site {name} is busy with job {job}; wait for it (`hostplane job watch {job}`), then ask again")
        }
        (Some(job), true) => format!(
            "site {name} is held by job {job}, which needs an operator: find the cause (`hostplane job show {job}`) and \
             remove it, then `hostplane job retry {job}`, or give it up with `hostplane job cancel {job}`"
        ),
    }
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The result of a request.
pub type AppResult<T> = Result<T, AppError>;

/// The engine's background loops.
pub struct Background {
    worker: Worker,
    reconciler: Reconciler,
    scan_requests: mpsc::Receiver<ScanRequest>,
    wp_cron: WpCron,
    rotation: Rotation,
    retention: Retention,
    statement_limit: StatementLimit,
    disk: Disk,
}

impl Background {
    /// Runs the loops until `stop` resolves, then waits for the jobs under way.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        tokio::select! {
            biased;
            () = self.worker.run(stop) => {}
            // Boxed, because the caller's future would hold these large ones by value.
            () = Box::pin(self.reconciler.run(self.scan_requests)) => {}
            () = Box::pin(self.wp_cron.run()) => {}
            () = Box::pin(self.rotation.run()) => {}
            () = Box::pin(self.retention.run()) => {}
            () = Box::pin(self.statement_limit.run()) => {}
            () = Box::pin(self.disk.run()) => {}
        }
    }
}

impl App {
    /// Assembles the engine. Nothing runs until [`Background::run`] is polled.
    ///
    /// # Errors
    /// When the control database fails, or a site needs a generation of the secret that is not there.
    pub async fn new(
        store: Store,
        world: World,
        secrets: Secrets,
        settings: SiteSettings,
    ) -> Stored<(Self, Background)> {
        let instance = store.instance().await?;
        store.check_generations(&secrets.now()).await?;
        let signal = Signal::default();
        let orphans = Arc::new(Orphans::new(store.clone(), world.clone(), instance, signal.clone(), settings.pace));
        let staleness = Staleness::new(store.clone(), Arc::clone(&orphans));
        let drift_cache = Arc::new(DriftCache::default());
        let runner = crate::jobs::Runner {
            store: store.clone(),
            world: world.clone(),
            instance,
            secrets: secrets.clone(),
            settings: settings.clone(),
            staleness: staleness.clone(),
            drift_cache: Arc::clone(&drift_cache),
            updates_awaited: Mutex::default(),
        };
        let worker = Worker::new(runner, signal.clone());
        let wp_cron = WpCron::new(store.clone(), world.clone(), instance, settings.pace);
        let rotate = watch::Sender::new(());
        let rotation = Rotation {
            store: store.clone(),
            world: world.clone(),
            secrets: secrets.clone(),
            signal: signal.clone(),
            generations: rotate.subscribe(),
            staleness: staleness.clone(),
            pace: settings.pace,
        };
        let (request_scan, scan_requests) = mpsc::channel(1);
        let reconciler = Reconciler {
            store: store.clone(),
            world: world.clone(),
            instance,
            secrets: secrets.clone(),
            settings: settings.clone(),
            signal: signal.clone(),
            orphans: Arc::clone(&orphans),
            staleness: staleness.clone(),
            drift_cache: Arc::clone(&drift_cache),
            hashes: Mutex::default(),
        };
        let retention = Retention { store: store.clone(), world: world.clone() };
        let statement_limit = StatementLimit { world: world.clone(), instance, limit: settings.statement_limit };
        let disk_cache = Arc::new(DiskCache::default());
        let disk = Disk {
            store: store.clone(),
            world: world.clone(),
            instance,
            settings: settings.disk.clone(),
            signal: signal.clone(),
            staleness: staleness.clone(),
            cache: Arc::clone(&disk_cache),
        };
        let background =
            Background { worker, reconciler, scan_requests, wp_cron, rotation, retention, statement_limit, disk };
        Ok((
            Self {
                store,
                world,
                instance,
                secrets,
                rotate,
                settings,
                signal,
                orphans,
                staleness,
                drift_cache,
                disk_cache,
                scan_requests: request_scan,
            },
            background,
        ))
    }

    /// Makes Caddy load the routes that are on disk, unless it is known to have loaded them. Only then can missing
    /// routes be detected, so a full scan follows.
    ///
    /// # Errors
    /// When Caddy doesn't answer, or refuses what is on disk.
    pub async fn settle_routes(&self) -> Effect<()> {
        self.world.local().proxy.settle().await?;
        // A full channel holds a request already, and a closed one means that the reconciler has stopped.
        let _ = self.scan_requests.try_send(ScanRequest { deep: false, done: oneshot::channel().0 });
        Ok(())
    }

    fn now(&self) -> Timestamp {
        self.world.clock.now()
    }
}
