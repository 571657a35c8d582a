//! Lists of which a row may be unreadable.

use std::fmt;

use hostplane_domain::name::SiteName;
use tracing::error;

use super::dialect::Row;
use super::row::get;
use super::{StoreError, Stored};

/// The rows of a list. Those that can't be read stand apart, so that they hide no other.
#[derive(Debug, Clone)]
pub struct Listed<T> {
    /// The rows that can be read, in the list's order.
    pub rows: Vec<T>,
    /// The others.
    pub unreadable: Vec<UnreadableRow>,
}

/// A row that can't be read: written past this program, or by a newer version of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableRow {
    /// Its table.
    pub table: &'static str,
    /// Its id; of a step its job's, of a subnet the subnet.
    pub id: String,
    /// The site that it is about, where that is known.
    pub site: Option<SiteName>,
    /// The field that can't be read, as `table.column`.
    pub field: &'static str,
}

impl UnreadableRow {
    /// The way out, as typed by the operator.
    #[must_use]
    pub fn hint(&self) -> String {
        let (table, id, key) = (self.table, &self.id, key(self.table));
        format!(
            "stop the control plane, repair the row with `sqlite3` (SELECT * FROM {table} WHERE {key} = '{id}'), then \
             start it again"
        )
    }
}

impl fmt::Display for UnreadableRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {} of {} can't be read: {} makes no sense", self.id, self.table, self.field)
    }
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), unreadable: Vec::new() }
    }
}

impl<T> Listed<T> {
    /// Reads rows of a table.
    pub(super) fn read(table: &'static str, rows: &[Row], read: impl Fn(&Row) -> Stored<T>) -> Stored<Self> {
        let mut list = Self::default();
        for row in rows {
            list.add(table, row, read(row))?;
        }
        Ok(list)
    }

    /// Adds a row that was read, or could not be.
    ///
    /// # Errors
    /// An error that is not the row's own.
    pub(super) fn add(&mut self, table: &'static str, row: &Row, read: Stored<T>) -> Stored<()> {
        match read {
            Ok(read) => self.rows.push(read),
            Err(StoreError::Corrupt(field)) => self.unreadable.push(unreadable(table, row, field)),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The same list of something else.
    pub fn map<U>(self, map: impl FnMut(T) -> U) -> Listed<U> {
        Listed { rows: self.rows.into_iter().map(map).collect(), unreadable: self.unreadable }
    }

    /// The rows that can be read; the others are logged.
    #[must_use]
    pub fn reported(self) -> Vec<T> {
        self.logged().rows
    }

    /// The list, with the rows that can't be read in the log.
    #[must_use]
    pub fn logged(self) -> Self {
        for row in &self.unreadable {
            let site = row.site.as_ref().map(SiteName::as_str);
            error!(
                table = row.table,
                id = row.id,
                site,
                field = row.field,
                "left out a row that can't be read; {}",
                row.hint()
            );
        }
        self
    }
}

/// The column that names a row of a table.
fn key(table: &str) -> &'static str {
    match table {
        "steps" => "job_id",
        "subnets" => "subnet",
        _ => "id",
    }
}

/// A row with a field that can't be read.
pub(super) fn unreadable(table: &'static str, row: &Row, field: &'static str) -> UnreadableRow {
    let text = |column| get::<String>(row, column).ok();
    let site = if table == "sites" { text("name") } else { text("site_name") };
    UnreadableRow {
        table,
        id: text(key(table)).unwrap_or_default(),
        site: site.and_then(|name| SiteName::parse(&name).ok()),
        field,
    }
}

/// The filling of a page with rows that can be read: as many more are fetched as turn out to be unreadable.
pub(super) struct Filling {
    wanted: usize,
    spare: usize,
}

impl Filling {
    pub fn new(limit: u32) -> Self {
        Self { wanted: usize::try_from(limit).unwrap_or(usize::MAX), spare: 0 }
    }

    /// The number of rows to fetch.
    pub fn limit(&self) -> i64 {
        i64::try_from(self.wanted.saturating_add(self.spare)).unwrap_or(i64::MAX)
    }

    /// The page, unless more rows are to be fetched.
    pub fn done<T>(&mut self, mut list: Listed<T>) -> Option<Listed<T>> {
        let is_last = list.rows.len() + list.unreadable.len() < self.wanted.saturating_add(self.spare);
        if is_last || list.unreadable.len() <= self.spare {
            list.rows.truncate(self.wanted);
            return Some(list);
        }
        self.spare = list.unreadable.len();
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_named_by_the_key_of_their_table() {
        assert_eq!(["steps", "subnets", "jobs", "sites"].map(key), ["job_id", "subnet", "id", "id"]);
    }

    fn list(rows: usize, unreadable: usize) -> Listed<usize> {
        let row = || UnreadableRow { table: "jobs", id: String::new(), site: None, field: "jobs.state" };
        Listed { rows: (0..rows).collect(), unreadable: (0..unreadable).map(|_| row()).collect() }
    }

    #[test]
    fn a_page_is_filled_past_unreadable_rows() {
        let mut filling = Filling::new(3);
        assert_eq!(filling.limit(), 3);
        assert!(filling.done(list(2, 1)).is_none(), "one more is fetched");
        assert_eq!(filling.limit(), 4);
        assert_eq!(filling.done(list(3, 1)).unwrap().rows, [0, 1, 2]);
        assert_eq!(Filling::new(3).done(list(1, 1)).unwrap().rows, [0], "there are no more rows");
    }
}
