//! Confirms a tenant in the ledger, under the tenant's lock.

use super::ledger;
use super::session::Session;
use crate::databases::{TenantKey, ownership};
use crate::error::Effect;

pub(super) const CALL: &str = "mariadb.confirm_tenant";

/// Writes the confirmation, unless the ledger has it.
pub(super) async fn confirm(session: &mut Session<'_>, tenant: &str, key: &TenantKey) -> Effect<()> {
    let rows = ledger::read(session, CALL, Some(tenant)).await?;
    let row = rows.get(tenant);
    let mark = ownership::own(tenant, row.and_then(|row| row.mark.as_ref()), key.instance, key.site.id)?;
    if row.is_some_and(|row| !row.confirmed) {
        ledger::confirm(session, tenant, &mark).await?;
    }
    Ok(())
}
