//! When each tenant's WordPress has something to do: a constant number of queries, however many tenants.
//!
//! This is the only place where the control plane reads what tenants store, so what they could put there
//! counts. A view would be evaluated with the control plane's privileges; a generated column or a missing
//! index could make it work for long; a lock could make it wait. Only plain tables are read, by their unique
//! index, without waiting, and while they are held so that they can't become anything else.

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
/// How long the server may work on one statement about all tenants, in seconds.
const PATIENCE: u32 = 3;

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
    let impatient = format!("SET SESSION lock_wait_timeout = 0, max_statement_time = {PATIENCE}");
    session.rows("preparing to look at tenants", impatient).await?;
    let tables = plain_tables(session, call).await?;
    let there: Vec<&str> = ours.iter().map(|(tenant, _)| tenant.as_str()).filter(|t| tables.contains(*t)).collect();

    // What a transaction has opened stays as it is until its end.
    session.rows("beginning to look", "START TRANSACTION READ ONLY".to_owned()).await?;
    let open = |tenant: &str| format!("(SELECT '' FROM {}.{TABLE} WHERE FALSE)", quote::ident(tenant));
    let mut held = Vec::new();
    of_those_that_answer(session, "opening tenants' tables", &there, open, |tenants, _| {
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
    of_those_that_answer(session, "reading tenants' events", &held, read, |_, rows| {
        for row in &rows {
            let tenant = column(call, row, 0)?;
            // What can't be read is not an event.
            let due = column(call, row, 1).ok().and_then(|text| first_due(&text));
            let site = ours.iter().find(|(name, _)| *name == tenant).map(|(_, site)| site.clone());
            events.extend(site.zip(due).map(|(site, due)| NextEvent { site, due: at(due) }));
        }
        Ok(())
    })
    .await?;
    session.rows("ending to look", "COMMIT".to_owned()).await?;
    Ok(events)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds.saturating_mul(1_000_000))
}

/// The tenants whose table is a table, of an engine that holds its rows itself.
async fn plain_tables(session: &mut Session<'_>, call: &'static str) -> Effect<BTreeSet<String>> {
    let sql = format!(
        "SELECT TABLE_SCHEMA FROM information_schema.TABLES WHERE {OF_TABLE} \
         AND TABLE_TYPE = 'BASE TABLE' AND ENGINE IN ('InnoDB', 'Aria', 'MyISAM')"
    );
    names(session, call, "looking at tenants' tables", sql).await
}

/// The tenants whose two columns are stored, and whose names are found by an index of exactly that column.
async fn indexed_tables(session: &mut Session<'_>, call: &'static str) -> Effect<BTreeSet<String>> {
    let sql = format!(
        "SELECT TABLE_SCHEMA FROM information_schema.COLUMNS WHERE {OF_TABLE} \
         AND COLUMN_NAME IN ('option_name', 'option_value') AND IS_GENERATED = 'NEVER' \
         GROUP BY TABLE_SCHEMA HAVING COUNT(*) = 2"
    );
    let stored = names(session, call, "looking at tenants' columns", sql).await?;
    let sql = format!(
        "SELECT TABLE_SCHEMA FROM information_schema.STATISTICS WHERE {OF_TABLE} AND NON_UNIQUE = 0 \
         GROUP BY TABLE_SCHEMA, INDEX_NAME \
         HAVING COUNT(*) = 1 AND MAX(COLUMN_NAME) = 'option_name' AND MAX(SUB_PART) IS NULL"
    );
    let indexed = names(session, call, "looking at tenants' indexes", sql).await?;
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

/// Asks all tenants in one statement. If the server refuses it, it asks each half, so that one tenant's table
/// that can't be read costs the others nothing.
async fn of_those_that_answer<'a>(
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
            Err(failure) if is_of_the_connection(&failure) => return Err(EffectError::from(failure)),
            Err(_) if part.len() == 1 => {}
            Err(_) => parts.extend([&part[..part.len() / 2], &part[part.len() / 2..]]),
        }
    }
    Ok(())
}

/// The server did not answer at all.
fn is_of_the_connection(failure: &Failure) -> bool {
    failure.number.is_none()
}
