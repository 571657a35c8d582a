//! MariaDB, administered over its own protocol.
//!
//! A call is one connection. Calls that change a tenant hold the tenant's lock and read its state first, so that each
//! can be repeated after any failure and goes on where the last one ended.

mod address;
mod catalog;
mod confirm_tenant;
mod due_events;
mod ensure_tenant;
mod ledger;
mod long_statements;
mod quote;
mod remove_tenant;
mod session;
mod sizes;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hostplane_domain::ids::InstanceId;
use hostplane_domain::naming;
use hostplane_domain::secret::mariadb_hash;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;

pub use address::{BadAddress, MariadbAddress};

use super::gated::{CONFIRM_DEADLINE, END_DEADLINE, ENSURE_DEADLINE, REMOVE_DEADLINE};
use super::{Databases, EndedStatement, NextEvent, TenantFacts, TenantKey, TenantSpec, Tenants};
use crate::error::{Effect, EffectError, Rejection};
use session::Session;

const PING: &str = "mariadb.ping";
const TENANTS: &str = "mariadb.tenants";
const NEXT_EVENTS: &str = "mariadb.next_events";
const SIZES: &str = "mariadb.sizes";

/// Most connections of the control plane, so that it never takes the sites' share.
const CONNECTIONS: usize = 4;

/// Time in which a call may begin statements, and the server's limit for one statement. Their sum stays below the
/// gate's deadline of the call: past it, no effect of the call can land.
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
const END: Budget = Budget { call: Duration::from_secs(10), statement: Duration::from_secs(4) };
const REMOVE: Budget = Budget { call: Duration::from_secs(43), statement: Duration::from_secs(16) };

/// Source of an account's possible passwords, the wanted one first. Each call asks it.
pub type Passwords = Arc<dyn Fn() -> Vec<SecretString> + Send + Sync>;

/// The database server of the sites.
pub struct Mariadb {
    address: MariadbAddress,
    passwords: Passwords,
    /// Secret part of the locks' names: the oldest password, so that the names survive a renewal.
    lock_secret: SecretString,
    renewing: Mutex<()>,
    connections: Semaphore,
    /// Connections of pings, which must not queue behind work: a busy server is not down.
    ping_connections: Semaphore,
}

impl fmt::Debug for Mariadb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mariadb").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Mariadb {
    /// An adapter for the server at `address`. The first call connects.
    #[must_use]
    pub fn new(address: MariadbAddress) -> Self {
        let password = address.password().clone();
        Self::with_passwords(address, Arc::new(move || vec![password.clone()]))
    }

    /// An adapter for a server whose password Hostplane renews. When the server takes only an older password, the
    /// account gets the first.
    #[must_use]
    pub fn with_passwords(address: MariadbAddress, passwords: Passwords) -> Self {
        Self {
            lock_secret: passwords().pop().unwrap_or_else(|| address.password().clone()),
            renewing: Mutex::new(()),
            address,
            passwords,
            connections: Semaphore::new(CONNECTIONS),
            ping_connections: Semaphore::new(CONNECTIONS),
        }
    }

    async fn open(&self, call: &'static str, budget: &Budget) -> Effect<Session<'_>> {
        self.connect(&self.connections, call, budget.statement).await
    }

    async fn connect<'a>(
        &'a self,
        connections: &'a Semaphore,
        call: &'static str,
        limit: Duration,
    ) -> Effect<Session<'a>> {
        let all = (self.passwords)();
        let Some(wanted) = all.first() else {
            return Err(EffectError::transient_message(call, "there is no password to connect with"));
        };
        let open =
            async |password| Session::open(&self.address.with_password(password), connections, call, limit).await;
        let newest = open(wanted).await;
        if all.len() == 1 || !is_denied(&newest) {
            return newest;
        }
        // One at a time: while another call renews the password, every older one may be denied.
        let _renewing = self.renewing.lock().await;
        for (index, password) in all.iter().enumerate() {
            let mut opened = open(password).await;
            if let (Ok(session), true) = (&mut opened, index > 0) {
                session.renew_password(&mariadb_hash(wanted)).await?;
            }
            if !is_denied(&opened) {
                return opened;
            }
        }
        newest
    }

    /// Name of a tenant's lock. Tenants can't guess it, as any tenant could hold a lock of a known name for ever.
    fn lock_name(&self, tenant: &str) -> String {
        let text = format!("{}/lock/{tenant}", self.lock_secret.expose_secret());
        mariadb_hash(&SecretString::from(text))
    }

    async fn ensure(&self, spec: &TenantSpec) -> Effect<()> {
        let tenant = naming::database(&spec.mark.site.name);
        ensure_tenant::check_hash(&spec.password_hash)?;
        let mut session = self.open(ensure_tenant::CALL, &ENSURE).await?;
        session.lock(&self.lock_name(&tenant)).await?;
        let done = ensure_tenant::ensure(&mut session, &tenant, spec).await;
        session.close().await;
        done
    }

    async fn confirm(&self, key: &TenantKey) -> Effect<()> {
        let tenant = naming::database(&key.site.name);
        let mut session = self.open(confirm_tenant::CALL, &CONFIRM).await?;
        session.lock(&self.lock_name(&tenant)).await?;
        let done = confirm_tenant::confirm(&mut session, &tenant, key).await;
        session.close().await;
        done
    }

    async fn remove(&self, key: &TenantKey) -> Effect<()> {
        let tenant = naming::database(&key.site.name);
        let mut session = self.open(remove_tenant::CALL, &REMOVE).await?;
        session.lock(&self.lock_name(&tenant)).await?;
        let done = remove_tenant::remove(&mut session, &tenant, key).await;
        session.close().await;
        done
    }
}

