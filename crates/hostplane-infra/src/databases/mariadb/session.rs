//! Connection for one call, and the classification of its errors.

use std::time::Duration;

use sqlx::mysql::{MySqlDatabaseError, MySqlRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Error, MySqlConnection, Row};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::address::MariadbAddress;
use super::quote;
use crate::error::{Dependency, Effect, EffectError, Rejection};

/// Time limit of connecting, and of waiting for one of our own connections to end.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// `ER_DB_CREATE_EXISTS`.
pub(super) const DATABASE_EXISTS: u16 = 1007;
/// `ER_DB_DROP_EXISTS`.
pub(super) const NO_DATABASE_TO_DROP: u16 = 1008;
/// `ER_BAD_DB_ERROR`.
const UNKNOWN_DATABASE: u16 = 1049;
/// `ER_BAD_FIELD_ERROR`.
pub(super) const NO_SUCH_COLUMN: u16 = 1054;
/// `ER_NO_SUCH_TABLE`.
pub(super) const NO_SUCH_TABLE: u16 = 1146;
/// `ER_DUP_ENTRY`.
pub(super) const DUPLICATE_ENTRY: u16 = 1062;
/// `ER_NO_SUCH_QUERY`.
pub(super) const NO_SUCH_QUERY: u16 = 1957;
/// `ER_CANNOT_USER`: the user exists, or doesn't, as the case may be.
pub(super) const CANNOT_USER: u16 = 1396;

/// Refusals for missing credentials or privileges. Their texts name accounts, commands and tables, never a value, so
/// errors may quote them.
const ACCESS_DENIED: &[u16] =
    &[1044, 1045, 1095, 1130, 1131, 1132, 1133, 1142, 1143, 1227, 1251, 1370, 1410, 1524, 1698, 1820, 1862, 4151];

/// Transient errors: too many connections, locks, deadlocks, statement timeouts, kills, shutdowns, read-only
/// moments, full disks, a cluster node that is not ready.
const TRANSIENT: &[u16] = &[
    1021, 1037, 1038, 1040, 1041, 1047, 1053, 1077, 1078, 1079, 1114, 1158, 1159, 1160, 1161, 1180, 1203, 1205, 1213,
    1226, 1290, 1317, 1637, 1836, 1927, 1969, 3024,
];

/// Connection that serves one call, so that no lock and no half-read answer outlives the call.
pub(super) struct Session<'a> {
    connection: MySqlConnection,
    call: &'static str,
    changed: bool,
    _permit: SemaphorePermit<'a>,
}

/// Error of a statement, with its number if the server refused the statement.
pub(super) struct Failure {
    pub(super) number: Option<u16>,
    error: EffectError,
}

impl From<Failure> for EffectError {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

impl Failure {
    pub(super) fn is(&self, number: u16) -> bool {
        self.number == Some(number)
    }

    /// True if the ledger doesn't exist.
    pub(super) fn is_no_such_table(&self) -> bool {
        self.is(UNKNOWN_DATABASE) || self.is(NO_SUCH_TABLE)
    }
}

impl<'a> Session<'a> {
    /// Connects. `statement_limit` is the server's limit for one statement, so that even an abandoned statement ends
    /// before the call's deadline.
    pub(super) async fn open(
        address: &MariadbAddress,
        connections: &'a Semaphore,
        call: &'static str,
        statement_limit: Duration,
    ) -> Effect<Self> {
        let late = |what: &str| EffectError::transient_message(call, what);
        let permit = timeout(CONNECT_TIMEOUT, connections.acquire())
            .await
            .map_err(|_| late("too many calls to the database server at once"))?
            .map_err(|error| EffectError::transient(call, error))?;
        let connection = timeout(CONNECT_TIMEOUT, address.options().connect())
            .await
            .map_err(|_| late("the database server does not answer"))?
            .map_err(|error| classify(call, "connecting", false, &error).error)?;
        let mut session = Self { connection, call, changed: false, _permit: permit };
        // Waits for locks end before the statement's limit, so that the error names the lock.
        let lock_wait = (statement_limit / 2).as_secs().max(1);
        let limit = statement_limit.as_secs();
        let settings = format!(
            "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES,NO_ENGINE_SUBSTITUTION', \
             lock_wait_timeout = {lock_wait}, innodb_lock_wait_timeout = {lock_wait}, \
             max_statement_time = {limit}, autocommit = 1"
        );
        sqlx::raw_sql(AssertSqlSafe(settings))
            .execute(&mut session.connection)
            .await
            .map_err(|error| classify(call, "setting up the session", false, &error).error)?;
        Ok(session)
    }

