//! Fake of the database server.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use hostplane_domain::ids::{InstanceId, SiteId};
use hostplane_domain::mark::Mark;
use hostplane_domain::naming;
use serde::{Deserialize, Serialize};

use super::FakeWorld;
use super::injected::Parts;
use hostplane_infra::clock::{Clock, Timestamp};
use hostplane_infra::databases::{
    Databases, EndedStatement, Grants, NextEvent, TenantFacts, TenantKey, TenantSpec, TenantUser, Tenants, ownership,
};
use hostplane_infra::error::{Dependency, Effect, Rejection};

/// State of the server. Tests plant foreign objects in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabasesState {
    /// Databases by name; those of the server itself and the ledger's aren't among them.
    pub databases: BTreeMap<String, DatabaseState>,
    /// Users `…@%` by name.
    pub users: BTreeMap<String, UserState>,
    /// The ledger's rows by tenant.
    pub ledger: BTreeMap<String, LedgerRow>,
    /// Statements that don't end by themselves.
    #[serde(default)]
    pub statements: Vec<StatementState>,
    /// The server refuses the control plane's own credentials.
    pub denies: bool,
}

/// A statement under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementState {
    /// The user who runs it.
    pub user: String,
    /// Time of its beginning.
    pub since: Timestamp,
}

/// A row of the ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// Owner of the tenant; `None` is a row that can't be read.
    pub mark: Option<Mark>,
    /// The site was confirmed.
    pub confirmed: bool,
}

/// A database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseState {
    /// The site whose WordPress is installed in it, by the marker that is written last.
    pub installed: Option<SiteId>,
    /// Time of its WordPress's first scheduled event.
    pub next_event: Option<Timestamp>,
    /// Its size on disk, and the part of it that is free inside, in bytes.
    #[serde(default)]
    pub size: (u64, u64),
    /// Anything else in it: table names and contents, for tests that check that they stay.
    pub tables: BTreeMap<String, String>,
}

/// A user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserState {
    /// The stored hash.
    pub password_hash: String,
    /// Connections at once; 0 is no limit.
    pub max_connections: u16,
    /// It has all of a tenant's privileges on its own database, and no other but `grants_more`.
    pub grants_exact: bool,
    /// It has other privileges besides.
    pub grants_more: bool,
    /// It lacks those by which its data grows, and `grants_exact` says so of the others.
    #[serde(default)]
    pub restricted: bool,
}

impl DatabasesState {
    fn log_in(&self) -> Effect<()> {
        let message = "error 1045 while connecting".to_owned();
        if self.denies { Err(Rejection::AccessDenied { by: Dependency::Mariadb, message }.into()) } else { Ok(()) }
    }

    fn facts(&self, tenant: &str) -> Option<TenantFacts> {
        let entry = self.ledger.get(tenant);
        let user = self.users.get(tenant).map(|user| TenantUser {
            password_hash: user.password_hash.clone(),
            max_connections: user.max_connections,
            grants: match user {
                UserState { grants_exact: false, .. } | UserState { grants_more: true, .. } => Grants::Others,
                UserState { restricted: true, .. } => Grants::Restricted,
                _ => Grants::All,
            },
        });
        let database = self.databases.contains_key(tenant);
        if entry.is_none() && user.is_none() && !database {
            return None;
        }
        Some(TenantFacts {
            name: tenant.to_owned(),
            ledger: entry.and_then(|row| row.mark.clone()),
            confirmed: entry.is_some_and(|row| row.confirmed),
            database,
            user,
        })
    }

    fn names(&self) -> BTreeSet<&String> {
        let named = self.databases.keys().chain(self.users.keys()).filter(|name| name.starts_with("wp_"));
        named.chain(self.ledger.keys()).collect()
    }

    fn ensure(&mut self, spec: &TenantSpec, parts: &mut Parts) -> Effect<()> {
        let tenant = naming::database(&spec.mark.site.name);
        // As the server stores it: in capitals.
        let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
        let is_hash = |digits: &str| digits.len() == 40 && digits.bytes().all(is_digit);
        if !spec.password_hash.strip_prefix('*').is_some_and(is_hash) {
            let message = "the password's hash is not one of mysql_native_password".to_owned();
            return Err(Rejection::Invalid { by: Dependency::Mariadb, message }.into());
        }
        match self.ledger.get(&tenant) {
            Some(entry) => {
                ownership::own(&tenant, entry.mark.as_ref(), spec.mark.instance, spec.mark.site.id)?;
            }
            None if self.databases.contains_key(&tenant) => return Err(ownership::foreign("database", &tenant)),
            None if self.users.contains_key(&tenant) => return Err(ownership::foreign("database user", &tenant)),
            None => {}
        }
        // In the order of the real adapter.
        parts.next()?;
        self.ledger.entry(tenant.clone()).or_default().mark = Some(spec.mark.clone());
        parts.next()?;
        let user = self.users.entry(tenant.clone()).or_default();
        user.password_hash.clone_from(&spec.password_hash);
        user.max_connections = spec.max_connections;
        parts.next()?;
        self.databases.entry(tenant.clone()).or_default();
        parts.next()?;
        let user = self.users.entry(tenant).or_default();
        (user.grants_exact, user.grants_more, user.restricted) = (true, false, spec.restricted);
        Ok(())
    }

