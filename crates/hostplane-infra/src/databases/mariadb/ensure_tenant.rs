//! Makes a tenant, or repairs it, under the tenant's lock.
//!
//! Order: ledger row, user, database, grants. Each step first compares, so that a call goes on where a failed one
//! ended.

use std::collections::{BTreeMap, BTreeSet};

use hostplane_domain::mark::Mark;

use super::catalog::{self, Catalog, Level, Privilege, is_open, wanted};
use super::session::{CANNOT_USER, DATABASE_EXISTS, DUPLICATE_ENTRY, NO_SUCH_TABLE, Session, column};
use super::{ledger, quote};
use crate::databases::{OPEN_TABLES, TenantSpec, ownership};
use crate::error::{Dependency, Effect, EffectError, Rejection};

pub(super) const CALL: &str = "mariadb.ensure_tenant";

/// Makes the tenant as specified.
pub(super) async fn ensure(session: &mut Session<'_>, tenant: &str, spec: &TenantSpec) -> Effect<()> {
    let mark = &spec.mark;
    let catalog = catalog::read(session, CALL, Some(tenant)).await?;
    let row_is_new = match catalog.entry(tenant) {
        Some(entry) => {
            let found = ownership::own(tenant, entry.mark.as_ref(), mark.instance, mark.site.id)?;
            if let Some(host) = catalog.other_host(tenant) {
                return Err(ownership::foreign("database user", &format!("{tenant}@{host}")));
            }
            if found != *mark {
                ledger::update(session, tenant, mark).await?;
            }
            false
        }
        None if catalog.database(tenant) => return Err(ownership::foreign("database", tenant)),
        None if catalog.user(tenant) || catalog.other_host(tenant).is_some() => {
            return Err(ownership::foreign("database user", tenant));
        }
        None => {
            ledger::insert(session, tenant, mark).await.map_err(|failure| {
                if failure.is(DUPLICATE_ENTRY) {
                    // Another instance was first; the next call names it.
                    EffectError::transient_message(CALL, "another call claimed this tenant")
                } else {
                    failure.into()
                }
            })?;
            true
        }
    };
    let user_is_new = ensure_user(session, tenant, spec, &catalog, row_is_new).await?;
    ensure_database(session, tenant, mark, &catalog, row_is_new && user_is_new).await?;
    ensure_grants(session, tenant, &catalog, spec.restricted).await?;
    if spec.restricted {
        // A connection keeps the privileges on its database; WordPress connects again by itself.
        let sql = format!("KILL SOFT CONNECTION USER {}", quote::account(tenant));
        session.change("ending the user's connections", sql).await?;
    }
    Ok(())
}

/// Most tables that are opened: a tenant can have any number of such names.
const MOST_OPEN: usize = 100;

/// Lets a tenant insert into the tables without which the owner couldn't log in, before it loses that right on the database.
async fn open_tables(session: &mut Session<'_>, tenant: &str) -> Effect<()> {
    let endings = OPEN_TABLES.map(|ending| format!("TABLE_NAME LIKE '%{ending}'")).join(" OR ");
    let sql = format!(
        "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND ({endings}) LIMIT {MOST_OPEN}",
        quote::text(tenant)
    );
    for row in &session.rows("listing the tables to log in with", sql).await? {
        let table = column(CALL, row, 0)?;
        let sql =
            format!("GRANT INSERT ON {}.{} TO {}", quote::ident(tenant), quote::ident(&table), quote::account(tenant));
        match session.change("opening a table to log in with", sql).await {
            // Dropped since it was listed.
            Err(failure) if failure.is(NO_SUCH_TABLE) => {}
            Err(failure) => return Err(failure.into()),
            Ok(_) => {}
        }
    }
    Ok(())
}

/// Makes or alters the user. True if the user is new.
async fn ensure_user(
    session: &mut Session<'_>,
    tenant: &str,
    spec: &TenantSpec,
    catalog: &Catalog,
    row_is_new: bool,
) -> Effect<bool> {
    let account = quote::account(tenant);
    let (hash, connections) = (quote::text(&spec.password_hash), spec.max_connections);
    if !catalog.user(tenant) {
        let sql = format!(
            "CREATE USER {account} IDENTIFIED VIA mysql_native_password USING {hash} \
             WITH MAX_USER_CONNECTIONS {connections}"
        );
        return match session.change("creating the user", sql).await {
            Ok(_) => Ok(true),
            // Another owner made the user since the catalog was read: delete our row.
            Err(failure) if failure.is(CANNOT_USER) => {
                if row_is_new {
                    ledger::delete(session, tenant, &spec.mark).await?;
                }
                Err(ownership::foreign("database user", tenant))
            }
            Err(failure) => Err(failure.into()),
        };
    }
    let user = catalog.facts(tenant).and_then(|facts| facts.user);
    let fits = user.is_some_and(|user| user.password_hash == spec.password_hash && user.max_connections == connections);
    if !fits {
        // Explicit clauses, as ALTER USER resets some of those left out.
        let sql = format!(
            "ALTER USER {account} IDENTIFIED VIA mysql_native_password USING {hash} REQUIRE NONE \
             WITH MAX_QUERIES_PER_HOUR 0 MAX_UPDATES_PER_HOUR 0 MAX_CONNECTIONS_PER_HOUR 0 \
             MAX_USER_CONNECTIONS {connections} ACCOUNT UNLOCK PASSWORD EXPIRE DEFAULT"
        );
        session.change("altering the user", sql).await?;
    }
    Ok(false)
}