    /// Takes the lock that serialises calls on one tenant, and that ends with the connection. The server keeps an
    /// abandoned call's lock until its last statement has ended, so the next holder sees no late effects.
    pub(super) async fn lock(&mut self, name: &str) -> Effect<()> {
        let sql = format!("SELECT GET_LOCK({}, 5)", quote::text(name));
        let rows = self.rows("locking the tenant", sql).await?;
        let got = rows.first().and_then(|row| row.try_get::<Option<i64>, _>(0).ok().flatten());
        if got == Some(1) {
            Ok(())
        } else {
            Err(EffectError::transient_message(self.call, "another call is at work on this tenant"))
        }
    }

    /// Runs a statement that changes nothing. `step` describes the statement in errors.
    pub(super) async fn rows(&mut self, step: &'static str, sql: String) -> Result<Vec<MySqlRow>, Failure> {
        sqlx::raw_sql(AssertSqlSafe(sql))
            .fetch_all(&mut self.connection)
            .await
            .map_err(|error| classify(self.call, step, self.changed, &error))
    }

    /// Runs a statement that changes something. From here on, a lost connection leaves the outcome unknown.
    pub(super) async fn change(&mut self, step: &'static str, sql: String) -> Result<u64, Failure> {
        let before = std::mem::replace(&mut self.changed, true);
        match sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection).await {
            Ok(result) => Ok(result.rows_affected()),
            Err(error) => {
                if matches!(error, Error::Database(_)) {
                    self.changed = before;
                }
                Err(classify(self.call, step, self.changed, &error))
            }
        }
    }

    /// Changes the connected account's password. A repetition changes nothing, so a lost reply leaves nothing unknown.
    pub(super) async fn renew_password(&mut self, hash: &str) -> Effect<()> {
        let sql = format!("SET PASSWORD = {}", quote::text(hash));
        Ok(self.rows("renewing the control plane's password", sql).await.map(drop)?)
    }

    /// Closes the connection, which releases the lock before the next call.
    pub(super) async fn close(self) {
        // The call is done; a connection that fails to close is dropped.
        let _ = timeout(CONNECT_TIMEOUT, self.connection.close()).await;
    }
}

/// Reads a column's text.
pub(super) fn column(call: &'static str, row: &MySqlRow, index: usize) -> Effect<String> {
    row.try_get(index).map_err(|error| classify(call, "reading the answer", false, &error).error)
}

fn classify(call: &'static str, step: &'static str, changed: bool, error: &Error) -> Failure {
    if let Error::Database(refusal) = error {
        let Some(refusal) = refusal.try_downcast_ref::<MySqlDatabaseError>() else {
            return Failure { number: None, error: invalid(format!("an unknown error while {step}")) };
        };
        let number = refusal.number();
        // The server quotes the statement in some of its messages, and a statement may hold a hash.
        let place = format!("error {number} while {step}");
        let error = if ACCESS_DENIED.contains(&number) {
            let message = format!("{place}: {}", refusal.message());
            Rejection::AccessDenied { by: Dependency::Mariadb, message }.into()
        } else if TRANSIENT.contains(&number) {
            EffectError::transient_message(call, place)
        } else {
            invalid(place)
        };
        return Failure { number: Some(number), error };
    }
    let lost = match error {
        Error::Io(io) => Some(format!("{step}: {io}")),
        Error::Protocol(_) => Some(format!("{step}: the answer is not one of a MariaDB server")),
        Error::Tls(error) => Some(format!("{step}: no TLS as WP_DSN asks for it: {error}")),
        Error::PoolTimedOut | Error::PoolClosed | Error::WorkerCrashed => Some(format!("{step}: no connection")),
        _ => None,
    };
    let error = match lost {
        Some(message) if changed => EffectError::unknown_message(call, message),
        Some(message) => EffectError::transient_message(call, message),
        None => invalid(format!("an answer that can't be read while {step}")),
    };
    Failure { number: None, error }
}

fn invalid(message: String) -> EffectError {
    Rejection::Invalid { by: Dependency::Mariadb, message }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_connection_leaves_only_changes_unknown() {
        let lost = || Error::Io(std::io::ErrorKind::ConnectionReset.into());
        let before = classify("mariadb.ensure_tenant", "listing", false, &lost()).error;
        assert!(matches!(before, EffectError::Transient { down: None, .. }), "{before:?}");
        let after = classify("mariadb.ensure_tenant", "granting", true, &lost()).error;
        assert!(matches!(after, EffectError::OutcomeUnknown { .. }), "{after:?}");
    }

    #[test]
    fn lists_of_numbers_do_not_overlap() {
        assert!(ACCESS_DENIED.iter().all(|number| !TRANSIENT.contains(number)));
    }
}
