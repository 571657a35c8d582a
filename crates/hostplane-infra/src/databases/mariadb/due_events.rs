//! Due times of each tenant's next wp-cron event, read in a constant number of queries.
//!
//! Only this file reads data that tenants store, so it assumes hostile tables. A view would run with the control
//! plane's privileges; a generated column or a missing index could take long; a lock could block. Therefore only plain
//! tables are read, by their unique index, without waiting for locks, in a transaction that keeps their definitions.

use std::collections::BTreeSet;

use hostplane_domain::due_events::{PREFIX, first_due};
use hostplane_domain::ids::InstanceId;
use hostplane_domain::mark::SiteRef;

use super::session::{Failure, Session, column};
use super::{ledger, quote};
use crate::clock::Timestamp;
use crate::databases::NextEvent;
use crate::error::{Effect, EffectError};

const TABLE: &str = "`wp_options`";
const OF_TABLE: &str = "TABLE_SCHEMA LIKE 'wp|_%' ESCAPE '|' AND TABLE_NAME = 'wp_options'";
/// Server's limit for one statement about all tenants, in seconds.
const STATEMENT_LIMIT_S: u32 = 3;

pub(super) async fn next_events(
    session: &mut Session<'_>,
    call: &'static str,
    instance: InstanceId,
) -> Effect<Vec<NextEvent>> {
    let confirmed = ledger::read(session, call, None).await?.into_iter().filter(|(_, entry)| entry.confirmed);
    let ours: Vec<(String, SiteRef)> = confirmed
        .filter_map(|(tenant, entry)| Some((tenant, entry.mark?)))
        .filter(|(_, mark)| mark.instance == instance)
        .map(|(tenant, mark)| (tenant, mark.site))
        .collect();
    let limits = format!("SET SESSION lock_wait_timeout = 0, max_statement_time = {STATEMENT_LIMIT_S}");
    session.rows("limiting the session", limits).await?;
    let tables = plain_tables(session, call).await?;
    let listed: Vec<&str> = ours.iter().map(|(tenant, _)| tenant.as_str()).filter(|t| tables.contains(*t)).collect();

    // A transaction keeps the definition of every table that it opened.
    session.rows("beginning the transaction", "START TRANSACTION READ ONLY".to_owned()).await?;
    let open = |tenant: &str| format!("(SELECT '' FROM {}.{TABLE} WHERE FALSE)", quote::ident(tenant));
    let mut held = Vec::new();
    query_readable(session, "opening tenants' tables", &listed, open, |tenants, _| {
        held.extend_from_slice(tenants);
        Ok(())
    })
    .await?;
    let (tables, indexed) = (plain_tables(session, call).await?, indexed_tables(session, call).await?);
    held.retain(|tenant| tables.contains(*tenant) && indexed.contains(*tenant));

    let read = |tenant: &str| {
        format!(
            "(SELECT {}, CONVERT(LEFT(`option_value`, {PREFIX}) USING utf8mb4) COLLATE utf8mb4_bin FROM {}.{TABLE} \
             WHERE `option_name` = 'cron' LIMIT 1)",
            quote::text(tenant),
            quote::ident(tenant)
        )
    };
    let mut events = Vec::new();
    query_readable(session, "reading tenants' events", &held, read, |_, rows| {
        for row in &rows {
            let tenant = column(call, row, 0)?;
            // A malformed value is no event.
            let due = column(call, row, 1).ok().and_then(|text| first_due(&text));
            let site = ours.iter().find(|(name, _)| *name == tenant).map(|(_, site)| site.clone());
            events.extend(site.zip(due).map(|(site, due)| NextEvent { site, due: at(due) }));
        }
        Ok(())
    })
    .await?;
    session.rows("ending the transaction", "COMMIT".to_owned()).await?;
    Ok(events)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds.saturating_mul(1_000_000))
}

/// Lists the tenants whose `wp_options` is a table, of a storage engine with its own rows.
async fn plain_tables(session: &mut Session<'_>, call: &'static str) -> Effect<BTreeSet<String>> {
    let sql = format!(
        "SELECT TABLE_SCHEMA FROM information_schema.TABLES WHERE {OF_TABLE} \
         AND TABLE_TYPE = 'BASE TABLE' AND ENGINE IN ('InnoDB', 'Aria', 'MyISAM')"
    );
    names(session, call, "listing tenants' tables", sql).await
}

/// Lists the tenants whose two columns are stored, and whose option names have a unique index of their own.
async fn indexed_tables(session: &mut Session<'_>, call: &'static str) -> Effect<BTreeSet<String>> {
    let sql = format!(
        "SELECT TABLE_SCHEMA FROM information_schema.COLUMNS WHERE {OF_TABLE} \
         AND COLUMN_NAME IN ('option_name', 'option_value') AND IS_GENERATED = 'NEVER' \
         GROUP BY TABLE_SCHEMA HAVING COUNT(*) = 2"
    );
    let stored = names(session, call, "listing tenants' columns", sql).await?;
    let sql = format!(
        "SELECT TABLE_SCHEMA FROM information_schema.STATISTICS WHERE {OF_TABLE} AND NON_UNIQUE = 0 \
         GROUP BY TABLE_SCHEMA, INDEX_NAME \
         HAVING COUNT(*) = 1 AND MAX(COLUMN_NAME) = 'option_name' AND MAX(SUB_PART) IS NULL"
    );
    let indexed = names(session, call, "listing tenants' indexes", sql).await?;
    Ok(stored.intersection(&indexed).cloned().collect())
}

async fn names(
    session: &mut Session<'_>,
    call: &'static str,
    step: &'static str,
    sql: String,
) -> Effect<BTreeSet<String>> {
    session.rows(step, sql).await?.iter().map(|row| column(call, row, 0)).collect()
}

/// Queries all tenants in one statement. If the server refuses the statement, queries each half, so that one unreadable
/// table costs the other tenants nothing.
async fn query_readable<'a>(
    session: &mut Session<'_>,
    step: &'static str,
    tenants: &[&'a str],
    select: impl Fn(&str) -> String,
    mut answered: impl FnMut(&[&'a str], Vec<sqlx::mysql::MySqlRow>) -> Effect<()>,
) -> Effect<()> {
    let mut parts = vec![tenants];
    while let Some(part) = parts.pop() {
        if part.is_empty() {
            continue;
        }
        let sql = part.iter().map(|tenant| select(tenant)).collect::<Vec<_>>().join(" UNION ALL ");
        match session.rows(step, sql).await {
            Ok(rows) => answered(part, rows)?,
            Err(failure) if is_connection_failure(&failure) => return Err(EffectError::from(failure)),
            Err(_) if part.len() == 1 => {}
            Err(_) => parts.extend([&part[..part.len() / 2], &part[part.len() / 2..]]),
        }
    }
    Ok(())
}

/// True if the server did not answer at all.
fn is_connection_failure(failure: &Failure) -> bool {
    failure.number.is_none()
}