async fn ensure_database(
    session: &mut Session<'_>,
    tenant: &str,
    mark: &Mark,
    catalog: &Catalog,
    claim_is_new: bool,
) -> Effect<()> {
    if catalog.database(tenant) {
        return Ok(());
    }
    let name = quote::ident(tenant);
    let sql = format!("CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci");
    match session.change("creating the database", sql).await {
        Ok(_) => Ok(()),
        // Another owner made the database since the catalog was read; our new user could not have.
        Err(failure) if failure.is(DATABASE_EXISTS) && claim_is_new => {
            session.change("dropping the user again", format!("DROP USER {}", quote::account(tenant))).await?;
            ledger::delete(session, tenant, mark).await?;
            Err(ownership::foreign("database", tenant))
        }
        // The tenant itself made the database again.
        Err(failure) if failure.is(DATABASE_EXISTS) => Ok(()),
        Err(failure) => Err(failure.into()),
    }
}

/// Grants missing privileges and revokes extra ones. The order never takes a needed privilege from a working site,
/// unless a privilege outside its databases was granted.
async fn ensure_grants(session: &mut Session<'_>, tenant: &str, catalog: &Catalog, restricted: bool) -> Effect<()> {
    let account = quote::account(tenant);
    let own = quote::pattern(tenant);
    let held = catalog.privileges(tenant);
    let is_foreign = |privilege: &Privilege| privilege.level == Level::Table && privilege.table_of(tenant).is_none();
    let elsewhere = held.iter().any(|privilege| privilege.level == Level::Elsewhere || is_foreign(privilege));
    if elsewhere {
        // Also revokes those on databases.
        let sql = format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {account}");
        session.change("revoking privileges", sql).await?;
    }
    let on_own = |privilege: &&Privilege| privilege.level == Level::Schema && privilege.object == own;
    let has = |wanted: &str| held.iter().filter(on_own).any(|privilege| privilege.name == wanted);
    if elsewhere || !wanted(restricted).all(has) {
        let sql = format!(
            "GRANT {} ON {}.* TO {account}",
            wanted(restricted).collect::<Vec<_>>().join(", "),
            quote::ident(&own)
        );
        session.change("granting privileges", sql).await?;
    }
    if restricted {
        open_tables(session, tenant).await?;
    }
    let mut extra_by_object: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for privilege in held.iter().filter(|privilege| !privilege.is_wanted(tenant, restricted)) {
        let object = privilege.object.as_str();
        match privilege.level {
            Level::Elsewhere => {}
            Level::Schema | Level::Table if elsewhere => {}
            Level::Table => {
                let table = privilege.table_of(tenant).unwrap_or_default();
                let extra = extra_by_object.entry(format!("{}.{}", quote::ident(tenant), quote::ident(table)));
                let extra = extra.or_default();
                if privilege.grantable {
                    extra.insert("GRANT OPTION");
                }
                if !(restricted && privilege.name == "INSERT" && is_open(table)) {
                    extra.insert(&privilege.name);
                }
            }
            Level::Schema => {
                let extra = extra_by_object.entry(format!("{}.*", quote::ident(object))).or_default();
                if privilege.grantable {
                    extra.insert("GRANT OPTION");
                }
                if object != own || !wanted(restricted).any(|name| name == privilege.name) {
                    extra.insert(&privilege.name);
                }
            }
            Level::Role => {
                let sql = format!("REVOKE {} FROM {account}", quote::ident(object));
                session.change("revoking a role", sql).await?;
            }
            Level::Proxy => {
                session.change("revoking a proxy", format!("REVOKE PROXY ON {object} FROM {account}")).await?;
            }
        }
    }
    for (object, extra) in extra_by_object {
        let extra = Vec::from_iter(extra).join(", ");
        let sql = format!("REVOKE {extra} ON {object} FROM {account}");
        session.change("revoking privileges", sql).await?;
    }
    Ok(())
}

/// Checks the exact form of a hash, which goes into a statement and is compared with the server's.
pub(super) fn check_hash(hash: &str) -> Effect<()> {
    let digits = hash.strip_prefix('*').unwrap_or_default();
    if digits.len() == 40 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F')) {
        return Ok(());
    }
    let message = "the password's hash is not one of mysql_native_password".to_owned();
    Err(Rejection::Invalid { by: Dependency::Mariadb, message }.into())
}