    fn confirm(&mut self, key: &TenantKey) -> Effect<()> {
        let tenant = naming::database(&key.site.name);
        let row = self.ledger.get_mut(&tenant);
        ownership::own(&tenant, row.as_ref().and_then(|row| row.mark.as_ref()), key.instance, key.site.id)?;
        if let Some(row) = row {
            row.confirmed = true;
        }
        Ok(())
    }

    fn remove(&mut self, key: &TenantKey, parts: &mut Parts) -> Effect<()> {
        let tenant = naming::database(&key.site.name);
        let entry = self.ledger.get(&tenant).and_then(|row| row.mark.as_ref());
        if ownership::own(&tenant, entry, key.instance, key.site.id).is_ok() {
            parts.next()?;
            self.users.remove(&tenant);
            parts.next()?;
            self.databases.remove(&tenant);
            parts.next()?;
            self.ledger.remove(&tenant);
        }
        Ok(())
    }
}

#[async_trait]
impl Databases for FakeWorld {
    async fn ping(&self) -> Effect<()> {
        self.state().databases.log_in()
    }

    async fn tenants(&self, which: &Tenants) -> Effect<Vec<TenantFacts>> {
        let state = &self.view().databases;
        state.log_in()?;
        Ok(match which {
            Tenants::All => state.names().into_iter().filter_map(|name| state.facts(name)).collect(),
            Tenants::Of(site) => state.facts(&naming::database(site)).into_iter().collect(),
        })
    }

    async fn ensure_tenant(&self, spec: &TenantSpec) -> Effect<()> {
        let databases = &mut self.state().databases;
        let mut parts = self.parts("mariadb.ensure_tenant");
        databases.log_in()?;
        databases.ensure(spec, &mut parts)
    }

    async fn confirm_tenant(&self, tenant: &TenantKey) -> Effect<()> {
        let databases = &mut self.state().databases;
        databases.log_in()?;
        databases.confirm(tenant)
    }

    async fn next_events(&self, instance: InstanceId) -> Effect<Vec<NextEvent>> {
        let state = &self.view().databases;
        state.log_in()?;
        let confirmed = state.ledger.iter().filter(|(_, row)| row.confirmed);
        let ours = confirmed.filter_map(|(tenant, row)| Some((tenant, row.mark.as_ref()?)));
        let events = ours.filter(|(_, mark)| mark.instance == instance).filter_map(|(tenant, mark)| {
            let due = state.databases.get(tenant)?.next_event?;
            Some(NextEvent { site: mark.site.clone(), due })
        });
        Ok(events.collect())
    }

    async fn end_long_statements(&self, instance: InstanceId, limit_s: u32) -> Effect<Vec<EndedStatement>> {
        let now = self.clock.now();
        let databases = &mut self.state().databases;
        databases.log_in()?;
        let DatabasesState { ledger, statements, .. } = databases;
        let mut ended = Vec::new();
        statements.retain(|statement| {
            let ran_s = u32::try_from((now.0 - statement.since.0) / 1_000_000).unwrap_or(u32::MAX);
            let mark = ledger.get(&statement.user).and_then(|row| row.mark.as_ref());
            let mark = mark.filter(|mark| mark.instance == instance && ran_s >= limit_s);
            ended.extend(mark.map(|mark| EndedStatement { site: mark.site.clone(), ran_s, kind: "SELECT" }));
            mark.is_none()
        });
        Ok(ended)
    }

    async fn sizes(&self, exactly: &[String]) -> Effect<BTreeMap<String, u64>> {
        let state = &self.view().databases;
        state.log_in()?;
        let size = |(name, database): (&String, &DatabaseState)| {
            let (size, free) = database.size;
            (name.clone(), size - if exactly.contains(name) { free } else { 0 })
        };
        Ok(state.databases.iter().map(size).collect())
    }

    async fn remove_tenant(&self, tenant: &TenantKey) -> Effect<()> {
        let databases = &mut self.state().databases;
        let mut parts = self.parts("mariadb.remove_tenant");
        databases.log_in()?;
        databases.remove(tenant, &mut parts)
    }
}
