//! What the journal knows of the jobs that made things.

use std::collections::{BTreeMap, BTreeSet};

use hostplane_domain::ids::{JobId, SiteId};
use hostplane_domain::status::SiteStatus;
use hostplane_infra::clock::Timestamp;
use sqlx::Row;

use super::{Store, Stored, parse, to_json};

/// The job that made something, as far as it matters for what was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// On which site.
    pub site: SiteId,
    /// Where that site is in its life.
    pub status: SiteStatus,
    /// When the last of the site's jobs ended; `None` while one holds it.
    pub at_rest_since: Option<Timestamp>,
}

impl Store {
    /// The origins of things, by the jobs that made them. A job that isn't among them is unknown to this
    /// database.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn origins(&self, jobs: impl IntoIterator<Item = JobId>) -> Stored<BTreeMap<JobId, Origin>> {
        let jobs: BTreeSet<JobId> = jobs.into_iter().collect();
        let rows = sqlx::query(
            "SELECT jobs.id, sites.id AS site, sites.status,
                    (SELECT CASE WHEN COUNT(*) = COUNT(finished_at) THEN MAX(finished_at) END
                     FROM jobs AS others WHERE others.site_id = sites.id) AS at_rest_since
             FROM jobs JOIN sites ON sites.id = jobs.site_id
             WHERE jobs.id IN (SELECT value FROM json_each($1))",
        )
        .bind(to_json(&jobs, "job ids")?)
        .fetch_all(&mut *self.reading().await?)
        .await?;
        let origin = |row: &sqlx::sqlite::SqliteRow| {
            let at_rest_since: Option<i64> = row.try_get("at_rest_since")?;
            let origin = Origin {
                site: parse(row.try_get("site")?, "sites.id")?,
                status: parse(row.try_get("status")?, "sites.status")?,
                at_rest_since: at_rest_since.map(Timestamp),
            };
            Ok((parse(row.try_get("id")?, "jobs.id")?, origin))
        };
        rows.iter().map(origin).collect()
    }
}
