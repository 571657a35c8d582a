//! The control database: the single source of truth. Every statement of SQL is in this module.

mod claims;
mod connections;
mod counts;
mod enqueue;
mod identity;
mod jobs;
mod origins;
mod reconcile_target;
mod requeue;
mod sites;
mod subnets;
#[cfg(test)]
mod tests;
mod tokens;

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hostplane_domain::site_change::OutOfBounds;
use hostplane_domain::status::IllegalTransition;
use hostplane_infra::clock::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::watch;

pub use claims::{Claim, Outcome, PutBack};
pub use connections::{Commit, Permit, StoreGate};
pub use jobs::{JobError, JobFilter, JobRecord, StepRecord};
pub use origins::Origin;
pub use reconcile_target::{ReconcileTarget, Repaired};
pub use sites::{NewSite, SiteFilter, SiteRecord};
pub use tokens::{NewToken, TokenFilter, TokenRecord};

/// Why the store could not do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database failed.
    #[error("the control database failed")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the control database's schema could not be brought up to date")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A row doesn't parse: written by something else, or by a newer version.
    #[error("the control database holds something unreadable in {0}")]
    Corrupt(&'static str),
    /// The claim was voided: another run of the job is under way, or it has ended.
    #[error("this claim of the job is no longer valid")]
    Fenced,
    /// A later process has opened the database.
    #[error("another control plane has taken over this database")]
    Superseded,
    /// Somebody asked for the job to be cancelled: it begins nothing more on its way forward.
    #[error("the job is to be cancelled")]
    Cancelled,
    /// The site's status doesn't allow it.
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
    /// The site can't be changed like this.
    #[error(transparent)]
    Refused(#[from] OutOfBounds),
    /// A site of this name exists.
    #[error("a site of this name exists")]
    NameExists,
    /// Another job of the site has not ended.
    #[error("another job of this site has not ended")]
    JobActive,
    /// The control database needs a secret that is not there.
    #[error(
        "sites have passwords from generation {0} of the secret, which the file `secret` in HOSTPLANE_HOME lacks; restore \
         that file from a backup"
    )]
    NoGeneration(u32),
    /// There is no such row.
    #[error("there is no such {0}")]
    Missing(&'static str),
}

/// How long a call waits for a connection, and a change for another one to end.
const ACQUIRE_DEADLINE: Duration = Duration::from_secs(10);
const BUSY_DEADLINE: Duration = Duration::from_secs(5);

/// The result of a call to the store.
pub type Stored<T> = Result<T, StoreError>;

/// A handle to the control database. One writer at a time; readers don't wait for it.
#[derive(Clone)]
pub struct Store {
    write: SqlitePool,
    read: SqlitePool,
    /// Raised at each start: claims of earlier processes are void.
    epoch: i64,
    /// How long after a broken claim its last effects may still land.
    settle: Duration,
    /// Jobs that ran when an earlier process ended.
    taken_up: u64,
    /// Told after each change.
    changes: Arc<watch::Sender<()>>,
    gate: Arc<dyn StoreGate>,
}

impl Store {
    /// Opens the database file, makes or updates its tables, and begins a new epoch: jobs that were
    /// running are pending again, and their steps without an outcome are `unknown` and may have effects until
    /// `settle` has passed.
    ///
    /// # Errors
    /// When the file can't be opened or updated.
    pub async fn open(file: &Path, settle: Duration, now: Timestamp) -> Stored<Self> {
        Self::open_behind(Arc::new(connections::Open), file, settle, now).await
    }

    /// The same, with every call passing a gate.
    ///
    /// # Errors
    /// When the file can't be opened or updated.
    pub async fn open_behind(gate: Arc<dyn StoreGate>, file: &Path, settle: Duration, now: Timestamp) -> Stored<Self> {
        let permit = gate.enter().await;
        // Its owner's alone; SQLite gives its other files the same mode.
        std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(file).map_err(sqlx::Error::Io)?;
        let options = SqliteConnectOptions::from_str("sqlite://")?
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_DEADLINE);
        let pool = |size: u32| {
            // A connection to a file needs no test before its use.
            let options = SqlitePoolOptions::new().max_connections(size).test_before_acquire(false);
            options.acquire_timeout(ACQUIRE_DEADLINE)
        };
        let write = pool(1).connect_with(options.clone()).await?;
        sqlx::migrate!("./migrations").run(&write).await?;
        let read = pool(4).connect_with(options.read_only(true)).await?;
        let changes = Arc::new(watch::Sender::new(()));
        let mut store = Self { write, read, epoch: 0, settle, taken_up: 0, changes, gate };
        drop(permit);
        (store.epoch, store.taken_up) = store.begin_epoch(now).await?;
        Ok(store)
    }

    /// Waits for what is under way and closes the file.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it doesn't.
    pub async fn ping(&self) -> Stored<()> {
        sqlx::query("SELECT 1").execute(&mut *self.reading().await?).await?;
        Ok(())
    }

    /// How many jobs an earlier process left in the middle, and this one takes up.
    #[must_use]
    pub fn taken_up(&self) -> u64 {
        self.taken_up
    }

    /// Tells of each change of any job.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    async fn begin_epoch(&self, now: Timestamp) -> Stored<(i64, u64)> {
        let mut tx = self.writing_in_any_epoch("begin_epoch").await?;
        let epoch: i64 = sqlx::query_scalar(
            "INSERT INTO meta (key, value) VALUES ('epoch', '1')
             ON CONFLICT (key) DO UPDATE SET value = CAST(CAST(meta.value AS BIGINT) + 1 AS TEXT)
             RETURNING CAST(value AS BIGINT)",
        )
        .fetch_one(&mut *tx)
        .await?;
        let taken_up = requeue::take_up(&mut tx, now, self.settle).await?;
        tx.commit().await?;
        Ok((epoch, taken_up))
    }
}

/// Tells a violated unique index by one of its columns.
fn violates(error: &sqlx::Error, column: &str) -> bool {
    error.as_database_error().is_some_and(|e| e.is_unique_violation() && e.message().contains(column))
}

fn parse<T: FromStr>(text: &str, what: &'static str) -> Stored<T> {
    text.parse().map_err(|_| StoreError::Corrupt(what))
}

fn from_json<T: serde::de::DeserializeOwned>(text: &str, what: &'static str) -> Stored<T> {
    serde_json::from_str(text).map_err(|_| StoreError::Corrupt(what))
}

fn to_json(value: &impl serde::Serialize, what: &'static str) -> Stored<String> {
    serde_json::to_string(value).map_err(|_| StoreError::Corrupt(what))
}
