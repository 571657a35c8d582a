//! The control database: the single source of truth. Every statement of SQL is in this module.

mod identity;
mod jobs;
mod sites;
mod subnets;
mod tokens;

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hostplane_domain::status::IllegalTransition;
use hostplane_infra::clock::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::watch;

pub use jobs::{Claim, JobError, JobFilter, JobRecord, Outcome, PutBack, StepRecord};
pub use sites::{NewSite, SiteFilter, SiteRecord};

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
    /// The site's status doesn't allow it.
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
    /// A site of this name exists.
    #[error("a site of this name exists")]
    NameExists,
    /// Another job of the site has not ended.
    #[error("another job of this site has not ended")]
    JobActive,
    /// There is no such row.
    #[error("there is no such {0}")]
    Missing(&'static str),
}

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
    /// Told after each change of a job.
    changes: Arc<watch::Sender<()>>,
}

impl Store {
    /// Opens the database file, makes or updates its tables, and begins a new epoch: jobs that were
    /// running are pending again, and their steps without an outcome are `unknown` and may have effects until
    /// `settle` has passed.
    ///
    /// # Errors
    /// When the file can't be opened or updated.
    pub async fn open(file: &Path, settle: Duration, now: Timestamp) -> Stored<Self> {
        let options = SqliteConnectOptions::from_str("sqlite://")?
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5));
        let pool = |size: u32| SqlitePoolOptions::new().max_connections(size);
        let write = pool(1).connect_with(options.clone()).await?;
        sqlx::migrate!("./migrations").run(&write).await?;
        let read = pool(4).connect_with(options.read_only(true)).await?;
        let changes = Arc::new(watch::Sender::new(()));
        let mut store = Self { write, read, epoch: 0, settle, changes };
        store.epoch = store.begin_epoch(now).await?;
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
        sqlx::query("SELECT 1").execute(&self.read).await?;
        Ok(())
    }

    /// Tells of each change of any job.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    async fn begin(&self) -> Stored<sqlx::Transaction<'static, sqlx::Sqlite>> {
        Ok(self.write.begin_with("BEGIN IMMEDIATE").await?)
    }

    async fn begin_epoch(&self, now: Timestamp) -> Stored<i64> {
        let mut tx = self.begin().await?;
        let epoch: i64 = sqlx::query_scalar(
            "INSERT INTO meta (key, value) VALUES ('epoch', '1')
             ON CONFLICT (key) DO UPDATE SET value = CAST(CAST(meta.value AS BIGINT) + 1 AS TEXT)
             RETURNING CAST(value AS BIGINT)",
        )
        .fetch_one(&mut *tx)
        .await?;
        jobs::void_claims(&mut tx, &[], now, self.settle).await?;
        tx.commit().await?;
        Ok(epoch)
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
