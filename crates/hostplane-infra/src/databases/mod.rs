//! Database server of the sites: a database, a user and a ledger row per tenant.

mod gated;
mod mariadb;
pub mod ownership;

use std::collections::BTreeMap;

use async_trait::async_trait;
use hostplane_domain::ids::InstanceId;
use hostplane_domain::mark::{Mark, SiteRef};
use hostplane_domain::name::SiteName;

pub use gated::GatedDatabases;
pub use mariadb::{BadAddress, Mariadb, MariadbAddress, Passwords};

use crate::clock::Timestamp;
use crate::error::Effect;

/// Privileges of a tenant on its own database, its only ones. They exclude `EVENT`, `TRIGGER` and routines, which would
/// run unattended, and `GRANT OPTION`.
pub const TENANT_PRIVILEGES: &[&str] = &[
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "CREATE",
    "DROP",
    "REFERENCES",
    "INDEX",
    "ALTER",
    "CREATE TEMPORARY TABLES",
    "LOCK TABLES",
    "CREATE VIEW",
    "SHOW VIEW",
];

/// Privileges that a restricted tenant lacks: those by which its data grows by itself.
pub const GROWING_PRIVILEGES: &[&str] = &["INSERT", "CREATE", "ALTER"];

/// Endings of the names of tables into which a restricted tenant inserts all the same, as its owner could not log in otherwise:
/// WordPress keeps sessions in the one, and what it remembers for a while in the other.
pub const OPEN_TABLES: [&str; 2] = ["usermeta", "options"];

/// Desired tenant, with the password's hash, never the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantSpec {
    /// The mark for the ledger. The database and the user are named after `mark.site.name`.
    pub mark: Mark,
    /// The hash of `mysql_native_password`: `*` and 40 hex digits.
    pub password_hash: String,
    /// Most connections of the user.
    pub max_connections: u16,
    /// True to leave out [`GROWING_PRIVILEGES`], but for inserting into [`OPEN_TABLES`].
    pub restricted: bool,
}

/// Facts about one tenant name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantFacts {
    /// The name of database and user: `wp_<site>`.
    pub name: String,
    /// The mark in the ledger's row, if there is a legible one.
    pub ledger: Option<Mark>,
    /// True once the site was confirmed: from then on the tenant may hold the owner's data.
    pub confirmed: bool,
    /// True if the database exists.
    pub database: bool,
    /// The user, if it exists.
    pub user: Option<TenantUser>,
}

/// A database user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantUser {
    /// The stored hash.
    pub password_hash: String,
    /// Most connections; 0 is no limit.
    pub max_connections: u16,
    /// Its privileges.
    pub grants: Grants,
}

/// The privileges of a database user, compared with those of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grants {
    /// Exactly [`TENANT_PRIVILEGES`], on exactly its own database.
    All,
    /// Exactly those of a restricted tenant.
    Restricted,
    /// More, or less.
    Others,
}

/// Selection of tenants to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tenants {
    /// Every name with a ledger row, a database `wp_…` or a user `wp_…`.
    All,
    /// The tenant of one site's name.
    Of(SiteName),
}

/// The database server. Each method is one effect. Changing methods are idempotent, so an unknown outcome is resolved
/// by calling again.
#[async_trait]
pub trait Databases: Send + Sync {
    /// Pings the server.
    async fn ping(&self) -> Effect<()>;

    /// Lists tenants of which anything exists.
    async fn tenants(&self, which: &Tenants) -> Effect<Vec<TenantFacts>>;

    /// Makes the tenant as specified, or repairs it: ledger row first, then user with its limit, database and exact
    /// grants. `Rejected(NameTaken)` when the database or the user exists without a ledger row of this instance and
    /// site id.
    async fn ensure_tenant(&self, spec: &TenantSpec) -> Effect<()>;

    /// Marks the tenant's site as confirmed in the ledger, until the tenant's removal. `Rejected(NameTaken)` unless the
    /// ledger's row has this instance and site id.
    async fn confirm_tenant(&self, tenant: &TenantKey) -> Effect<()>;

    /// Lists the next wp-cron event of each confirmed tenant of an instance. A tenant whose table is missing, locked or
    /// of another form is left out, and costs the others nothing.
    async fn next_events(&self, instance: InstanceId) -> Effect<Vec<NextEvent>>;

    /// Ends each statement of an instance's tenants that has run for a number of seconds, and lists them. The tenant's
    /// connection stays. Statements of any other user go on, such as the control plane's own: what dumps or loads a
    /// database runs as one of those.
    async fn end_long_statements(&self, instance: InstanceId, limit_s: u32) -> Effect<Vec<EndedStatement>>;

    /// Bytes on disk of each tenant's database, by its name; those of an empty one may be left out. Of the databases
    /// named, space inside that further rows get first doesn't count, at the cost of opening each of their tables.
    async fn sizes(&self, exactly: &[String]) -> Effect<BTreeMap<String, u64>>;

    /// Removes user, database and, last, the ledger row, and ends the user's connections. Does nothing unless the
    /// ledger's row has this instance and site id.
    async fn remove_tenant(&self, tenant: &TenantKey) -> Effect<()>;
}

/// Next wp-cron event of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextEvent {
    /// The site, from the ledger.
    pub site: SiteRef,
    /// The time at which the event is due, often in the past.
    pub due: Timestamp,
}

/// Statement that was ended. Its text is left out, as it may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedStatement {
    /// The site, from the ledger.
    pub site: SiteRef,
    /// The time for which it ran, in seconds.
    pub ran_s: u32,
    /// Its first word, one of SQL's own, or `another`.
    pub kind: &'static str,
}

/// Instance and site of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantKey {
    /// The instance.
    pub instance: InstanceId,
    /// The site.
    pub site: SiteRef,
}
