//! Sizes of the tenants' databases: one query for all, as the server keeps the sizes of its files in memory.

use std::collections::BTreeMap;

use super::quote;
use super::session::{Session, column};
use crate::error::{Effect, EffectError};

/// Server's limit for opening one tenant's tables, in seconds: a tenant can have any number of them.
const TABLES_LIMIT_S: u32 = 2;
/// The form in which the server keeps a hyphen in a file's name, the only character of a tenant's name that has one.
const HYPHEN: &str = "@002d";

/// Reads the sizes of all, and of some without the free space inside.
pub(super) async fn read(
    session: &mut Session<'_>,
    call: &'static str,
    exactly: &[String],
) -> Effect<BTreeMap<String, u64>> {
    let sql = "SELECT SUBSTRING_INDEX(NAME, '/', 1), CAST(CAST(SUM(ALLOCATED_SIZE) AS UNSIGNED) AS CHAR) \
               FROM information_schema.INNODB_SYS_TABLESPACES WHERE NAME LIKE 'wp|_%' ESCAPE '|' GROUP BY 1";
    let mut sizes = BTreeMap::new();
    for row in &session.rows("measuring databases", sql.to_owned()).await? {
        sizes.insert(column(call, row, 0)?.replace(HYPHEN, "-"), number(call, &column(call, row, 1)?)?);
    }
    if !exactly.is_empty() {
        session.rows("limiting the session", format!("SET SESSION max_statement_time = {TABLES_LIMIT_S}")).await?;
    }
    for tenant in exactly {
        let Some(size) = sizes.get_mut(tenant) else { continue };
        let sql = format!(
            "SELECT CAST(CAST(COALESCE(SUM(DATA_FREE), 0) AS UNSIGNED) AS CHAR) FROM information_schema.TABLES \
             WHERE TABLE_SCHEMA = {} AND ENGINE = 'InnoDB'",
            quote::text(tenant)
        );
        match session.rows("measuring a database", sql).await {
            Ok(rows) => {
                let free = rows.first().map(|row| column(call, row, 0)).transpose()?;
                *size = size.saturating_sub(free.map_or(Ok(0), |free| number(call, &free))?);
            }
            Err(failure) if failure.number.is_none() => return Err(failure.into()),
            // Its own tables take too long, so it counts as large as its files.
            Err(_) => {}
        }
    }
    Ok(sizes)
}

fn number(call: &'static str, text: &str) -> Effect<u64> {
    text.parse().map_err(|_| EffectError::transient_message(call, "the server gave a size that is no number"))
}