#[async_trait]
impl Databases for Mariadb {
    async fn ping(&self) -> Effect<()> {
        let mut session = self.connect(&self.ping_connections, PING, READ.statement).await?;
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

    async fn end_long_statements(&self, instance: InstanceId, limit_s: u32) -> Effect<Vec<EndedStatement>> {
        let work = async {
            let mut session = self.open(long_statements::CALL, &END).await?;
            let ended = long_statements::end(&mut session, instance, limit_s).await;
            session.close().await;
            ended
        };
        within(long_statements::CALL, &END, work).await
    }

    async fn sizes(&self, exactly: &[String]) -> Effect<BTreeMap<String, u64>> {
        let work = async {
            let mut session = self.open(SIZES, &READ).await?;
            let sizes = sizes::read(&mut session, SIZES, exactly).await?;
            session.close().await;
            Ok(sizes)
        };
        let late = |_| EffectError::transient_message(SIZES, "the database server takes too long");
        timeout(READ.call, work).await.map_err(late)?
    }

    async fn ensure_tenant(&self, spec: &TenantSpec) -> Effect<()> {
        within(ensure_tenant::CALL, &ENSURE, self.ensure(spec)).await
    }

    async fn confirm_tenant(&self, tenant: &TenantKey) -> Effect<()> {
        within(confirm_tenant::CALL, &CONFIRM, self.confirm(tenant)).await
    }

    async fn remove_tenant(&self, tenant: &TenantKey) -> Effect<()> {
        within(remove_tenant::CALL, &REMOVE, self.remove(tenant)).await
    }
}

const _: () = assert!(
    ENSURE.longest() < ENSURE_DEADLINE.as_secs()
        && CONFIRM.longest() < CONFIRM_DEADLINE.as_secs()
        && END.longest() < END_DEADLINE.as_secs()
        && REMOVE.longest() < REMOVE_DEADLINE.as_secs()
);

/// Bounds a change: past its budget, no statement begins.
async fn within<T>(call: &'static str, budget: &Budget, work: impl Future<Output = Effect<T>>) -> Effect<T> {
    timeout(budget.call, work)
        .await
        .unwrap_or_else(|_| Err(EffectError::unknown_message(call, "the database server takes too long")))
}

fn is_denied<T>(result: &Effect<T>) -> bool {
    matches!(result, Err(EffectError::Rejected(Rejection::AccessDenied { .. })))
}
