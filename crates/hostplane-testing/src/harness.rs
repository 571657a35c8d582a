//! Set-up that tests of the engine and of everything above it share: an installation's settings, its world before the
//! first site, and a control plane that runs on them.

#![expect(clippy::missing_panics_doc, reason = "a harness panics where its test would fail")]

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hostplane_domain::desired::SiteLimits;
use hostplane_domain::disk::DiskLimits;
use hostplane_domain::ids::JobId;
use hostplane_domain::job::{JobState, OperationName};
use hostplane_domain::mark::Labels;
use hostplane_domain::name::SiteName;
use hostplane_domain::secret::{Keyring, MasterSecret};
use hostplane_domain::site_change::SiteChange;
use hostplane_domain::site_kind::{SiteDetails, SiteKind};
use hostplane_domain::status::SiteStatus;
use hostplane_domain::wordpress::{PhpSettings, SiteImages};
use hostplane_engine::app::{App, Background, JobView, ResourceState, SiteView};
use hostplane_engine::pace::Pace;
use hostplane_engine::secrets::Secrets;
use hostplane_engine::site_settings::{DiskSettings, SiteSettings};
use hostplane_engine::store::{JobFilter, NewSite, Store};
use hostplane_infra::containers::{Containers, NetworkSpec};
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::timeout;

use crate::fake::FakeWorld;

/// The image of the sites' PHP.
pub const PHP_IMAGE: &str = "hostplane/php:test";
/// The image of the sites' nginx.
pub const NGINX_IMAGE: &str = "hostplane/nginx:test";
/// The network that sites share with Caddy.
pub const SHARED_NETWORK: &str = "hostplane";
/// Longest time that a job may take on a world in memory.
const JOB_PATIENCE: Duration = Duration::from_mins(1);

/// The settings of an installation whose sites are at `<name>.localhost:8080`.
#[must_use]
pub fn settings(pace: Pace) -> SiteSettings {
    SiteSettings {
        base_domain: "localhost".parse().expect("a domain"),
        public_port: 8080,
        images: SiteImages { php: PHP_IMAGE.into(), nginx: NGINX_IMAGE.into() },
        platform_images: Vec::new(),
        limits: SiteLimits::default(),
        php: PhpSettings::default(),
        mail: None,
        mail_password: None,
        shared_network: SHARED_NETWORK.into(),
        database_host: "host.docker.internal:3306".into(),
        subnet_pool: "10.213.0.0/16".parse().expect("a network"),
        concurrency: 4,
        repair_concurrency: 2,
        // Its calls would be among those that tests count.
        statement_limit: Duration::ZERO,
        disk: DiskSettings {
            limits: DiskLimits::default(),
            seen_from: "caddy".into(),
            // Tests that measure say when.
            interval: Duration::from_hours(24 * 365),
            tick: Duration::from_hours(24 * 365),
        },
        pace,
    }
}

/// Pauses of milliseconds between the tries of a job, and otherwise the product's pace.
#[must_use]
pub fn quick_pace() -> Pace {
    Pace {
        backoff_base: Duration::from_millis(1),
        backoff_ceiling: Duration::from_millis(4),
        dependency_pause: Duration::from_millis(5),
        settle: Duration::from_millis(20),
        ..Pace::default()
    }
}

/// A world with images and the network that sites share with Caddy.
pub async fn world() -> FakeWorld {
    let world = FakeWorld::default();
    world.state().containers.images.extend([PHP_IMAGE, NGINX_IMAGE].map(str::to_owned));
    let subnet = Some("172.31.0.0/16".parse().expect("a network"));
    let shared = NetworkSpec { name: SHARED_NETWORK.into(), subnet, labels: Labels::new() };
    world.create_network(&shared).await.expect("the network is made");
    world
}

/// A secret whose later generations are kept nowhere: their bytes are their numbers.
#[must_use]
pub fn secrets(first: [u8; 32]) -> Secrets {
    let keep = |ring: &Keyring| {
        let number = u8::try_from(ring.newest() + 1).map_err(std::io::Error::other)?;
        Ok(ring.followed_by(MasterSecret::new([number; 32])))
    };
    Secrets::new(Keyring::new(MasterSecret::new(first)), Arc::new(keep))
}

/// A site's name.
#[must_use]
pub fn name(site: &str) -> SiteName {
    SiteName::parse(site).expect("a site's name")
}

/// A WordPress site to be created.
#[must_use]
pub fn new_site(site: &str) -> NewSite {
    new_site_of(SiteKind::Wordpress, site)
}

/// A site of a kind to be created.
#[must_use]
pub fn new_site_of(kind: SiteKind, site: &str) -> NewSite {
    const DETAILS: &str = r#"{"title":"A site","admin_user":"admin","admin_email":"admin@example.com"}"#;
    NewSite { name: name(site), details: SiteDetails::from_json(kind, DETAILS).expect("details of a kind") }
}

/// Nothing more happens to the job without an order.
#[must_use]
pub fn is_at_rest(job: &JobView) -> bool {
    !matches!(job.record.state, JobState::Pending | JobState::Running)
}

/// Waits until a job is at rest, at most a minute.
pub async fn ended(app: &App, job: JobId) -> JobView {
    if let Ok(job) = timeout(JOB_PATIENCE, app.job_when(job, is_at_rest)).await {
        return job.expect("the job is read");
    }
    panic!("the job doesn't end: {:#?}", app.job(job).await);
}

/// Resolves when the control plane is asked to stop.
pub type Stopped = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An engine with its background work under way. Dropping it breaks the work off.
pub struct ControlPlane {
    /// The engine.
    pub app: App,
    store: Store,
    stop: oneshot::Sender<()>,
    task: Task,
}

