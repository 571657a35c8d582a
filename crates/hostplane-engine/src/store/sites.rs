//! Sites.

use hostplane_domain::desired::DesiredSite;
use hostplane_domain::ids::{HostId, SiteId};
use hostplane_domain::mark::SiteRef;
use hostplane_domain::name::SiteName;
use hostplane_domain::site_kind::{SiteDetails, SiteKind};
use hostplane_domain::status::{SiteEvent, SiteStatus};
use hostplane_infra::clock::Timestamp;

use super::dialect::{Connection, Row};
use super::row::{from_json, get, json, parsed, to_json};
use super::{HOLDS_SITE, Store, StoreError, Stored, sql};

/// A site, as stored.
#[derive(Debug, Clone)]
pub struct SiteRecord {
    /// Id and name.
    pub site: SiteRef,
    /// Its place in the life of a site.
    pub status: SiteStatus,
    /// The details given at its creation, of its kind.
    pub details: SiteDetails,
    /// The version that its passwords begin with.
    pub secret_version: u32,
    /// The state last confirmed outside; `None` is nothing.
    pub spec: Option<DesiredSite>,
    /// When its creation was requested.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl SiteRecord {
    /// Its host; the only one there is for a site that was never placed.
    pub(crate) fn host(&self) -> HostId {
        self.spec.as_ref().map_or(HostId::LOCAL, |spec| spec.host)
    }
}

/// A site to be created.
#[derive(Debug, Clone)]
pub struct NewSite {
    /// Its name.
    pub name: SiteName,
    /// The details given at its creation, of its kind.
    pub details: SiteDetails,
}

/// The columns of a site; with the table's name, as a join with jobs has some of them twice.
pub(super) const COLUMNS: &str = "sites.id, sites.name, sites.kind, sites.status, sites.details, sites.secret_version, sites.spec, \
    sites.created_at, sites.updated_at";

pub(super) fn read(row: &Row) -> Stored<SiteRecord> {
    let kind: SiteKind = parsed(row, "sites.kind")?;
    let details = SiteDetails::from_json(kind, get(row, "sites.details")?);
    Ok(SiteRecord {
        site: SiteRef { id: parsed(row, "sites.id")?, name: parsed(row, "sites.name")? },
        status: parsed(row, "sites.status")?,
        details: details.map_err(|_| StoreError::Corrupt("sites.details"))?,
        secret_version: get(row, "sites.secret_version")?,
        spec: json(row, "sites.spec")?,
        created_at: Timestamp(get(row, "sites.created_at")?),
        updated_at: Timestamp(get(row, "sites.updated_at")?),
    })
}

pub(super) async fn by_id(tx: &mut Connection, id: SiteId) -> Stored<SiteRecord> {
    let row = sql::query(format!("SELECT {COLUMNS} FROM sites WHERE id = $1"))
        .bind(id.to_string())
        .fetch_optional(tx)
        .await?
        .ok_or(StoreError::Missing("site"))?;
    read(&row)
}

/// The only way in which a site's status changes. With `spec`, its confirmed state changes too.
pub(super) async fn transition(
    tx: &mut Connection,
    id: SiteId,
    event: SiteEvent,
    spec: Option<&Option<DesiredSite>>,
    now: Timestamp,
) -> Stored<SiteStatus> {
    let site = by_id(tx, id).await?;
    let next = site.status.on(event)?;
    let spec = spec.unwrap_or(&site.spec);
    if next == site.status && *spec == site.spec {
        return Ok(next);
    }
    let spec = spec.as_ref().map(|spec| to_json(spec, "sites.spec")).transpose()?;
    sql::query(
        "UPDATE sites SET previous_status = CASE WHEN status = $2 THEN previous_status ELSE status END,
                          status = $2, spec = $3, updated_at = $4
         WHERE id = $1 AND status = $5",
    )
    .bind(id.to_string())
    .bind(next.as_str())
    .bind(spec)
    .bind(now.0)
    .bind(site.status.as_str())
    .execute(tx)
    .await?;
    Ok(next)
}

impl Store {
    /// The site that holds a name now.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is none.
    pub async fn site(&self, name: &SiteName) -> Stored<SiteRecord> {
        let row = sql::query(format!("SELECT {COLUMNS} FROM sites WHERE name = $1 AND status <> 'DESTROYED'"))
            .bind(name.as_str())
            .fetch_optional(&mut *self.reading().await?)
            .await?
            .ok_or(StoreError::Missing("site"))?;
        read(&row)
    }

    /// True when a site has or ever had this name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn knew_site(&self, name: &SiteName) -> Stored<bool> {
        let found: Option<i64> = sql::scalar("SELECT 1 FROM sites WHERE name = $1 LIMIT 1")
            .bind(name.as_str())
            .fetch_optional(&mut *self.reading().await?)
            .await?;
        Ok(found.is_some())
    }

    /// A site by its id, DESTROYED or not.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is none.
    pub async fn site_by_id(&self, id: SiteId) -> Stored<SiteRecord> {
        let mut connection = self.reading().await?;
        by_id(&mut connection, id).await
    }

    /// The last confirmed state of a site, if it is ACTIVE and no job holds it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn idle_site(&self, id: SiteId) -> Stored<Option<DesiredSite>> {
        let spec: Option<String> = sql::scalar(format!(
            "SELECT spec FROM sites WHERE id = $1 AND status = 'ACTIVE'
             AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.site_id = sites.id AND {HOLDS_SITE})"
        ))
        .bind(id.to_string())
        .fetch_optional(&mut *self.reading().await?)
        .await?;
        spec.map(|json| from_json(&json, "sites.spec")).transpose()
    }
}
