//! Ledger of the tenants' sites and instances. No tenant can read it.

use std::collections::BTreeMap;

use hostplane_domain::mark::{
    LABEL_INSTANCE, LABEL_OPERATION, LABEL_RESOURCE, LABEL_SITE, LABEL_SITE_ID, LABEL_SPEC, Labels, Mark,
};
use hostplane_domain::naming::{self, LEDGER_DATABASE};

use super::quote;
use super::session::{Failure, NO_SUCH_COLUMN, Session, column};
use crate::error::Effect;

/// Columns after the tenant's name, each with the label whose value it holds.
const COLUMNS: [(&str, &str); 6] = [
    ("instance", LABEL_INSTANCE),
    ("site", LABEL_SITE),
    ("site_id", LABEL_SITE_ID),
    ("resource", LABEL_RESOURCE),
    ("operation", LABEL_OPERATION),
    ("spec", LABEL_SPEC),
];

/// Row of the ledger.
#[derive(Debug)]
pub(super) struct Entry {
    /// The tenant's mark; `None` for a malformed one, or one of another tenant.
    pub mark: Option<Mark>,
    /// True once the site was confirmed.
    pub confirmed: bool,
}

/// Column that ledgers of earlier versions lack.
const CONFIRMED: &str = "`confirmed` BOOLEAN NOT NULL DEFAULT FALSE";

fn table() -> String {
    format!("{}.`tenants`", quote::ident(LEDGER_DATABASE))
}

/// Formats each column with its label, separated by commas.
fn join(of: impl Fn(&str, &str) -> String) -> String {
    COLUMNS.iter().map(|(name, label)| of(name, label)).collect::<Vec<_>>().join(", ")
}

/// Makes the ledger if it doesn't exist.
async fn make(session: &mut Session<'_>) -> Result<(), Failure> {
    let database = quote::ident(LEDGER_DATABASE);
    let sql = format!("CREATE DATABASE IF NOT EXISTS {database} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin");
    session.change("making the ledger", sql).await?;
    let columns = join(|name, _| format!("`{name}` VARCHAR(64) NOT NULL"));
    let table = table();
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS {table} (`tenant` VARCHAR(128) NOT NULL, {columns}, {CONFIRMED}, PRIMARY KEY (`tenant`)) \
         ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
    );
    session.change("making the ledger's table", sql).await?;
    Ok(())
}

/// Reads every row, or one tenant's. A missing ledger is empty.
pub(super) async fn read(
    session: &mut Session<'_>,
    call: &'static str,
    tenant: Option<&str>,
) -> Effect<BTreeMap<String, Entry>> {
    let columns = join(|name, _| quote::ident(name));
    let only = tenant.map_or_else(String::new, |tenant| format!(" WHERE `tenant` = {}", quote::text(tenant)));
    let sql = format!("SELECT `tenant`, {columns}, IF(`confirmed`, 'yes', 'no') FROM {}{only}", table());
    let rows = match session.rows("reading the ledger", sql.clone()).await {
        Ok(rows) => rows,
        Err(failure) if failure.is_no_such_table() => return Ok(BTreeMap::new()),
        Err(failure) if failure.is(NO_SUCH_COLUMN) => {
            let alter = format!("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {CONFIRMED}", table());
            session.change("bringing the ledger up to date", alter).await?;
            session.rows("reading the ledger", sql).await?
        }
        Err(failure) => return Err(failure.into()),
    };
    let mut entries = BTreeMap::new();
    for row in &rows {
        let tenant = column(call, row, 0)?;
        let mut labels = Labels::new();
        for (index, (_, label)) in COLUMNS.iter().enumerate() {
            labels.insert((*label).to_owned(), column(call, row, index + 1)?);
        }
        let mark = Mark::from_labels(&labels).filter(|mark| naming::database(&mark.site.name) == tenant);
        let confirmed = column(call, row, COLUMNS.len() + 1)? == "yes";
        entries.insert(tenant, Entry { mark, confirmed });
    }
    Ok(entries)
}

/// Inserts a tenant's row; fails with `DUPLICATE_ENTRY` when there is one.
pub(super) async fn insert(session: &mut Session<'_>, tenant: &str, mark: &Mark) -> Result<(), Failure> {
    let labels = mark.to_labels();
    let values = join(|_, label| quote::text(&labels[label]));
    let columns = join(|name, _| quote::ident(name));
    let sql = format!("INSERT INTO {} (`tenant`, {columns}) VALUES ({}, {values})", table(), quote::text(tenant));
    match session.change("writing the ledger", sql.clone()).await {
        Err(failure) if failure.is_no_such_table() => {
            make(session).await?;
            session.change("writing the ledger", sql).await?;
        }
        other => {
            other?;
        }
    }
    Ok(())
}

/// Updates a tenant's row to another job and desired state.
pub(super) async fn update(session: &mut Session<'_>, tenant: &str, mark: &Mark) -> Result<(), Failure> {
    let labels = mark.to_labels();
    let values = join(|name, label| format!("`{name}` = {}", quote::text(&labels[label])));
    let owned = owned(tenant, mark);
    session.change("updating the ledger", format!("UPDATE {} SET {values} WHERE {owned}", table())).await?;
    Ok(())
}

/// Marks the tenant's site as confirmed.
pub(super) async fn confirm(session: &mut Session<'_>, tenant: &str, mark: &Mark) -> Result<(), Failure> {
    let sql = format!("UPDATE {} SET `confirmed` = TRUE WHERE {}", table(), owned(tenant, mark));
    session.change("confirming in the ledger", sql).await?;
    Ok(())
}

/// Deletes a tenant's row, if it is still this site's.
pub(super) async fn delete(session: &mut Session<'_>, tenant: &str, mark: &Mark) -> Result<(), Failure> {
    let sql = format!("DELETE FROM {} WHERE {}", table(), owned(tenant, mark));
    session.change("deleting from the ledger", sql).await?;
    Ok(())
}

fn owned(tenant: &str, mark: &Mark) -> String {
    format!(
        "`tenant` = {} AND `instance` = {} AND `site_id` = {}",
        quote::text(tenant),
        quote::text(&mark.instance.to_string()),
        quote::text(&mark.site.id.to_string())
    )
}
