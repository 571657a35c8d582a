//! MariaDB, administered over its own protocol.
//!
//! A call is one connection. Calls that change a tenant hold a lock of that tenant, and look before they
//! change anything, so that each can be repeated after any failure and goes on where the last one ended.

mod address;
mod catalog;
mod due_events;
mod ledger;
mod quote;
mod session;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hostplane_domain::ids::InstanceId;
use hostplane_domain::mark::Mark;
use hostplane_domain::naming;
use hostplane_domain::secret::mariadb_hash;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;

pub use address::{BadAddress, MariadbAddress};

use super::gated::{CONFIRM_DEADLINE, ENSURE_DEADLINE, REMOVE_DEADLINE};
use super::{Databases, NextEvent, TENANT_PRIVILEGES, TenantFacts, TenantKey, TenantSpec, Tenants, claim};
use crate::error::{Dependency, Effect, EffectError, Rejection};
use catalog::{Catalog, Level, Privilege};
use session::{CANNOT_USER, DATABASE_EXISTS, DUPLICATE_ENTRY, NO_DATABASE_TO_DROP, Session};

const PING: &str = "mariadb.ping";
const TENANTS: &str = "mariadb.tenants";
const NEXT_EVENTS: &str = "mariadb.next_events";
const ENSURE_TENANT: &str = "mariadb.ensure_tenant";
const CONFIRM_TENANT: &str = "mariadb.confirm_tenant";
const REMOVE_TENANT: &str = "mariadb.remove_tenant";

/// Connections at once, so that the control plane never takes the sites' share.
const CONNECTIONS: usize = 4;

/// How long a call may begin statements, and how long the server may work on one. Together they stay below
/// the gate's deadline of the call: when that has passed, nothing of the call can happen any more.
struct Budget {
    call: Duration,
    statement: Duration,
}

impl Budget {
    const fn longest(&self) -> u64 {
        self.call.as_secs() + self.statement.as_secs()
    }
}

const READ: Budget = Budget { call: Duration::from_secs(14), statement: Duration::from_secs(8) };
const ENSURE: Budget = Budget { call: Duration::from_secs(21), statement: Duration::from_secs(8) };
const CONFIRM: Budget = Budget { call: Duration::from_secs(10), statement: Duration::from_secs(4) };
const REMOVE: Budget = Budget { call: Duration::from_secs(43), statement: Duration::from_secs(16) };

/// What an account's password may be, the one that it should be first. Asked for at each call.
pub type Passwords = Arc<dyn Fn() -> Vec<SecretString> + Send + Sync>;

/// The database server of the sites.
pub struct Mariadb {
    address: MariadbAddress,
    passwords: Passwords,
    /// Part of the names of locks: the oldest password, so that they stay the same whatever becomes of it.
    locks: SecretString,
    renewing: Mutex<()>,
    places: Semaphore,
    /// A ping doesn't queue behind work: it tells whether the server is up, not whether it is busy.
    pings: Semaphore,
}

impl fmt::Debug for Mariadb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mariadb").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Mariadb {
    /// An adapter for the server at `address`. Nothing is connected before the first call.
    #[must_use]
    pub fn new(address: MariadbAddress) -> Self {
        let password = address.password().clone();
        Self::with_passwords(address, Arc::new(move || vec![password.clone()]))
    }

    /// The same for a server whose password is ours to renew: of these, which are asked for at each call, the first
    /// is the one that the account should have. Where the server takes an older one only, the account gets the first.
    #[must_use]
    pub fn with_passwords(address: MariadbAddress, passwords: Passwords) -> Self {
        Self {
            locks: passwords().pop().unwrap_or_else(|| address.password().clone()),
            renewing: Mutex::new(()),
            address,
            passwords,
            places: Semaphore::new(CONNECTIONS),
            pings: Semaphore::new(CONNECTIONS),
        }
    }

    async fn open(&self, call: &'static str, budget: &Budget) -> Effect<Session<'_>> {
        self.connect(&self.places, call, budget.statement).await
    }

    async fn connect<'a>(&'a self, places: &'a Semaphore, call: &'static str, limit: Duration) -> Effect<Session<'a>> {
        let all = (self.passwords)();
        let Some(wanted) = all.first() else {
            return Err(EffectError::transient_message(call, "there is no password to connect with"));
        };
        let open = async |password| Session::open(&self.address.with_password(password), places, call, limit).await;
        let newest = open(wanted).await;
        if all.len() == 1 || !is_denied(&newest) {
            return newest;
        }
        // One at a time: who tries the older ones while another renews would be denied each of them.
        let _renewing = self.renewing.lock().await;
        for (place, password) in all.iter().enumerate() {
            let mut opened = open(password).await;
            if let (Ok(session), true) = (&mut opened, place > 0) {
                session.renew_password(&mariadb_hash(wanted)).await?;
            }
            if !is_denied(&opened) {
                return opened;
            }
        }
        newest
    }

    /// A tenant's lock has a name that tenants can't guess, as any of them could hold it for ever.
    fn lock_name(&self, tenant: &str) -> String {
        let text = format!("{}/lock/{tenant}", self.locks.expose_secret());
        mariadb_hash(&SecretString::from(text))
    }

    async fn ensure(&self, spec: &TenantSpec) -> Effect<()> {
        let tenant = naming::database(&spec.mark.site.name);
        check_hash(&spec.password_hash)?;
        let mut session = self.open(ENSURE_TENANT, &ENSURE).await?;
        session.lock(&self.lock_name(&tenant)).await?;
        let done = ensure_locked(&mut session, &tenant, spec).await;
        session.close().await;
        done
    }

    async fn confirm(&self, key: &TenantKey) -> Effect<()> {
        let tenant = naming::database(&key.site.name);
        let mut session = self.open(CONFIRM_TENANT, &CONFIRM).await?;
        session.lock(&self.lock_name(&tenant)).await?;
        let done = confirm_locked(&mut session, &tenant, key).await;
        session.close().await;
        done
    }

    async fn remove(&self, key: &TenantKey) -> Effect<()> {
        let tenant = naming::database(&key.site.name);
        let mut session = self.open(REMOVE_TENANT, &REMOVE).await?;
        session.lock(&self.lock_name(&tenant)).await?;
        let done = remove_locked(&mut session, &tenant, key).await;
        session.close().await;
        done
    }
}

