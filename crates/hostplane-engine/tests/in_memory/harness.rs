//! An installation in a temporary directory, on an in-memory world.

use std::sync::Arc;
use std::time::Duration;

use hostplane_domain::ids::JobId;
use hostplane_domain::job::JobState;
use hostplane_domain::resource_kind::ResourceKind;
use hostplane_domain::status::SiteStatus;
use hostplane_engine::app::{App, JobView, ResourceState};
use hostplane_engine::secrets::Secrets;
use hostplane_engine::store::Store;
use hostplane_engine::{pace::Pace, site_settings::SiteSettings};
use hostplane_infra::clock::{Clock, Timestamp};
use hostplane_infra::fake::{FakeClock, FakeWorld, ScriptedGate, State};
use hostplane_infra::world::World;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::common::{self, name, new_site, secrets};
pub use crate::common::{NGINX_IMAGE, PHP_IMAGE, SHARED_NETWORK};

pub struct Harness {
    pub world: FakeWorld,
    pub gate: Arc<ScriptedGate>,
    pub settings: SiteSettings,
    pub secrets: Secrets,
    home: TempDir,
}

/// A control plane that runs on a harness.
pub struct Running {
    pub app: App,
    store: Store,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// The same as in life, only faster.
fn pace() -> Pace {
    Pace {
        backoff_base: Duration::from_millis(1),
        backoff_ceiling: Duration::from_millis(4),
        dependency_pause: Duration::from_millis(5),
        settle: Duration::from_millis(20),
        serving_patience: Duration::from_millis(50),
        serving_pause: Duration::from_millis(1),
        ..Pace::default()
    }
}

impl Harness {
    pub async fn new() -> Self {
        Self {
            world: common::world().await,
            gate: ScriptedGate::new(),
            settings: common::settings(pace()),
            secrets: secrets([7; 32]),
            home: TempDir::new().unwrap(),
        }
    }

    pub fn gated(&self) -> World {
        self.world.behind(self.gate.clone())
    }

    pub async fn store(&self) -> Store {
        Store::open(&self.home.path().join("hostplane.db"), pace().settle, FakeClock::default().now()).await.unwrap()
    }

    /// The database file, while no control plane runs.
    pub fn copy_database(&self) -> Vec<u8> {
        std::fs::read(self.home.path().join("hostplane.db")).unwrap()
    }

    pub fn restore_database(&self, copy: &[u8]) {
        for file in ["hostplane.db-wal", "hostplane.db-shm"] {
            let _ = std::fs::remove_file(self.home.path().join(file));
        }
        std::fs::write(self.home.path().join("hostplane.db"), copy).unwrap();
    }

    /// Changes the database past all code.
    pub async fn spoil(&self, statement: &'static str) {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.home.path().join("hostplane.db"));
        let database = sqlx::SqlitePool::connect_with(options).await.unwrap();
        sqlx::raw_sql(statement).execute(&database).await.unwrap();
        database.close().await;
    }

    /// Makes the database file from a dump.
    pub async fn load_database(&self, dump: &'static str) {
        let file = self.home.path().join("hostplane.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).create_if_missing(true);
        let database = sqlx::SqlitePool::connect_with(options.foreign_keys(false)).await.unwrap();
        sqlx::raw_sql(dump).execute(&database).await.unwrap();
        database.close().await;
    }

    /// Starts the control plane, as a process start would.
    pub async fn start(&self) -> Running {
        let store = self.store().await;
        let secrets = self.secrets.clone();
        let (app, background) = App::new(store.clone(), self.gated(), secrets, self.settings.clone()).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(background.run(async move {
            let _ = stopped.await;
        }));
        Running { app, store, stop, task }
    }

    /// The world's time.
    pub fn now(&self) -> Timestamp {
        self.world.clock().now()
    }

    /// The world without what only counts.
    pub fn state(&self) -> State {
        let mut state = self.world.state().clone();
        state.containers.ids = 0;
        state
    }
}

impl Running {
    /// Ends it in order.
    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
        self.store.close().await;
    }

    /// Ends it as a SIGKILL would: whatever it was doing breaks off.
    pub async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    pub async fn create(&self, name: &str) -> JobId {
        self.app.create_site(&new_site(name)).await.unwrap().1.record.id
    }

    /// The job when nothing more will happen to it by itself.
    pub async fn ended(&self, job: JobId) -> JobView {
        let at_rest = |job: &JobView| !matches!(job.record.state, JobState::Pending | JobState::Running);
        if let Ok(job) = tokio::time::timeout(Duration::from_secs(20), self.app.job_when(job, at_rest)).await {
            return job.unwrap();
        }
        panic!("the job doesn't end: {:#?}", self.app.job(job).await.unwrap());
    }

    pub async fn active(&self, name: &str) -> JobView {
        let job = self.create(name).await;
        let job = self.ended(job).await;
        assert_eq!(job.record.state, JobState::Completed, "{:?}", job.record.error);
        job
    }

    pub async fn status(&self, site: &str) -> SiteStatus {
        self.app.site(&name(site)).await.unwrap().view.record.status
    }

    /// The resources that are not present and as wanted.
    pub async fn not_present(&self, site: &str) -> Vec<String> {
        let detail = self.app.site(&name(site)).await.unwrap();
        let rest = detail.resources.into_iter().filter(|resource| resource.state != ResourceState::Present);
        rest.map(|resource| format!("{} {:?}", resource.kind, resource.detail)).collect()
    }
}

/// What went wrong, and in which step.
pub fn failure(job: &JobView) -> (Option<&'static str>, String) {
    let error = job.record.error.clone().expect("the job has an error");
    (error.step.map(ResourceKind::as_str), error.message)
}
