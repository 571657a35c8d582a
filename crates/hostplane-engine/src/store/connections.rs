//! Access to the database: every call passes here, and only here can a test hinder it.

use std::any::Any;
use std::future::{Future, ready};
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;

use sqlx::pool::PoolConnection;
use tokio::sync::watch;

use super::dialect::{BEGIN, Connection, Database};
use super::{Store, StoreError, Stored, sql};

/// Held by a call until it has ended.
pub type Permit = Box<dyn Any + Send>;

/// The fate of a transaction that is to be committed.
#[derive(Debug)]
pub enum Commit {
    /// It is committed.
    Run,
    /// It is rolled back, and fails like this.
    Fail(sqlx::Error),
    /// It is committed, and fails like this.
    RunThenFail(sqlx::Error),
    /// It is committed, and the call never returns.
    RunThenHang,
}

/// Decides over calls to the control database. In life it lets all of them pass; in tests it fills the disk and kills
/// the process.
pub trait StoreGate: Send + Sync {
    /// Called before each call.
    fn enter(&self) -> Pin<Box<dyn Future<Output = Permit> + Send>>;
    /// Called before each commit, with the name of the change.
    fn commit(&self, change: &'static str) -> Commit;
}

/// The gate in life.
pub(super) struct Open;

impl StoreGate for Open {
    fn enter(&self) -> Pin<Box<dyn Future<Output = Permit> + Send>> {
        Box::pin(ready(Box::new(()) as Permit))
    }

    fn commit(&self, _change: &'static str) -> Commit {
        Commit::Run
    }
}

/// A connection to read with.
pub(super) struct Reading {
    connection: PoolConnection<Database>,
    _permit: Permit,
}

impl Deref for Reading {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for Reading {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

/// A transaction. Dropped before its end, it closes its connection: after some errors, such as a full disk, `SQLite`
/// has ended the transaction already, and a later user of the connection must not have to know.
pub(super) struct Writing {
    connection: PoolConnection<Database>,
    is_open: bool,
    change: &'static str,
    gate: Arc<dyn StoreGate>,
    changes: Arc<watch::Sender<()>>,
    _permit: Permit,
}

impl Deref for Writing {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for Writing {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if self.is_open {
            self.connection.close_on_drop();
        }
    }
}

impl Writing {
    /// Makes the change last, and notifies of it.
    pub async fn commit(mut self) -> Stored<()> {
        let verdict = self.gate.commit(self.change);
        if let Commit::Fail(error) = verdict {
            return Err(error.into());
        }
        self.end("COMMIT").await?;
        self.changes.send_replace(());
        match verdict {
            Commit::Run | Commit::Fail(_) => Ok(()),
            Commit::RunThenFail(error) => Err(error.into()),
            Commit::RunThenHang => std::future::pending().await,
        }
    }

    /// Ends it without any change, and keeps the connection.
    pub async fn nothing_changed(mut self) -> Stored<()> {
        self.end("ROLLBACK").await
    }

    async fn end(&mut self, how: &'static str) -> Stored<()> {
        sql::query(how).execute(&mut *self.connection).await?;
        self.is_open = false;
        Ok(())
    }
}

impl Store {
    /// A connection to read with.
    pub(super) async fn reading(&self) -> Stored<Reading> {
        let permit = self.gate.enter().await;
        Ok(Reading { connection: self.read.acquire().await?, _permit: permit })
    }

    /// Begins a change.
    ///
    /// # Errors
    /// [`StoreError::Superseded`] when a later process has opened the database: nothing that this one believes is
    /// reliable any more.
    pub(super) async fn writing(&self, change: &'static str) -> Stored<Writing> {
        let mut writing = self.writing_in_any_epoch(change).await?;
        let epoch: i64 =
            sql::scalar("SELECT CAST(value AS BIGINT) FROM meta WHERE key = 'epoch'").fetch_one(&mut *writing).await?;
        if epoch == self.epoch { Ok(writing) } else { Err(StoreError::Superseded) }
    }

    /// Begins a change in any epoch, for the one that begins a new epoch.
    pub(super) async fn writing_in_any_epoch(&self, change: &'static str) -> Stored<Writing> {
        let permit = self.gate.enter().await;
        let connection = self.write.acquire().await?;
        let (gate, changes) = (Arc::clone(&self.gate), Arc::clone(&self.changes));
        let mut writing = Writing { connection, is_open: true, change, gate, changes, _permit: permit };
        sql::query(BEGIN).execute(&mut *writing).await?;
        Ok(writing)
    }
}
