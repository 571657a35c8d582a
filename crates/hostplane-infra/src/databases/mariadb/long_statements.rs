//! Ends tenants' statements that run for too long.
//!
//! The server has a limit of its own, `max_statement_time`, which any tenant can lift for its session. The list of
//! statements can't be lifted: how long one has run is measured by the server's own clock, whatever time a session sets.

use hostplane_domain::ids::InstanceId;

use super::ledger;
use super::session::{NO_SUCH_QUERY, Session, column};
use crate::databases::EndedStatement;
use crate::error::{Effect, EffectError};

pub(super) const CALL: &str = "mariadb.end_long_statements";

/// First words of statements that are named.
const KINDS: &[&str] = &[
    "ALTER", "ANALYZE", "BEGIN", "CALL", "CHECK", "CREATE", "DELETE", "DO", "DROP", "EXECUTE", "INSERT", "LOAD",
    "LOCK", "OPTIMIZE", "REPAIR", "REPLACE", "SELECT", "SHOW", "TRUNCATE", "UPDATE", "WITH",
];

/// A statement without a text is in its beginning or its end.
fn kind(beginning: &str) -> &'static str {
    let word = beginning.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    KINDS.iter().find(|kind| kind.eq_ignore_ascii_case(word)).unwrap_or(&"another")
}

/// One query for all tenants, and the ledger only if there is something to end. A statement is ended by its own number,
/// so that none which follows on the same connection is hit.
pub(super) async fn end(session: &mut Session<'_>, instance: InstanceId, limit_s: u32) -> Effect<Vec<EndedStatement>> {
    let sql = format!(
        "SELECT USER, CAST(QUERY_ID AS CHAR), CAST(TIME AS CHAR), IFNULL(LEFT(INFO, 16), '') \
         FROM information_schema.PROCESSLIST \
         WHERE USER LIKE 'wp|_%' ESCAPE '|' AND COMMAND NOT IN ('Sleep', 'Killed') AND TIME >= {limit_s}"
    );
    let rows = session.rows("listing long statements", sql).await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ledger = ledger::read(session, CALL, None).await?;
    let mut ended = Vec::new();
    for row in &rows {
        let mark = ledger.get(&column(CALL, row, 0)?).and_then(|entry| entry.mark.as_ref());
        let Some(mark) = mark.filter(|mark| mark.instance == instance) else { continue };
        let (Ok(id), Ok(ran_s)) = (column(CALL, row, 1)?.parse::<u64>(), column(CALL, row, 2)?.parse()) else {
            continue;
        };
        match session.change("ending a statement", format!("KILL QUERY ID {id}")).await {
            // It ended by itself.
            Err(failure) if failure.is(NO_SUCH_QUERY) => continue,
            other => other.map_err(EffectError::from)?,
        };
        // A tenant chooses the bytes.
        let kind = column(CALL, row, 3).map_or("another", |beginning| kind(&beginning));
        ended.push(EndedStatement { site: mark.site.clone(), ran_s, kind });
    }
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_of_sql_are_named() {
        for (beginning, named) in [
            ("select * from `a`", "SELECT"),
            ("SELECT(1)", "SELECT"),
            ("Insert into s3cr", "INSERT"),
            ("SELECTs3cret", "another"),
            ("s3cret", "another"),
            (" SELECT 1", "another"),
            ("/* s3cret */ SEL", "another"),
            ("", "another"),
            ("\u{0}\n", "another"),
        ] {
            assert_eq!(kind(beginning), named, "{beginning:?}");
        }
    }
}
