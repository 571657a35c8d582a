//! Lists.

use hostplane_engine::store;
use serde::{Deserialize, Serialize};

/// One page of a list.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Page<T> {
    pub items: Vec<T>,
    pub next_cursor: Option<String>,
    /// Rows that belong to the page and can't be read; a row may be in two pages that follow each other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<UnreadableRow>,
}

/// A row of the control database that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnreadableRow {
    pub table: String,
    pub id: String,
    /// Name of the site that it is about, where that is known.
    pub site: Option<String>,
    pub message: String,
    pub hint: String,
}

impl From<store::UnreadableRow> for UnreadableRow {
    fn from(row: store::UnreadableRow) -> Self {
        let (message, hint) = (row.to_string(), row.hint());
        Self { table: row.table.to_owned(), id: row.id, site: row.site.map(|site| site.to_string()), message, hint }
    }
}
