//! An installation in a temporary directory, on an in-memory world.

use std::sync::Arc;
use std::time::Duration;

use hostplane_domain::naming::ResourceKind;
use hostplane_engine::app::{App, JobView};
use hostplane_engine::secrets::Secrets;
use hostplane_engine::store::Store;
use hostplane_engine::{pace::Pace, site_settings::SiteSettings};
use hostplane_infra::clock::{Clock, Timestamp};
use hostplane_infra::world::World;
use hostplane_testing::fake::{FakeClock, FakeWorld, ScriptedGate, State};
use hostplane_testing::harness::{self, ControlPlane, secrets};
use tempfile::TempDir;

pub struct Harness {
    pub world: FakeWorld,
    pub gate: Arc<ScriptedGate>,
    pub settings: SiteSettings,
    pub secrets: Secrets,
    home: TempDir,
}

fn pace() -> Pace {
    Pace {
        serving_patience: Duration::from_millis(50),
        serving_pause: Duration::from_millis(1),
        ..harness::quick_pace()
    }
}

impl Harness {
    pub async fn new() -> Self {
        Self {
            world: harness::world().await,
            gate: ScriptedGate::new(),
            settings: harness::settings(pace()),
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
    pub async fn start(&self) -> ControlPlane {
        let store = self.store().await;
        let secrets = self.secrets.clone();
        let (app, background) = App::new(store.clone(), self.gated(), secrets, self.settings.clone()).await.unwrap();
        ControlPlane::start(app, store, background)
    }

    /// The world's time.
    pub fn now(&self) -> Timestamp {
        self.world.clock().now()
    }

    /// The world without what only counts.
    pub fn state(&self) -> State {
        self.world.state().clone().uncounted()
    }
}

/// An installation of its own with the site `hello` in service.
pub async fn with_hello() -> (Harness, ControlPlane) {
    let harness = Harness::new().await;
    let running = harness.start().await;
    running.active("hello").await;
    (harness, running)
}

/// Asks over and over until there is an answer.
pub async fn until<T>(what: &str, mut seen: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            match seen().await {
                Some(found) => return found,
                None => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), found).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// The step that failed, and its error.
pub fn failure(job: &JobView) -> (Option<&'static str>, String) {
    let error = job.record.error.clone().expect("the job has an error");
    (error.step.map(ResourceKind::as_str), error.message)
}
