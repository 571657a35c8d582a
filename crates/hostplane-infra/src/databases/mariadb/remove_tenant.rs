//! Removes a tenant, under the tenant's lock: user, connections, database and, last, the ledger row.

use super::catalog;
use super::session::{NO_DATABASE_TO_DROP, Session};
use super::{ledger, quote};
use crate::databases::{TenantKey, ownership};
use crate::error::Effect;

pub(super) const CALL: &str = "mariadb.remove_tenant";

/// Removes what is left of the tenant, if the ledger's row is this site's.
pub(super) async fn remove(session: &mut Session<'_>, tenant: &str, key: &TenantKey) -> Effect<()> {
    let catalog = catalog::read(session, CALL, Some(tenant)).await?;
    let Some(Ok(mark)) =
        catalog.entry(tenant).map(|entry| ownership::own(tenant, entry.mark.as_ref(), key.instance, key.site.id))
    else {
        return Ok(());
    };
    let account = quote::account(tenant);
    if catalog.user(tenant) {
        session.change("dropping the user", format!("DROP USER {account}")).await?;
    }
    // Even without a user, as connections outlive it.
    session.change("ending the user's connections", format!("KILL HARD CONNECTION USER {account}")).await?;
    if catalog.database(tenant) {
        let sql = format!("DROP DATABASE {}", quote::ident(tenant));
        match session.change("dropping the database", sql).await {
            Err(failure) if !failure.is(NO_DATABASE_TO_DROP) => return Err(failure.into()),
            _ => {}
        }
    }
    ledger::delete(session, tenant, &mark).await?;
    Ok(())
}
