//! The control database: the single source of truth. Every statement of SQL is in this module.

mod access;
mod claims;
mod identity;
mod jobs;
mod origins;
mod sites;
mod subnets;
mod tokens;

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hostplane_domain::status::IllegalTransition;
use hostplane_infra::clock::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::watch;

pub use access::{Commit, StoreGate, Turn};
pub use claims::{Claim, Outcome, PutBack};
pub use jobs::{JobError, JobFilter, JobRecord, StepRecord};
pub use origins::Origin;
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
    /// A later process has opened the database.
    #[error("another control plane has taken over this database")]
    Superseded,
    /// Somebody asked for the job to be cancelled: it begins nothing more on its way forward.
    #[error("the job is to be cancelled")]
    Cancelled,
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
        Self::open_behind(Arc::new(access::Open), file, settle, now).await
    }

    /// The same, with every call passing a gate.
    ///
    /// # Errors
    /// When the file can't be opened or updated.
    pub async fn open_behind(gate: Arc<dyn StoreGate>, file: &Path, settle: Duration, now: Timestamp) -> Stored<Self> {
        let turn = gate.enter().await;
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
        drop(turn);
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
        let taken_up = claims::void_claims(&mut tx, &[], now, self.settle, None).await?;
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

#[cfg(test)]
mod tests {
    use hostplane_domain::desired::WordpressDetails;
    use hostplane_domain::details::{AdminEmail, AdminUser, SiteTitle};
    use hostplane_domain::job::{Direction, JobState, OperationName};
    use hostplane_domain::name::SiteName;
    use hostplane_domain::status::{SiteEvent, SiteStatus};
    use tempfile::TempDir;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);
    const SETTLE: Duration = Duration::from_secs(30);

    async fn open(home: &TempDir) -> Store {
        Store::open(&home.path().join("test.db"), SETTLE, NOW).await.unwrap()
    }

    fn hello() -> NewSite {
        named("hello")
    }

    fn named(name: &str) -> NewSite {
        NewSite {
            name: SiteName::parse(name).unwrap(),
            details: WordpressDetails {
                title: SiteTitle::parse("Hello").unwrap(),
                admin_user: AdminUser::parse("admin").unwrap(),
                admin_email: AdminEmail::parse("admin@example.com").unwrap(),
            },
        }
    }

    /// Writes a pair of statuses past all code, and says whether the database took it.
    async fn takes(store: &Store, from: SiteStatus, to: SiteStatus) -> bool {
        // ACTIVE needs a spec and most others need none; DESTROYING may have either.
        let spec = (to == SiteStatus::Active).then_some("{}");
        let written = sqlx::query("UPDATE sites SET previous_status = $1, status = $2, spec = $3")
            .bind(from.as_str())
            .bind(to.as_str())
            .bind(spec)
            .execute(&store.write)
            .await;
        written.is_ok()
    }

    #[tokio::test]
    async fn the_database_takes_exactly_the_transitions_of_the_code() {
        let home = TempDir::new().unwrap();
        let store = open(&home).await;
        store.add_site(&hello(), NOW).await.unwrap();
        for &from in SiteStatus::ALL {
            for &to in SiteStatus::ALL {
                // What stays as it is isn't written.
                let allowed = from != to && SiteEvent::ALL.iter().any(|event| from.on(*event) == Ok(to));
                assert_eq!(takes(&store, from, to).await, allowed, "{from} > {to}");
            }
        }
    }

    #[tokio::test]
    async fn its_files_are_their_owner_s_alone() {
        use std::os::unix::fs::PermissionsExt;
        let home = TempDir::new().unwrap();
        let store = open(&home).await;
        store.add_site(&hello(), NOW).await.unwrap();
        for file in std::fs::read_dir(home.path()).unwrap().map(Result::unwrap) {
            let mode = file.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?}", file.file_name());
        }
    }

    #[tokio::test]
    async fn a_name_is_unique_and_a_site_has_one_active_job() {
        let home = TempDir::new().unwrap();
        let store = open(&home).await;
        let (site, _) = store.add_site(&hello(), NOW).await.unwrap();
        assert!(matches!(store.add_site(&hello(), NOW).await, Err(StoreError::NameExists)));
        let second = store.add_job(site.site.id, OperationName::Provision, SiteEvent::ProvisionStarted, NOW).await;
        assert!(matches!(second, Err(StoreError::JobActive)), "{second:?}");
    }

    #[tokio::test]
    async fn a_job_is_claimed_once_and_only_when_it_is_due() {
        let home = TempDir::new().unwrap();
        let store = open(&home).await;
        store.add_site(&hello(), NOW.plus(Duration::from_secs(1))).await.unwrap();
        assert!(store.claim(NOW).await.unwrap().is_none());
        let due = store.next_due().await.unwrap().unwrap();
        assert!(store.claim(due).await.unwrap().is_some());
        assert!(store.claim(due).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_later_start_voids_claims_and_refuses_what_they_still_write() {
        let home = TempDir::new().unwrap();
        let store = open(&home).await;
        let (_, job) = store.add_site(&hello(), NOW).await.unwrap();
        let claim = store.claim(NOW).await.unwrap().unwrap();
        store.begin_run(&claim, Some(SiteEvent::ProvisionStarted), NOW).await.unwrap();
        let kind = hostplane_domain::kind::Kind::Network;
        let direction = hostplane_domain::job::Direction::Forward;
        let verb = hostplane_domain::plan::Verb::Ensure;
        store.intend(&claim, direction, kind, verb, NOW).await.unwrap();

        let later = open(&home).await;
        let record = later.job(job).await.unwrap();
        assert_eq!(record.state, JobState::Pending);
        assert_eq!(record.settles_at, Some(NOW.plus(SETTLE)), "the step may still have its effect");
        assert_eq!(later.steps(job).await.unwrap()[0].state.as_str(), "unknown");
        let again = later.claim(NOW).await.unwrap().unwrap();
        assert!(matches!(store.intend(&claim, direction, kind, verb, NOW).await, Err(StoreError::Superseded)));
        assert!(matches!(store.claim(NOW).await, Err(StoreError::Superseded)));
        assert!(matches!(store.add_site(&named("other"), NOW).await, Err(StoreError::Superseded)));
        later.intend(&again, direction, kind, verb, NOW).await.unwrap();
    }

    #[tokio::test]
    async fn a_job_that_is_claimed_again_by_the_same_process_fences_off_the_run_before() {
        let home = TempDir::new().unwrap();
        let store = open(&home).await;
        store.add_site(&hello(), NOW).await.unwrap();
        let first = store.claim(NOW).await.unwrap().unwrap();
        let (kind, verb) = (hostplane_domain::kind::Kind::Network, hostplane_domain::plan::Verb::Ensure);
        store.intend(&first, Direction::Forward, kind, verb, NOW).await.unwrap();
        let again = "UPDATE jobs SET state = 'pending', epoch = NULL";
        sqlx::query(again).execute(&store.write).await.unwrap();
        let second = store.claim(NOW).await.unwrap().unwrap();
        assert_eq!(store.steps(second.job.id).await.unwrap()[0].state.as_str(), "unknown");
        assert_eq!(second.job.settles_at, Some(NOW.plus(SETTLE)), "the step may still have its effect");
        let error = JobError { step: None, message: "late".to_owned() };
        assert!(matches!(store.turn_back(&first, &error).await, Err(StoreError::Fenced)));
        store.turn_back(&second, &error).await.unwrap();
    }

    #[tokio::test]
    async fn a_cancelled_job_begins_nothing_on_its_way_forward_and_is_not_completed() {
        let home = TempDir::new().unwrap();
        let store = open(&home).await;
        let (_, job) = store.add_site(&hello(), NOW).await.unwrap();
        let claim = store.claim(NOW).await.unwrap().unwrap();
        store.begin_run(&claim, Some(SiteEvent::ProvisionStarted), NOW).await.unwrap();
        assert!(store.request_cancel(job, NOW).await.unwrap());
        let (kind, verb) = (hostplane_domain::kind::Kind::Network, hostplane_domain::plan::Verb::Ensure);
        let forward = store.intend(&claim, Direction::Forward, kind, verb, NOW).await;
        assert!(matches!(forward, Err(StoreError::Cancelled)), "{forward:?}");
        let finished = store.finish(&claim, JobState::Completed, SiteEvent::ProvisionConfirmed, &None, NOW).await;
        assert!(matches!(finished, Err(StoreError::Cancelled)), "{finished:?}");
        store.turn_back(&claim, &JobError { step: None, message: "cancelled".to_owned() }).await.unwrap();
        store.intend(&claim, Direction::Back, kind, hostplane_domain::plan::Verb::Remove, NOW).await.unwrap();
        store.finish(&claim, JobState::Cancelled, SiteEvent::ProvisionRolledBack, &None, NOW).await.unwrap();
        assert!(!store.request_cancel(job, NOW).await.unwrap(), "it has ended");
    }

    #[tokio::test]
    async fn a_full_disk_refuses_a_change_and_nothing_of_it_stays() {
        let home = TempDir::new().unwrap();
        let store = open(&home).await;
        let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&store.write).await.unwrap();
        let full = format!("PRAGMA max_page_count = {pages}");
        sqlx::query(sqlx::AssertSqlSafe(full)).execute(&store.write).await.unwrap();
        let mut refused = None;
        for number in 0..200 {
            if let Err(error) = store.add_site(&named(&format!("site-{number}")), NOW).await {
                refused = Some((number, hostplane_infra::error::chain(&error)));
                break;
            }
        }
        let (number, error) = refused.expect("it gets full");
        assert!(error.contains("full"), "{error}");
        let all = store.sites(&SiteFilter { limit: 500, ..SiteFilter::default() }).await.unwrap();
        assert_eq!(all.len(), number, "what was taken before is there, and no half of the other");
        sqlx::query("PRAGMA max_page_count = 1000000").execute(&store.write).await.unwrap();
        store.add_site(&named("after-all"), NOW).await.unwrap();
    }

    #[tokio::test]
    async fn a_database_that_another_program_holds_is_an_error_within_the_deadline() {
        use sqlx::Connection;
        let home = TempDir::new().unwrap();
        let store = open(&home).await;
        let url = format!("sqlite://{}", home.path().join("test.db").display());
        let mut other = sqlx::SqliteConnection::connect(&url).await.unwrap();
        sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
        let begun = std::time::Instant::now();
        let refused = store.add_site(&hello(), NOW).await.unwrap_err();
        assert!(hostplane_infra::error::chain(&refused).contains("locked"), "{refused:?}");
        assert!(begun.elapsed() < BUSY_DEADLINE * 2, "{:?}", begun.elapsed());
        store.sites(&SiteFilter { limit: 1, ..SiteFilter::default() }).await.expect("readers don't wait");
        sqlx::query("COMMIT").execute(&mut other).await.unwrap();
        store.add_site(&hello(), NOW).await.unwrap();
    }

    #[tokio::test]
    async fn an_unreadable_row_is_an_error_and_no_panic() {
        let home = TempDir::new().unwrap();
        let store = open(&home).await;
        store.add_site(&hello(), NOW).await.unwrap();
        sqlx::query("UPDATE sites SET name = '../etc'").execute(&store.write).await.unwrap();
        let found = store.sites(&SiteFilter { limit: 10, ..SiteFilter::default() }).await;
        assert!(matches!(found, Err(StoreError::Corrupt("sites.name"))), "{found:?}");
    }

    #[tokio::test]
    async fn pages_follow_each_other_even_among_sites_of_one_name() {
        let home = TempDir::new().unwrap();
        let store = open(&home).await;
        let mut all = Vec::new();
        for _ in 0..3 {
            let (site, _) = store.add_site(&hello(), NOW).await.unwrap();
            all.push(site.site.id);
            for status in ["PROVISIONING", "FAILED", "DESTROYING", "DESTROYED"] {
                let step = "UPDATE sites SET previous_status = status, status = $1 WHERE id = $2";
                let id = site.site.id.to_string();
                sqlx::query(step).bind(status).bind(id).execute(&store.write).await.unwrap();
            }
        }
        let mut filter = SiteFilter { status: Some(SiteStatus::Destroyed), after: None, limit: 1 };
        let mut seen = Vec::new();
        while let Some(site) = store.sites(&filter).await.unwrap().pop() {
            filter.after = Some(site.site.id);
            seen.push(site.site.id);
        }
        assert_eq!(seen, all);
    }
}
