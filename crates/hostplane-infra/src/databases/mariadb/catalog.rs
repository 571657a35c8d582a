//! Databases, users, privileges and ledger rows under tenants' names, read in a constant number of queries.

use std::collections::{BTreeMap, BTreeSet};

use hostplane_domain::naming::LEDGER_DATABASE;
use serde::Deserialize;

use super::ledger::{self, Entry};
use super::quote;
use super::session::{Session, column};
use crate::databases::{GROWING_PRIVILEGES, Grants, OPEN_TABLES, TENANT_PRIVILEGES, TenantFacts, TenantUser};
use crate::error::Effect;

/// Facts about the names that were read.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    ledger: BTreeMap<String, Entry>,
    databases: BTreeSet<String>,
    /// Accounts by name, then by host. A role is an account with an empty host.
    accounts: BTreeMap<String, BTreeMap<String, Account>>,
    /// Privileges by `'name'@'host'`.
    privileges: BTreeMap<String, Vec<Privilege>>,
}

/// An account's row in `mysql.global_priv`, in part.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
struct Account {
    plugin: String,
    authentication_string: String,
    max_user_connections: i64,
    #[serde(rename = "account_locked")]
    locked: bool,
    password_last_changed: i64,
    auth_or: Option<serde_json::Value>,
    ssl_type: i64,
    max_questions: i64,
    max_updates: i64,
    max_connections: i64,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            plugin: String::new(),
            authentication_string: String::new(),
            max_user_connections: 0,
            locked: false,
            // The server stores zero for an expired password.
            password_last_changed: 1,
            auth_or: None,
            ssl_type: 0,
            max_questions: 0,
            max_updates: 0,
            max_connections: 0,
        }
    }
}

impl Account {
    /// The hash of an account that can log in; empty for any other account, so that it never equals the wanted hash.
    fn hash(&self) -> String {
        let open = self.plugin == "mysql_native_password"
            && !self.locked
            && self.password_last_changed != 0
            && self.auth_or.is_none()
            && [self.ssl_type, self.max_questions, self.max_updates, self.max_connections].iter().all(|&n| n == 0);
        if open { self.authentication_string.clone() } else { String::new() }
    }
}

/// Level of a privilege.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// On databases whose names match `object`.
    Schema,
    /// On the table `object`: `database.table`.
    Table,
    /// On everything, or on one column or routine.
    Elsewhere,
    /// Membership of the role `object`.
    Role,
    /// The right to act as the account `object`, already quoted.
    Proxy,
}

/// Privilege of an account.
#[derive(Debug, Clone)]
pub(super) struct Privilege {
    pub(super) level: Level,
    pub(super) object: String,
    pub(super) name: String,
    pub(super) grantable: bool,
}

impl Privilege {
    /// True for a privilege that a tenant has by right.
    pub(super) fn is_wanted(&self, tenant: &str, restricted: bool) -> bool {
        let is_right = match self.level {
            Level::Schema => self.object == quote::pattern(tenant) && wanted(restricted).any(|name| name == self.name),
            Level::Table => restricted && self.name == "INSERT" && self.table_of(tenant).is_some_and(is_open),
            Level::Elsewhere | Level::Role | Level::Proxy => false,
        };
        is_right && !self.grantable
    }

    /// The table that it is on, if that is one of the tenant's own.
    pub(super) fn table_of(&self, tenant: &str) -> Option<&str> {
        (self.level == Level::Table).then(|| self.object.strip_prefix(tenant)?.strip_prefix('.')).flatten()
    }
}

/// Privileges of a tenant on its own database.
pub(super) fn wanted(restricted: bool) -> impl Iterator<Item = &'static str> {
    TENANT_PRIVILEGES.iter().copied().filter(move |name| !(restricted && GROWING_PRIVILEGES.contains(name)))
}

/// True for a table into which a restricted tenant may insert.
pub(super) fn is_open(table: &str) -> bool {
    OPEN_TABLES.iter().any(|ending| table.ends_with(ending))
}

