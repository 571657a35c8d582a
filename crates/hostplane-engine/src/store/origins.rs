//! What the journal knows of the jobs that made things.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt;
use hostplane_domain::ids::{JobId, SiteId};
use hostplane_domain::name::SiteName;
use hostplane_domain::status::SiteStatus;
use hostplane_infra::clock::Timestamp;
use sqlx::Row;

use super::{Store, Stored, parse, to_json};

/// The job that made something, as far as it matters for what was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// On which site.
    pub site: SiteId,
    /// The name of that site: what a mark says of it may be a copy of another.
    pub name: SiteName,
    /// Where that site is in its life.
    pub status: SiteStatus,
    /// When the last of the site's jobs ended; `None` while one holds it.
    pub at_rest_since: Option<Timestamp>,
    /// When the site's last job ended, if that collected and found nothing to remove, or was given up.
    pub collected_in_vain: Option<Timestamp>,
}

impl Store {
    /// The origins of things, by the jobs that made them. A job that isn't among them is unknown to this
    /// database.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn origins(&self, jobs: &BTreeSet<JobId>) -> Stored<BTreeMap<JobId, Origin>> {
        let mut connection = self.reading().await?;
        // One after the other, as there may be thousands.
        let mut rows = sqlx::query(
            "SELECT jobs.id, sites.id AS site, sites.name, sites.status,
                    (SELECT CASE WHEN COUNT(*) = COUNT(finished_at) THEN MAX(finished_at) END
                     FROM jobs AS others WHERE others.site_id = sites.id) AS at_rest_since,
                    (SELECT newest.finished_at FROM jobs AS newest
                     WHERE newest.id = (SELECT MAX(id) FROM jobs AS others WHERE others.site_id = sites.id)
                       AND newest.operation = 'collect'
                       AND NOT (newest.state = 'completed' AND EXISTS
                                (SELECT 1 FROM steps WHERE steps.job_id = newest.id))) AS collected_in_vain
             FROM jobs JOIN sites ON sites.id = jobs.site_id
             WHERE jobs.id IN (SELECT value FROM json_each($1))",
        )
        .bind(to_json(jobs, "job ids")?)
        .fetch(&mut *connection);
        let mut origins = BTreeMap::new();
        while let Some(row) = rows.try_next().await? {
            let time =
                |column| -> Stored<Option<Timestamp>> { Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp)) };
            let origin = Origin {
                site: parse(row.try_get("site")?, "sites.id")?,
                name: parse(row.try_get("name")?, "sites.name")?,
                status: parse(row.try_get("status")?, "sites.status")?,
                at_rest_since: time("at_rest_since")?,
                collected_in_vain: time("collected_in_vain")?,
            };
            origins.insert(parse(row.try_get("id")?, "jobs.id")?, origin);
        }
        Ok(origins)
    }
}
