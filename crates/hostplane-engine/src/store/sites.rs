//! Sites.

use hostplane_domain::desired::DesiredSite;
use hostplane_domain::ids::{JobId, SiteId};
use hostplane_domain::job::OperationName;
use hostplane_domain::mark::SiteRef;
use hostplane_domain::name::{SiteName, SiteNamePrefix};
use hostplane_domain::secret::Keyring;
use hostplane_domain::site_kind::{SiteDetails, SiteKind};
use hostplane_domain::status::{SiteEvent, SiteStatus};
use hostplane_infra::clock::Timestamp;
use serde::Deserialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use super::enqueue::{self, JobInput};
use super::{Store, StoreError, Stored, from_json, parse, to_json, violates};

/// A site, as stored.
#[derive(Debug, Clone)]
pub struct SiteRecord {
    /// Id and name.
    pub site: SiteRef,
    /// Where it is in its life.
    pub status: SiteStatus,
    /// The details that were given when it was created. They tell its kind.
    pub details: SiteDetails,
    /// The version that its passwords begin with.
    pub secret_version: u32,
    /// What was last confirmed outside; `None` is nothing.
    pub spec: Option<DesiredSite>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A site that is asked for.
#[derive(Debug, Clone)]
pub struct NewSite {
    /// Its name.
    pub name: SiteName,
    /// The details that were given when it was created. They tell its kind.
    pub details: SiteDetails,
}

/// Which sites to list.
#[derive(Debug, Clone, Default)]
pub struct SiteFilter {
    /// Only those of this status. Without it, DESTROYED sites are left out.
    pub status: Option<SiteStatus>,
    /// Only those whose name begins like this.
    pub prefix: Option<SiteNamePrefix>,
    /// Only those that come after this one. A name alone would not do: DESTROYED sites share theirs.
    pub after: Option<SiteId>,
    /// At most this many.
    pub limit: u32,
}

const COLUMNS: &str = "id, name, kind, status, details, secret_version, spec, created_at, updated_at";

fn read(row: &SqliteRow) -> Stored<SiteRecord> {
    let spec: Option<String> = row.try_get("spec")?;
    let kind: SiteKind = parse(row.try_get("kind")?, "sites.kind")?;
    let details = SiteDetails::from_json(kind, row.try_get("details")?);
    Ok(SiteRecord {
        site: SiteRef { id: parse(row.try_get("id")?, "sites.id")?, name: parse(row.try_get("name")?, "sites.name")? },
        status: parse(row.try_get("status")?, "sites.status")?,
        details: details.map_err(|_| StoreError::Corrupt("sites.details"))?,
        secret_version: row.try_get("secret_version")?,
        spec: spec.map(|json| from_json(&json, "sites.spec")).transpose()?,
        created_at: Timestamp(row.try_get("created_at")?),
        updated_at: Timestamp(row.try_get("updated_at")?),
    })
}

pub(super) async fn by_id(tx: &mut SqliteConnection, id: SiteId) -> Stored<SiteRecord> {
    let statement = format!("SELECT {COLUMNS} FROM sites WHERE id = $1");
    let row = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(id.to_string())
        .fetch_optional(tx)
        .await?
        .ok_or(StoreError::Missing("site"))?;
    read(&row)
}

/// The only way in which a site's status changes. With `spec`, what is confirmed outside changes too.
pub(super) async fn transition(
    tx: &mut SqliteConnection,
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
    sqlx::query(
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
    /// Adds a site and the job that provisions it.
    ///
    /// # Errors
    /// [`StoreError::NameExists`] when the name isn't free.
    pub async fn add_site(&self, new: &NewSite, now: Timestamp) -> Stored<(SiteRecord, JobId)> {
        let id = SiteId::new(Uuid::now_v7());
        let mut tx = self.writing("add_site").await?;
        let added = sqlx::query(
            "INSERT INTO sites (id, name, kind, status, details, secret_version, created_at, updated_at)
             VALUES ($1, $2, $6, $3, $4, 1, $5, $5)",
        )
        .bind(id.to_string())
        .bind(new.name.as_str())
        .bind(SiteStatus::Created.as_str())
        .bind(new.details.to_json().map_err(|_| StoreError::Corrupt("sites.details"))?)
        .bind(now.0)
        .bind(new.details.kind().as_str())
        .execute(&mut *tx)
        .await;
        match added {
            Err(error) if violates(&error, "sites.name") => return Err(StoreError::NameExists),
            other => other?,
        };
        let job = enqueue::add(&mut tx, id, OperationName::Provision, JobInput::default(), now).await?;
        let site = by_id(&mut tx, id).await?;
        tx.commit().await?;
        Ok((site, job))
    }

    /// The site that holds a name now.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is none.
    pub async fn site(&self, name: &SiteName) -> Stored<SiteRecord> {
        let statement = format!("SELECT {COLUMNS} FROM sites WHERE name = $1 AND status <> 'DESTROYED'");
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(name.as_str())
            .fetch_optional(&mut *self.reading().await?)
            .await?
            .ok_or(StoreError::Missing("site"))?;
        read(&row)
    }

    /// Whether a site has or ever had this name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn knew_site(&self, name: &SiteName) -> Stored<bool> {
        let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM sites WHERE name = $1 LIMIT 1")
            .bind(name.as_str())
            .fetch_optional(&mut *self.reading().await?)
            .await?;
        Ok(found.is_some())
    }

    /// A site by its id, whatever became of it.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is none.
    pub async fn site_by_id(&self, id: SiteId) -> Stored<SiteRecord> {
        let mut connection = self.reading().await?;
        by_id(&mut connection, id).await
    }

    /// What a site was last confirmed to be, if it is ACTIVE and no job holds it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn idle_site(&self, id: SiteId) -> Stored<Option<DesiredSite>> {
        let spec: Option<String> = sqlx::query_scalar(
            "SELECT spec FROM sites WHERE id = $1 AND status = 'ACTIVE' AND NOT EXISTS (
                 SELECT 1 FROM jobs
                 WHERE jobs.site_id = sites.id AND state IN ('pending', 'running', 'needs_operator'))",
        )
        .bind(id.to_string())
        .fetch_optional(&mut *self.reading().await?)
        .await?;
        spec.map(|json| from_json(&json, "sites.spec")).transpose()
    }

    /// Sites in the order of their names.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sites(&self, filter: &SiteFilter) -> Stored<Vec<SiteRecord>> {
        let statement = format!(
            "SELECT {COLUMNS} FROM sites
             WHERE ($1 = '' OR (name, id) > (SELECT name, id FROM sites WHERE id = $1))
                 AND (status = $2 OR ($2 = '' AND status <> 'DESTROYED')) AND substr(name, 1, length($4)) = $4
             ORDER BY name, id LIMIT $3"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(filter.after.map_or_else(String::new, |id| id.to_string()))
            .bind(filter.status.map_or("", SiteStatus::as_str))
            .bind(filter.limit)
            .bind(filter.prefix.as_ref().map_or("", SiteNamePrefix::as_str))
            .fetch_all(&mut *self.reading().await?)
            .await?;
        rows.iter().map(read).collect()
    }

    /// Checks that every generation of the secret that a site or a job needs is there.
    ///
    /// # Errors
    /// [`StoreError::NoGeneration`].
    pub async fn check_generations(&self, ring: &Keyring) -> Stored<()> {
        #[derive(Deserialize)]
        struct Generations {
            #[serde(default = "first")]
            secret_generation: u32,
            #[serde(default = "first")]
            admin_generation: u32,
        }
        const fn first() -> u32 {
            Keyring::FIRST
        }
        let specs: Vec<String> = sqlx::query_scalar(
            "SELECT spec FROM sites WHERE spec IS NOT NULL
             UNION ALL SELECT before_spec FROM jobs WHERE before_spec IS NOT NULL AND finished_at IS NULL
             UNION ALL SELECT after_spec FROM jobs WHERE after_spec IS NOT NULL AND finished_at IS NULL",
        )
        .fetch_all(&mut *self.reading().await?)
        .await?;
        // What can't be read is set aside when its turn comes, and keeps nobody from starting.
        let needed = specs.iter().filter_map(|json| serde_json::from_str::<Generations>(json).ok());
        let mut needed = needed.flat_map(|needed| [needed.secret_generation, needed.admin_generation]);
        needed
            .find(|generation| ring.get(*generation).is_none())
            .map_or(Ok(()), |lacks| Err(StoreError::NoGeneration(lacks)))
    }
}
