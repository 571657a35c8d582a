//! An installation on an in-memory world, in virtual time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hostplane_engine::app::{App, AppResult, Background, JobView};
use hostplane_engine::store::{JobFilter, Store, StoreGate, Stored};
use hostplane_engine::{pace::Pace, site_settings::SiteSettings};
use hostplane_infra::clock::{Clock, Timestamp};
use hostplane_testing::fake::{FakeWorld, State};
use hostplane_testing::harness::{self, ControlPlane, name, secrets};
use sqlx::Connection;
use tempfile::TempDir;

use crate::gate::FaultGate;
use crate::journal::{JournalGate, Stillness};
use crate::secrets::MASTER;

pub const OTHER_PHP_IMAGE: &str = "hostplane/php:other";
pub const OTHER_NGINX_IMAGE: &str = "hostplane/nginx:other";

/// All that outlasts a process: the database file and the world, at a time.
#[derive(Clone)]
pub struct Stage {
    pub database: Vec<u8>,
    pub state: State,
    pub now: Timestamp,
}

impl Stage {
    /// No database yet, and a world with images and the network that sites share with Caddy.
    pub async fn empty() -> Self {
        let world = harness::world().await;
        world.state().containers.images.extend([OTHER_PHP_IMAGE, OTHER_NGINX_IMAGE].map(str::to_owned));
        let state = world.state().clone();
        Self { database: Vec::new(), state, now: world.clock().now() }
    }
}

pub struct Harness {
    pub world: FakeWorld,
    pub gate: Arc<FaultGate>,
    pub journal: Arc<JournalGate>,
    settings: SiteSettings,
    home: TempDir,
}

/// In memory where that is possible: a run waits for thousands of commits.
fn home() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory).unwrap() } else { TempDir::new().unwrap() }
}

impl Harness {
    pub fn on(stage: &Stage) -> Self {
        let home = home();
        if !stage.database.is_empty() {
            std::fs::write(home.path().join("hostplane.db"), &stage.database).unwrap();
        }
        let world = FakeWorld::resumed(stage.state.clone(), stage.now);
        let gate = FaultGate::new(world.clone());
        let journal = JournalGate::new(Arc::clone(&gate.dead), Arc::clone(&gate.died));
        Self { world, gate, journal, settings: harness::settings(Pace::default()), home }
    }

    pub fn database(&self) -> PathBuf {
        self.home.path().join("hostplane.db")
    }

    /// All that is in the home, as bytes.
    pub fn everything_written(&self) -> Vec<u8> {
        let files = std::fs::read_dir(self.home.path()).unwrap();
        files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
    }

    /// The engine on this harness, before anything runs. A start that fails, or dies, is followed by another.
    pub async fn open(&self) -> (App, Store, Background) {
        loop {
            tokio::select! {
                biased;
                () = self.gate.died.notified() => self.gate.restarted(),
                opened = self.open_once() => {
                    if let Ok(opened) = opened {
                        return opened;
                    }
                }
            }
        }
    }

    async fn open_once(&self) -> Stored<(App, Store, Background)> {
        let now = self.world.clock().now();
        let gate: Arc<dyn StoreGate> = self.journal.clone();
        let store = Store::open_behind(gate, &self.database(), self.settings.pace.settle, now).await?;
        let world = self.world.behind(self.gate.clone());
        let (app, background) = App::new(store.clone(), world, secrets(MASTER), self.settings.clone()).await?;
        Ok((app, store, background))
    }

    /// A control plane beside one that runs.
    pub async fn start_another(&self) -> ControlPlane {
        loop {
            if let Ok((app, store, background)) = self.open_once().await {
                return Self::run(app, store, background);
            }
        }
    }

    /// Starts the control plane, as a process start would.
    pub async fn start(&self) -> ControlPlane {
        let (app, store, background) = self.open().await;
        Self::run(app, store, background)
    }

    pub fn run(app: App, store: Store, background: Background) -> ControlPlane {
        let settling = app.clone();
        ControlPlane::working(app, store, |stopped| async move {
            let settled = async move {
                while settling.settle_routes().await.is_err() {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                biased;
                () = background.run(stopped) => {}
                () = settled => {}
            }
        })
    }

    /// Ends the control plane in order, and keeps what it leaves.
    pub async fn leave(self, running: ControlPlane) -> Stage {
        // The next one begins a second later, however long its files take to be closed.
        let now = self.world.clock().now().plus(Duration::from_secs(1));
        running.stop().await;
        let state = self.world.state().clone();
        Stage { database: std::fs::read(self.database()).unwrap(), state, now }
    }

    /// Ends the control plane as a SIGKILL would: whatever it was doing breaks off, and its files are closed.
    pub async fn kill(&self, running: &mut ControlPlane) {
        let _still = Stillness::begin();
        let _ = running.break_off().await;
    }

    /// Takes running jobs away from their runners, as a second delivery would.
    pub async fn deliver_again(&self) {
        let _turn = self.journal.enter().await;
        let url = format!("sqlite://{}", self.database().display());
        let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
        sqlx::query("UPDATE jobs SET state = 'pending', epoch = NULL, run_at = 0 WHERE state = 'running'")
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    }
}

/// The jobs of a site, the newest first.
pub async fn jobs_of(app: &App, site: &str) -> AppResult<Vec<JobView>> {
    Ok(app.jobs(Some(&name(site)), &JobFilter { limit: 1000, ..JobFilter::default() }).await?.rows)
}

/// Runs a future in virtual time. Other threads are heard only when nothing else can go
/// on, so that the order of events is the same each time. Answers with its words if it panics.
pub fn in_virtual_time<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .global_queue_interval(u32::MAX)
        .event_interval(u32::MAX)
        .build()
        .unwrap();
    // As a task among the others: the runtime polls its main future as soon as any thread wakes it.
    let result = runtime.block_on(async { tokio::spawn(work).await });
    // Threads of the database may still be closing their files.
    runtime.shutdown_background();
    result.map_err(|error| {
        let panic = error.into_panic();
        let words = panic.downcast_ref::<String>().cloned();
        let words = words.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        format!("panic: {}", words.unwrap_or_default())
    })
}