/// Reads the facts about one tenant, or about all.
pub(super) async fn read(session: &mut Session<'_>, call: &'static str, tenant: Option<&str>) -> Effect<Catalog> {
    let mut catalog = Catalog { ledger: ledger::read(session, call, tenant).await?, ..Catalog::default() };
    // SQL comparisons only narrow, as some ignore case; `concerns` is exact.
    let names = match tenant {
        Some(tenant) => format!("= {}", quote::text(tenant)),
        None => "LIKE 'wp|_%' ESCAPE '|'".to_owned(),
    };
    let concerns = |name: &str| match tenant {
        Some(tenant) => name == tenant,
        None => name.starts_with("wp_") && name != LEDGER_DATABASE,
    };

    let sql = format!("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME {names}");
    for row in &session.rows("listing databases", sql).await? {
        let name = column(call, row, 0)?;
        if concerns(&name) {
            catalog.databases.insert(name);
        }
    }

    let sql = format!("SELECT User, Host, Priv FROM mysql.global_priv WHERE User {names}");
    for row in &session.rows("listing users", sql).await? {
        let name = column(call, row, 0)?;
        if concerns(&name) {
            let account = serde_json::from_str(&column(call, row, 2)?).unwrap_or_default();
            catalog.accounts.entry(name).or_default().insert(column(call, row, 1)?, account);
        }
    }

    let grantees = match tenant {
        Some(tenant) => format!("= {}", quote::text(&grantee(tenant))),
        None => "LIKE '''wp|_%' ESCAPE '|'".to_owned(),
    };
    for row in &session.rows("listing privileges", privileges(&grantees)).await? {
        let level = match column(call, row, 1)?.as_str() {
            "schema" => Level::Schema,
            "table" => Level::Table,
            _ => Level::Elsewhere,
        };
        let privilege = Privilege {
            level,
            object: column(call, row, 2)?,
            name: column(call, row, 3)?,
            grantable: column(call, row, 4)? != "NO",
        };
        catalog.privileges.entry(column(call, row, 0)?).or_default().push(privilege);
    }

    for row in &session.rows("listing roles and routines", memberships(&names)).await? {
        let level = match column(call, row, 2)?.as_str() {
            "role" => Level::Role,
            "proxy" => Level::Proxy,
            _ => Level::Elsewhere,
        };
        let (user, host) = (column(call, row, 0)?, column(call, row, 1)?);
        let privilege = Privilege { level, object: column(call, row, 3)?, name: String::new(), grantable: false };
        catalog.privileges.entry(format!("'{user}'@'{host}'")).or_default().push(privilege);
    }
    Ok(catalog)
}

/// Query for the privileges in the server's memory, which are those that it enforces.
fn privileges(grantees: &str) -> String {
    format!(
        "SELECT GRANTEE, 'schema', TABLE_SCHEMA, PRIVILEGE_TYPE, IS_GRANTABLE \
         FROM information_schema.SCHEMA_PRIVILEGES WHERE GRANTEE {grantees} \
         UNION ALL SELECT GRANTEE, 'global', '*', PRIVILEGE_TYPE, IS_GRANTABLE \
         FROM information_schema.USER_PRIVILEGES \
         WHERE GRANTEE {grantees} AND (PRIVILEGE_TYPE <> 'USAGE' OR IS_GRANTABLE <> 'NO') \
         UNION ALL SELECT GRANTEE, 'table', CONCAT(TABLE_SCHEMA, '.', TABLE_NAME), PRIVILEGE_TYPE, IS_GRANTABLE \
         FROM information_schema.TABLE_PRIVILEGES WHERE GRANTEE {grantees} \
         UNION ALL SELECT GRANTEE, 'column', CONCAT(TABLE_SCHEMA, '.', TABLE_NAME), PRIVILEGE_TYPE, IS_GRANTABLE \
         FROM information_schema.COLUMN_PRIVILEGES WHERE GRANTEE {grantees}"
    )
}

