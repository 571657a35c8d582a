//! `SQLite`: its connections, and the fragments of SQL that no other database would take.
//!
//! Every other file of the store uses only types and statements that `PostgreSQL` has as well.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::{StoreError, Stored, migrations};

/// The driver.
pub(super) type Database = sqlx::Sqlite;
/// A connection.
pub(super) type Connection = sqlx::SqliteConnection;
/// A pool of connections.
pub(super) type Pool = sqlx::SqlitePool;
/// A row of an answer.
pub(super) type Row = sqlx::sqlite::SqliteRow;
/// The values of a statement.
pub(super) type Arguments = sqlx::sqlite::SqliteArguments;

/// Begins a transaction that writes: taking the lock at the first write instead could fail in the middle.
pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";

/// Time that a call waits for a connection, and a change for another one to end.
const ACQUIRE_DEADLINE: Duration = Duration::from_secs(10);
pub(super) const BUSY_DEADLINE: Duration = Duration::from_secs(5);

/// Opens the file with one connection to write, whose schema is brought up to date, and several to read.
pub(super) async fn open(file: &Path) -> Stored<(Pool, Pool)> {
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
        // A connection to a file needs no test before its use and no renewal; all are opened now, so that no later call
        // depends on opening the file.
        let options = SqlitePoolOptions::new().min_connections(size).max_connections(size).test_before_acquire(false);
        options.idle_timeout(None).max_lifetime(None).acquire_timeout(ACQUIRE_DEADLINE)
    };
    let write = pool(1).connect_with(options.clone()).await?;
    migrations::migrator().run(&write).await?;
    let read = pool(4).connect_with(options.read_only(true)).await?;
    Ok((write, read))
}

/// A table of one column `id` with the ids of the list at a parameter, which [`ids`] makes.
pub(super) fn id_rows(parameter: &str) -> String {
    format!("(SELECT value AS id FROM json_each({parameter}))")
}

/// A list of ids as one value.
pub(super) fn ids<T: ToString>(ids: impl IntoIterator<Item = T>) -> Stored<String> {
    let ids: Vec<String> = ids.into_iter().map(|id| id.to_string()).collect();
    serde_json::to_string(&ids).map_err(|_| StoreError::Corrupt("ids"))
}

/// True when the error is a violated unique index with this column, written `table.column`.
pub(super) fn violates(error: &sqlx::Error, column: &str) -> bool {
    error.as_database_error().is_some_and(|e| e.is_unique_violation() && e.message().contains(column))
}