/// A task that doesn't outlive its handle.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl ControlPlane {
    /// Begins the background work, as a process start would.
    #[must_use]
    pub fn start(app: App, store: Store, background: Background) -> Self {
        Self::working(app, store, |stopped| background.run(stopped))
    }

    /// Begins `work`, which ends once it is asked to stop.
    #[must_use]
    pub fn working<W>(app: App, store: Store, work: impl FnOnce(Stopped) -> W) -> Self
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel();
        let stopped = Box::pin(async move {
            // A sender that is gone asks to stop too.
            let _ = stopped.await;
        });
        Self { app, store, stop, task: Task(tokio::spawn(work(stopped))) }
    }

    /// Ends it in order.
    pub async fn stop(mut self) {
        self.stop.send(()).expect("it runs");
        (&mut self.task.0).await.expect("it ends without a panic");
        self.store.close().await;
    }

    /// Ends it as a SIGKILL would: its work breaks off, and its files are closed.
    pub async fn kill(mut self) {
        let ended = self.break_off().await;
        assert!(ended.is_err_and(|error| error.is_cancelled()), "it ran until now");
    }

    /// The same with something that may have ended already; answers how it did.
    ///
    /// # Errors
    /// When its work had not ended, or ended with a panic.
    pub async fn break_off(&mut self) -> Result<(), JoinError> {
        self.task.0.abort();
        let ended = (&mut self.task.0).await;
        self.store.close().await;
        ended
    }

    /// Orders a site and answers its job.
    pub async fn create(&self, site: &str) -> JobId {
        self.app.create_site(&new_site(site)).await.expect("the site is ordered").1.record.id
    }

    /// The job once nothing more happens to it without an order, at most after a minute.
    pub async fn ended(&self, job: JobId) -> JobView {
        ended(&self.app, job).await
    }

    /// The same, however long it takes.
    pub async fn at_rest(&self, job: JobId) -> JobView {
        self.app.job_when(job, is_at_rest).await.expect("the job is read")
    }

    /// The job once it is completed.
    pub async fn completed(&self, job: JobId) -> JobView {
        let job = self.ended(job).await;
        assert_eq!(job.record.state, JobState::Completed, "{:?}", job.record.error);
        job
    }

    /// The job once it waits for a dependency.
    pub async fn waiting(&self, job: JobId) -> JobView {
        self.app.job_when(job, |job| job.record.waiting_for.is_some()).await.expect("the job is read")
    }

    /// Creates a site and waits until it is there.
    pub async fn active(&self, site: &str) -> JobView {
        let job = self.create(site).await;
        self.completed(job).await
    }

    /// Orders a change of a site and answers its job.
    pub async fn change(&self, site: &str, change: &SiteChange) -> JobId {
        self.app.change_site(&name(site), change).await.expect("the change is ordered").record.id
    }

    /// Orders the end of a site and answers its job.
    pub async fn destroy(&self, site: &str) -> JobId {
        self.app.destroy_site(&name(site)).await.expect("the end is ordered").record.id
    }

    /// Destroys a site and waits until it is gone.
    pub async fn destroyed(&self, site: &str) -> JobView {
        let job = self.destroy(site).await;
        self.completed(job).await
    }

    /// Orders a job once more and waits until it, or the one in its place, is completed.
    pub async fn retried(&self, job: JobId) -> JobView {
        let job = self.app.retry_job(job).await.expect("it can be retried").record.id;
        self.completed(job).await
    }

    /// Every job, the newest first.
    pub async fn all_jobs(&self) -> Vec<JobView> {
        self.jobs(None).await
    }

    /// Every job of an operation, the newest first.
    pub async fn jobs_of(&self, operation: OperationName) -> Vec<JobView> {
        self.jobs(Some(operation)).await
    }

    async fn jobs(&self, operation: Option<OperationName>) -> Vec<JobView> {
        let all = JobFilter { operation, limit: 10_000, ..JobFilter::default() };
        self.app.jobs(None, &all).await.expect("jobs are read").rows
    }

    /// Scans everything so many times, only by lists.
    pub async fn scan(&self, times: usize) {
        for _ in 0..times {
            self.app.reconcile(false).await.expect("it is scanned");
        }
    }

    /// Scans everything deeply.
    pub async fn scan_deeply(&self) {
        self.app.reconcile(true).await.expect("it is scanned");
    }

    /// A site as lists show it.
    pub async fn site(&self, site: &str) -> SiteView {
        self.app.site(&name(site)).await.expect("the site is read").view
    }

    /// A site's status.
    pub async fn status(&self, site: &str) -> SiteStatus {
        self.site(site).await.record.status
    }

    /// The resources of a site that are not present as wanted, each with its detail.
    pub async fn not_present(&self, site: &str) -> Vec<String> {
        let detail = self.app.site(&name(site)).await.expect("the site is read");
        let rest = detail.resources.into_iter().filter(|resource| resource.state != ResourceState::Present);
        rest.map(|resource| format!("{} {:?}", resource.kind, resource.detail)).collect()
    }

    /// Asserts that every resource of a site is present as wanted.
    pub async fn assert_whole(&self, site: &str) {
        assert_eq!(self.not_present(site).await, Vec::<String>::new(), "{site}");
    }

    /// Orders the removal of every orphan, as an operator would; answers their number.
    pub async fn remove_orphans(&self) -> usize {
        let orphans = self.app.orphans();
        for orphan in &orphans {
            // One that goes with another, or whose site is busy, is found again by the next scan.
            let _ = self.app.remove_orphan(&orphan.id).await;
        }
        orphans.len()
    }
}