/// Query for roles, routines and proxies, which `information_schema` doesn't show of other accounts.
fn memberships(names: &str) -> String {
    format!(
        "SELECT User, Host, 'role', Role FROM mysql.roles_mapping WHERE User {names} \
         UNION ALL SELECT User, Host, 'routine', Routine_name FROM mysql.procs_priv WHERE User {names} \
         UNION ALL SELECT User, Host, 'proxy', \
         CONCAT('`', REPLACE(Proxied_user, '`', '``'), '`@`', REPLACE(Proxied_host, '`', '``'), '`') \
         FROM mysql.proxies_priv WHERE User {names}"
    )
}

fn grantee(tenant: &str) -> String {
    format!("'{tenant}'@'%'")
}

impl Catalog {
    /// The tenant's row in the ledger.
    pub(super) fn entry(&self, tenant: &str) -> Option<&Entry> {
        self.ledger.get(tenant)
    }

    /// True if the tenant's database exists.
    pub(super) fn database(&self, tenant: &str) -> bool {
        self.databases.contains(tenant)
    }

    /// True if the tenant's own account exists.
    pub(super) fn user(&self, tenant: &str) -> bool {
        self.accounts.get(tenant).is_some_and(|hosts| hosts.contains_key("%"))
    }

    /// A host other than `%` for which the name has an account. That account is foreign, and the server prefers it
    /// where its host matches.
    pub(super) fn other_host(&self, tenant: &str) -> Option<&str> {
        self.accounts.get(tenant)?.keys().map(String::as_str).find(|&host| host != "%")
    }

    /// Privileges of the tenant's account.
    pub(super) fn privileges(&self, tenant: &str) -> &[Privilege] {
        self.privileges.get(&grantee(tenant)).map_or(&[], Vec::as_slice)
    }

    /// Facts about one name; `None` if nothing exists.
    pub(super) fn facts(&self, tenant: &str) -> Option<TenantFacts> {
        let hosts = self.accounts.get(tenant);
        let user = hosts.and_then(|hosts| hosts.get("%").or_else(|| hosts.values().next())).map(|account| TenantUser {
            password_hash: account.hash(),
            max_connections: u16::try_from(account.max_user_connections).unwrap_or(u16::MAX),
            grants: self.grants(tenant),
        });
        let entry = self.entry(tenant);
        let database = self.database(tenant);
        if entry.is_none() && user.is_none() && !database {
            return None;
        }
        Some(TenantFacts {
            name: tenant.to_owned(),
            ledger: entry.and_then(|entry| entry.mark.clone()),
            confirmed: entry.is_some_and(|entry| entry.confirmed),
            database,
            user,
        })
    }

    fn grants(&self, tenant: &str) -> Grants {
        let privileges = self.privileges(tenant);
        let on_database = privileges.iter().filter(|privilege| privilege.level == Level::Schema).count();
        let are_exact = |restricted: bool| {
            on_database == wanted(restricted).count()
                && privileges.iter().all(|privilege| privilege.is_wanted(tenant, restricted))
                && self.other_host(tenant).is_none()
        };
        match (are_exact(false), are_exact(true)) {
            (true, _) => Grants::All,
            (false, true) => Grants::Restricted,
            (false, false) => Grants::Others,
        }
    }

