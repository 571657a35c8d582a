//! A hand on the control plane's journal: it can be held still, and let on by one write.
//!
//! The database has one writer at a time. While a test has begun a transaction that may write, the control plane
//! stands at its next write, with all effects before it done, and waits as long as its `busy_timeout` says
//! (5 s). Readers go on. No hook in the product is needed.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use crate::instance::Instance;
use crate::ledger::Ledger;

/// Longest hold of the journal: less than the control plane waits.
pub const LONGEST_HOLD: Duration = Duration::from_millis(3500);

/// Longest wait for a write.
const PATIENCE: Duration = Duration::from_mins(1);
/// Pause between two reads for a write: the next may follow in a fraction of a millisecond.
const PAUSE: Duration = Duration::from_micros(100);

pub struct Journal {
    connection: SqliteConnection,
    held: Option<Instant>,
}

impl Journal {
    pub async fn open(database: &Path) -> Self {
        let options = SqliteConnectOptions::new().filename(database).busy_timeout(Duration::ZERO);
        Self { connection: options.connect().await.expect("the database opens"), held: None }
    }

    /// Needs a control plane that runs: the last connection that is closed tidies the database up.
    pub async fn close(self) {
        self.connection.close().await.expect("it closes");
    }

    pub async fn read(&mut self) -> Ledger {
        if self.held.is_some() {
            return Ledger::read(&mut self.connection).await;
        }
        // In one transaction, so that all of it is of one moment.
        self.run("BEGIN").await.expect("readers don't wait");
        let ledger = Ledger::read(&mut self.connection).await;
        self.run("ROLLBACK").await.expect("it ends");
        ledger
    }

    /// From now on the control plane stands at its next write.
    pub async fn hold(&mut self) {
        let deadline = Instant::now() + LONGEST_HOLD;
        while let Err(error) = self.run("BEGIN IMMEDIATE").await {
            let busy = error.as_database_error().is_some_and(|error| error.message().contains("locked"));
            assert!(busy && Instant::now() < deadline, "{error}");
        }
        self.held = Some(Instant::now());
    }

    /// Time that it may still be held.
    pub fn time_left(&self) -> Duration {
        self.held.map_or(Duration::ZERO, |since| LONGEST_HOLD.saturating_sub(since.elapsed()))
    }

    pub async fn release(&mut self) {
        if self.held.take().is_some() {
            self.run("ROLLBACK").await.expect("it ends");
        }
    }

    /// Lets the control plane write once and holds it again. `false` when it wrote nothing for so long.
    pub async fn let_write(&mut self, patience: Duration) -> bool {
        self.release().await;
        let deadline = Instant::now() + patience;
        let before = self.version().await;
        while self.version().await == before {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::park_timeout(PAUSE);
        }
        self.hold().await;
        true
    }

    /// Gives an order and leaves the journal held at a moment of the job's life.
    pub async fn order_up_to(&mut self, instance: &Instance, order: &[&str], moment: &str) {
        self.hold().await;
        let mut seen = self.read().await;
        let mut child = instance.order(order);
        loop {
            assert!(self.let_write(PATIENCE).await, "{moment} never comes: {}", instance.log_text());
            let now = self.read().await;
            let is_there = now.written_since(&seen).iter().any(|written| written.contains(moment));
            assert!(is_there || !now.is_quiet(), "{moment} did not come: {}", instance.log_text());
            if is_there {
                break;
            }
            seen = now;
        }
        assert!(child.wait().expect("it ends").success(), "{order:?}: {}", instance.log_text());
    }

    /// Changes with each write of another connection.
    async fn version(&mut self) -> i64 {
        sqlx::query_scalar("PRAGMA data_version").fetch_one(&mut self.connection).await.expect("a version")
    }

    async fn run(&mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(statement).execute(&mut self.connection).await.map(drop)
    }
}