#[async_trait]
impl Databases for Mariadb {
    async fn ping(&self) -> Effect<()> {
        let mut session = self.connect(&self.pings, PING, READ.statement).await?;
        session.rows("asking for an answer", "SELECT 1".to_owned()).await?;
        session.close().await;
        Ok(())
    }

    async fn tenants(&self, which: &Tenants) -> Effect<Vec<TenantFacts>> {
        let work = async {
            let mut session = self.open(TENANTS, &READ).await?;
            let facts = match which {
                Tenants::All => catalog::read(&mut session, TENANTS, None).await?.all_facts(),
                Tenants::Of(site) => {
                    let tenant = naming::database(site);
                    let catalog = catalog::read(&mut session, TENANTS, Some(&tenant)).await?;
                    catalog.facts(&tenant).into_iter().collect()
                }
            };
            session.close().await;
            Ok(facts)
        };
        let late = |_| EffectError::transient_message(TENANTS, "the database server takes too long");
        timeout(READ.call, work).await.map_err(late)?
    }

    async fn next_events(&self, instance: InstanceId) -> Effect<Vec<NextEvent>> {
        let work = async {
            let mut session = self.open(NEXT_EVENTS, &READ).await?;
            let events = due_events::next_events(&mut session, NEXT_EVENTS, instance).await?;
            session.close().await;
            Ok(events)
        };
        let late = |_| EffectError::transient_message(NEXT_EVENTS, "the database server takes too long");
        timeout(READ.call, work).await.map_err(late)?
    }

    async fn ensure_tenant(&self, spec: &TenantSpec) -> Effect<()> {
        within(ENSURE_TENANT, &ENSURE, self.ensure(spec)).await
    }

    async fn confirm_tenant(&self, tenant: &TenantKey) -> Effect<()> {
        within(CONFIRM_TENANT, &CONFIRM, self.confirm(tenant)).await
    }

    async fn remove_tenant(&self, tenant: &TenantKey) -> Effect<()> {
        within(REMOVE_TENANT, &REMOVE, self.remove(tenant)).await
    }
}

const _: () = assert!(
    ENSURE.longest() < ENSURE_DEADLINE.as_secs()
        && CONFIRM.longest() < CONFIRM_DEADLINE.as_secs()
        && REMOVE.longest() < REMOVE_DEADLINE.as_secs()
);

/// Bounds a change: past its budget no statement is begun any more.
async fn within(call: &'static str, budget: &Budget, work: impl Future<Output = Effect<()>>) -> Effect<()> {
    timeout(budget.call, work)
        .await
        .unwrap_or_else(|_| Err(EffectError::unknown_message(call, "the database server takes too long")))
}

fn is_denied<T>(result: &Effect<T>) -> bool {
    matches!(result, Err(EffectError::Rejected(Rejection::AccessDenied { .. })))
}

async fn ensure_locked(session: &mut Session<'_>, tenant: &str, spec: &TenantSpec) -> Effect<()> {
    let mark = &spec.mark;
    let catalog = catalog::read(session, ENSURE_TENANT, Some(tenant)).await?;
    let row_is_new = match catalog.entry(tenant) {
        Some(entry) => {
            let found = claim::own(tenant, entry.mark.as_ref(), mark.instance, mark.site.id)?;
            if let Some(host) = catalog.other_host(tenant) {
                return Err(claim::foreign("database user", &format!("{tenant}@{host}")));
            }
            if found != *mark {
                ledger::update(session, tenant, mark).await?;
            }
            false
        }
        None if catalog.database(tenant) => return Err(claim::foreign("database", tenant)),
        None if catalog.user(tenant) || catalog.other_host(tenant).is_some() => {
            return Err(claim::foreign("database user", tenant));
        }
        None => {
            ledger::insert(session, tenant, mark).await.map_err(|failure| {
                if failure.is(DUPLICATE_ENTRY) {
                    // Another instance came first; the next look says which.
                    EffectError::transient_message(ENSURE_TENANT, "another call claimed this tenant")
                } else {
                    failure.into()
                }
            })?;
            true
        }
    };
    let user_is_new = ensure_user(session, tenant, spec, &catalog, row_is_new).await?;
    ensure_database(session, tenant, mark, &catalog, row_is_new && user_is_new).await?;
    ensure_grants(session, tenant, &catalog).await
}

