//! All rows that can't be read, for `doctor`.

use futures_util::TryStreamExt;
use ipnet::Ipv4Net;

use super::dialect::Row;
use super::listed::unreadable;
use super::row::parsed;
use super::{Store, StoreError, Stored, UnreadableRow, jobs, sites, sql, steps, tokens};

/// The most rows that are named: more of them have one cause.
const MOST: usize = 100;

/// Reads a row, and keeps nothing of it.
type Check = fn(&Row) -> Stored<()>;

impl Store {
    /// The rows that can't be read. Reads every row once, which with a long history takes a second.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unreadable_rows(&self) -> Stored<Vec<UnreadableRow>> {
        let of_site = |table, columns, key| {
            format!("SELECT {columns}, sites.name AS site_name FROM {table} LEFT JOIN sites ON sites.id = {key}")
        };
        let checks: [(&'static str, String, Check); 5] = [
            ("sites", format!("SELECT {} FROM sites", sites::COLUMNS), |row| sites::read(row).map(drop)),
            ("jobs", of_site("jobs", jobs::COLUMNS, "jobs.site_id"), |row| jobs::read(row).map(drop)),
            ("steps", format!("SELECT {} FROM steps", steps::COLUMNS), |row| steps::read(row).map(drop)),
            ("subnets", of_site("subnets", "subnets.subnet", "subnets.site_id"), |row| {
                parsed::<Ipv4Net>(row, "subnets.subnet").map(drop)
            }),
            ("tokens", format!("SELECT {} FROM tokens", tokens::COLUMNS), |row| tokens::read(row).map(drop)),
        ];
        let mut found = Vec::new();
        for (table, statement, check) in checks {
            let mut connection = self.reading().await?;
            let mut rows = sql::query(statement).fetch(&mut *connection);
            while let Some(row) = rows.try_next().await? {
                match check(&row) {
                    Ok(()) => {}
                    Err(StoreError::Corrupt(field)) => found.push(unreadable(table, &row, field)),
                    Err(error) => return Err(error),
                }
                if found.len() >= MOST {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }
}
