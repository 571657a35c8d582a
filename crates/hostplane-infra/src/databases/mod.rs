//! The database server of the sites: a database, a user and a ledger row per tenant.

pub mod claim;
mod gated;
mod mariadb;

use async_trait::async_trait;
use hostplane_domain::ids::InstanceId;
use hostplane_domain::mark::{Mark, SiteRef};
use hostplane_domain::name::SiteName;

pub use gated::GatedDatabases;
pub use mariadb::{BadAddress, Mariadb, MariadbAddress, Passwords};

use crate::clock::Timestamp;
use crate::error::Effect;

/// Privileges that a tenant has on its own database, and on nothing else. Not among them: `EVENT`,
/// `TRIGGER` and routines, which would run unattended, and `GRANT OPTION`.
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

/// A tenant to be made. It holds the password's hash, never the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantSpec {
    /// Written into the ledger. The database and the user are named after `mark.site.name`.
    pub mark: Mark,
    /// For `mysql_native_password`: `*` and 40 hex digits.
    pub password_hash: String,
    /// Connections that the user may hold at once.
    pub max_connections: u16,
}

/// What there is under one tenant name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantFacts {
    /// The name of database and user: `wp_<site>`.
    pub name: String,
    /// The ledger's row, if it is there and legible.
    pub ledger: Option<Mark>,
    /// The ledger says that the site was confirmed: from then on it may hold a customer's work.
    pub confirmed: bool,
    /// The database exists.
    pub database: bool,
    /// The user, if it exists.
    pub user: Option<TenantUser>,
}

/// A database user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantUser {
    /// The stored hash.
    pub password_hash: String,
    /// Connections that it may hold at once; 0 is no limit.
    pub max_connections: u16,
    /// It has exactly [`TENANT_PRIVILEGES`] on exactly its own database.
    pub grants_exact: bool,
}

/// Which tenants to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tenants {
    /// Every name for which there is a ledger row, a database `wp_…` or a user `wp_…`.
    All,
    /// One site's name.
    Of(SiteName),
}

/// The database server. Each method is one effect; those that change are idempotent, so an unknown
/// outcome is met by calling again.
#[async_trait]
pub trait Databases: Send + Sync {
    /// Whether the server answers.
    async fn ping(&self) -> Effect<()>;

    /// What there is. A tenant of which nothing exists is not listed.
    async fn tenants(&self, which: &Tenants) -> Effect<Vec<TenantFacts>>;

    /// Makes the tenant as specified, or mends what is there: ledger row first, then user with its limit,
    /// database and exact grants. `Rejected(NameTaken)` when the database or the user exists without a
    /// ledger row of this instance and site id.
    async fn ensure_tenant(&self, spec: &TenantSpec) -> Effect<()>;

    /// Writes into the ledger that the site was confirmed. It stays written until the tenant is removed.
    /// `Rejected(NameTaken)` unless the ledger's row has this instance and site id.
    async fn confirm_tenant(&self, tenant: &TenantKey) -> Effect<()>;

    /// When WordPress has its next scheduled event, for each confirmed tenant of an instance that has one. What
    /// a tenant stores is its own word: one whose table is missing, locked or of another form is not listed, and
    /// costs the others nothing.
    async fn next_events(&self, instance: InstanceId) -> Effect<Vec<NextEvent>>;

    /// Removes user, database and, last, the ledger row; ends the user's connections. Does nothing
    /// unless the ledger's row has this instance and site id.
    async fn remove_tenant(&self, tenant: &TenantKey) -> Effect<()>;
}

/// When a site's WordPress has something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextEvent {
    /// The site, by the ledger.
    pub site: SiteRef,
    /// When its first event is due; often in the past.
    pub due: Timestamp,
}

/// Whose tenant is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantKey {
    /// The instance.
    pub instance: hostplane_domain::ids::InstanceId,
    /// The site.
    pub site: hostplane_domain::mark::SiteRef,
}
