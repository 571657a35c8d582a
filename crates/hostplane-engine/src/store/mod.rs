//! The control database: the single source of truth. Every statement of SQL is in this module, and what only one
//! database understands is in [`dialect`].

mod claims;
mod connections;
mod counts;
mod create;
mod dialect;
mod enqueue;
mod generations;
mod identity;
mod job_list;
mod jobs;
mod listed;
mod migrations;
mod origins;
mod params;
mod prune;
mod reconcile_target;
mod requeue;
mod row;
mod site_list;
mod sites;
mod sql;
mod steps;
mod subnets;
#[cfg(test)]
mod tests;
mod tokens;
mod unreadable;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hostplane_domain::site_change::RefusedSetting;
use hostplane_domain::status::IllegalTransition;
use hostplane_infra::clock::Timestamp;
use tokio::sync::watch;

pub use claims::{Claim, Outcome, PutBack};
pub use connections::{Commit, Permit, StoreGate};
pub use job_list::{JobFilter, JobWithSteps};
pub use jobs::{JobError, JobRecord, OrderedBy};
pub use listed::{Listed, UnreadableRow};
pub use origins::{Origin, Origins};
pub use params::JobParams;
pub use reconcile_target::{ReconcileTarget, Repaired};
pub use site_list::{SiteFilter, SiteWithJob};
pub use sites::{NewSite, SiteRecord};
pub use steps::StepRecord;
pub use tokens::{NewToken, TokenFilter, TokenRecord};

use dialect::Pool;

/// An error of the store.
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
    /// The job's cancellation was requested: it begins nothing more in forward direction.
    #[error("the job is to be cancelled")]
    Cancelled,
    /// The site's status doesn't allow it.
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
    /// The site can't be changed like this.
    #[error(transparent)]
    Refused(#[from] RefusedSetting),
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

/// The result of a call to the store.
pub type Stored<T> = Result<T, StoreError>;

/// Condition of jobs that hold their site, as in the partial index `jobs_one_active_per_site`.
const HOLDS_SITE: &str = "state IN ('pending', 'running', 'needs_operator')";

/// A handle to the control database. One writer at a time; readers don't wait for it.
#[derive(Clone)]
pub struct Store {
    write: Pool,
    read: Pool,
    /// Raised at each start: claims of earlier processes are void.
    epoch: i64,
    /// Time after a broken claim until its last effects have landed.
    settle: Duration,
    /// Jobs that ran when an earlier process ended.
    taken_up: u64,
    /// Notified after each change.
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
        let (write, read) = dialect::open(file).await?;
        let changes = Arc::new(watch::Sender::new(()));
        let mut store = Self { write, read, epoch: 0, settle, taken_up: 0, changes, gate };
        drop(permit);
        (store.epoch, store.taken_up) = store.begin_epoch(now).await?;
        Ok(store)
    }

    /// Waits for calls under way and closes the file.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }

    /// Asks the database for a trivial answer.
    ///
    /// # Errors
    /// When it doesn't answer.
    pub async fn ping(&self) -> Stored<()> {
        sql::query("SELECT 1").execute(&mut *self.reading().await?).await?;
        Ok(())
    }

    /// The number of jobs that an earlier process left in the middle, and this one takes up.
    #[must_use]
    pub fn taken_up(&self) -> u64 {
        self.taken_up
    }

    /// Notifies of each change of any job.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    async fn begin_epoch(&self, now: Timestamp) -> Stored<(i64, u64)> {
        let mut tx = self.writing_in_any_epoch("begin_epoch").await?;
        let epoch: i64 = sql::scalar(
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