/// Answers whether it made the user.
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
            // It appeared since it was seen to be absent, so it is another's: take our claim back.
            Err(failure) if failure.is(CANNOT_USER) => {
                if row_is_new {
                    ledger::delete(session, tenant, &spec.mark).await?;
                }
                Err(claim::foreign("database user", tenant))
            }
            Err(failure) => Err(failure.into()),
        };
    }
    let user = catalog.facts(tenant).and_then(|facts| facts.user);
    let fits = user.is_some_and(|user| user.password_hash == spec.password_hash && user.max_connections == connections);
    if !fits {
        // Every clause is given, as those left out of an ALTER USER are not all kept.
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
        // It appeared since it was seen to be absent, and our user could not have made it: another's.
        Err(failure) if failure.is(DATABASE_EXISTS) && claim_is_new => {
            session.change("dropping the user again", format!("DROP USER {}", quote::account(tenant))).await?;
            ledger::delete(session, tenant, mark).await?;
            Err(claim::foreign("database", tenant))
        }
        // The tenant itself made it again.
        Err(failure) if failure.is(DATABASE_EXISTS) => Ok(()),
        Err(failure) => Err(failure.into()),
    }
}

/// Takes away what is too much and gives what is missing, in an order in which a site that works is never
/// without what it needs, unless something was granted outside its databases.
async fn ensure_grants(session: &mut Session<'_>, tenant: &str, catalog: &Catalog) -> Effect<()> {
    let account = quote::account(tenant);
    let own = quote::pattern(tenant);
    let held = catalog.privileges(tenant);
    let elsewhere = held.iter().any(|privilege| privilege.level == Level::Elsewhere);
    if elsewhere {
        // Also takes those on databases, in one statement.
        let sql = format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {account}");
        session.change("revoking privileges", sql).await?;
    }
    let on_own = |privilege: &&Privilege| privilege.level == Level::Schema && privilege.object == own;
    let has = |wanted: &str| held.iter().filter(on_own).any(|privilege| privilege.name == wanted);
    if elsewhere || !TENANT_PRIVILEGES.iter().all(|wanted| has(wanted)) {
        let sql = format!("GRANT {} ON {}.* TO {account}", TENANT_PRIVILEGES.join(", "), quote::ident(&own));
        session.change("granting privileges", sql).await?;
    }
    let mut too_much: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for privilege in held.iter().filter(|privilege| !privilege.is_wanted(tenant)) {
        let object = privilege.object.as_str();
        match privilege.level {
            Level::Elsewhere => {}
            Level::Schema if elsewhere => {}
            Level::Schema => {
                let extra = too_much.entry(object).or_default();
                if privilege.grantable {
                    extra.insert("GRANT OPTION");
                }
                if object != own || !TENANT_PRIVILEGES.contains(&privilege.name.as_str()) {
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
    for (object, extra) in too_much {
        let extra = Vec::from_iter(extra).join(", ");
        let sql = format!("REVOKE {extra} ON {}.* FROM {account}", quote::ident(object));
        session.change("revoking privileges", sql).await?;
    }
    Ok(())
}

async fn confirm_locked(session: &mut Session<'_>, tenant: &str, key: &TenantKey) -> Effect<()> {
    let rows = ledger::read(session, CONFIRM_TENANT, Some(tenant)).await?;
    let row = rows.get(tenant);
    let mark = claim::own(tenant, row.and_then(|row| row.mark.as_ref()), key.instance, key.site.id)?;
    if row.is_some_and(|row| !row.confirmed) {
        ledger::confirm(session, tenant, &mark).await?;
    }
    Ok(())
}

async fn remove_locked(session: &mut Session<'_>, tenant: &str, key: &TenantKey) -> Effect<()> {
    let catalog = catalog::read(session, REMOVE_TENANT, Some(tenant)).await?;
    let Some(Ok(mark)) =
        catalog.entry(tenant).map(|entry| claim::own(tenant, entry.mark.as_ref(), key.instance, key.site.id))
    else {
        return Ok(());
    };
    let account = quote::account(tenant);
    if catalog.user(tenant) {
        session.change("dropping the user", format!("DROP USER {account}")).await?;
    }
    // Even when the user is gone, because its connections outlive it.
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

/// A hash is put into a statement and compared with what the server stores, so its form is exact.
fn check_hash(hash: &str) -> Effect<()> {
    let digits = hash.strip_prefix('*').unwrap_or_default();
    if digits.len() == 40 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F')) {
        return Ok(());
    }
    let message = "the password's hash is not one of mysql_native_password".to_owned();
    Err(Rejection::Invalid { by: Dependency::Mariadb, message }.into())
}