    /// Facts about every name in the catalog.
    pub(super) fn all_facts(&self) -> Vec<TenantFacts> {
        let names: BTreeSet<&String> = self.ledger.keys().chain(&self.databases).chain(self.accounts.keys()).collect();
        names.into_iter().filter_map(|name| self.facts(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "wp_hello";

    fn catalog(privileges: Vec<Privilege>) -> Catalog {
        let account = Account { plugin: "mysql_native_password".into(), ..Account::default() };
        Catalog {
            accounts: BTreeMap::from([(NAME.to_owned(), BTreeMap::from([("%".to_owned(), account)]))]),
            privileges: BTreeMap::from([(grantee(NAME), privileges)]),
            ..Catalog::default()
        }
    }

    fn granted(object: &str, privilege: &str) -> Privilege {
        Privilege { level: Level::Schema, object: object.into(), name: privilege.into(), grantable: false }
    }

    fn grants(catalog: &Catalog) -> Grants {
        catalog.facts(NAME).unwrap().user.unwrap().grants
    }

    fn exact(catalog: &Catalog) -> bool {
        grants(catalog) == Grants::All
    }

    #[test]
    fn a_restricted_tenant_inserts_only_into_open_tables() {
        let on_table = |table: &str| Privilege { level: Level::Table, ..granted(table, "INSERT") };
        let with = |more: &[Privilege]| {
            let own = wanted(true).map(|name| granted("wp\\_hello", name));
            grants(&catalog(own.chain(more.iter().cloned()).collect()))
        };
        assert_eq!(with(&[]), Grants::Restricted);
        assert_eq!(with(&[on_table("wp_hello.wp_usermeta"), on_table("wp_hello.x_2_options")]), Grants::Restricted);
        for other in [
            on_table("wp_hello.wp_posts"),
            on_table("wp_other.wp_options"),
            Privilege { grantable: true, ..on_table("wp_hello.wp_options") },
            Privilege { name: "ALTER".into(), ..on_table("wp_hello.wp_options") },
            granted("wp\\_hello", "INSERT"),
        ] {
            assert_eq!(with(std::slice::from_ref(&other)), Grants::Others, "{other:?}");
        }
        let mut all: Vec<_> = TENANT_PRIVILEGES.iter().map(|name| granted("wp\\_hello", name)).collect();
        all.push(on_table("wp_hello.wp_options"));
        assert_eq!(grants(&catalog(all)), Grants::Others, "what is left of a restriction is too much");
    }

    #[test]
    fn a_missing_or_extra_grant_is_not_exact() {
        let all = || -> Vec<_> { TENANT_PRIVILEGES.iter().map(|name| granted("wp\\_hello", name)).collect() };
        assert!(exact(&catalog(all())));
        assert!(!exact(&catalog(all().split_off(1))), "one is missing");
        let unescaped = TENANT_PRIVILEGES.iter().map(|name| granted("wp_hello", name)).collect();
        assert!(!exact(&catalog(unescaped)), "_ matches any character");
        for extra in [
            granted("wp\\_hello", "EVENT"),
            granted("wp\\_other", "SELECT"),
            Privilege { level: Level::Elsewhere, ..granted("*", "PROCESS") },
            Privilege { level: Level::Role, ..granted("dba", "") },
        ] {
            let mut privileges = all();
            privileges.push(extra);
            assert!(!exact(&catalog(privileges)));
        }
        let mut grantable = all();
        grantable[0].grantable = true;
        assert!(!exact(&catalog(grantable)));
        let mut shadowed = catalog(all());
        let elsewhere = ("10.%".to_owned(), Account::default());
        shadowed.accounts.get_mut(NAME).unwrap().extend([elsewhere]);
        assert!(!exact(&shadowed), "another account of the name is preferred where its host matches");
    }

    #[test]
    fn an_unusable_account_shows_no_hash() {
        let row = |extra: &str| {
            let json = format!(r#"{{"plugin":"mysql_native_password","authentication_string":"*AB"{extra}}}"#);
            serde_json::from_str::<Account>(&json).unwrap().hash()
        };
        assert_eq!(row(""), "*AB");
        assert_eq!(row(r#","account_locked":false,"password_last_changed":5,"access":0"#), "*AB");
        for obstacle in [
            r#","account_locked":true"#,
            r#","password_last_changed":0"#,
            r#","auth_or":[{}]"#,
            r#","ssl_type":1"#,
            r#","max_questions":1"#,
        ] {
            assert_eq!(row(obstacle), "", "{obstacle}");
        }
    }
}
