//! Creation of sites.

use hostplane_domain::ids::{JobId, SiteId};
use hostplane_domain::job::OperationName;
use hostplane_domain::status::SiteStatus;
use hostplane_infra::clock::Timestamp;
use uuid::Uuid;

use super::dialect::violates;
use super::enqueue::{JobInput, add};
use super::sites::{NewSite, SiteRecord, by_id};
use super::{Store, StoreError, Stored, sql};

impl Store {
    /// Adds a site and the job that provisions it.
    ///
    /// # Errors
    /// [`StoreError::NameExists`] when the name isn't free.
    pub async fn add_site(&self, new: &NewSite, now: Timestamp) -> Stored<(SiteRecord, JobId)> {
        let id = SiteId::new(Uuid::now_v7());
        let mut tx = self.writing("add_site").await?;
        let added = sql::query(
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
        let job = add(&mut tx, id, OperationName::Provision, JobInput::default(), now).await?;
        let site = by_id(&mut tx, id).await?;
        tx.commit().await?;
        Ok((site, job))
    }
}
