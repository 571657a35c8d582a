//! The jobs that made objects in the world, as far as the journal knows them.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt;
use hostplane_domain::ids::{JobId, SiteId};
use hostplane_domain::name::SiteName;
use hostplane_domain::site_kind::SiteKind;
use hostplane_domain::status::SiteStatus;
use hostplane_infra::clock::Timestamp;

use super::dialect::{Row, id_rows, ids};
use super::row::{get, parsed, time};
use super::{HOLDS_SITE, Store, StoreError, Stored, sql};

/// The job that made an object, as far as it matters for that object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its site.
    pub site: SiteId,
    /// The name of that site: the name in a mark may be a copy of another.
    pub name: SiteName,
    /// The kind of that site.
    pub kind: SiteKind,
    /// The status of that site.
    pub status: SiteStatus,
    /// When the last of the site's jobs ended; `None` while one holds it. Known of sites that are FAILED or DESTROYED.
    pub at_rest_since: Option<Timestamp>,
    /// When the site's last job ended, if that collected and found nothing to remove, or was given up. Known of the
    /// same sites.
    pub collected_in_vain: Option<Timestamp>,
}

/// The origins of objects, by the jobs that made them.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    /// Those that can be read.
    pub of: BTreeMap<JobId, Origin>,
    /// Jobs that the journal knows, of sites whose rows can't be read: their objects are left alone.
    pub unreadable: BTreeSet<JobId>,
}

impl Origins {
    /// True when the journal knows the job, pruned or not. Otherwise the database is stale.
    #[must_use]
    pub fn know(&self, job: JobId) -> bool {
        self.of.contains_key(&job) || self.unreadable.contains(&job)
    }
}

fn read(row: &Row) -> Stored<Origin> {
    Ok(Origin {
        site: parsed(row, "sites.site")?,
        name: parsed(row, "sites.name")?,
        kind: parsed(row, "sites.kind")?,
        status: parsed(row, "sites.status")?,
        at_rest_since: time(row, "jobs.at_rest_since")?,
        collected_in_vain: time(row, "jobs.collected_in_vain")?,
    })
}

impl Store {
    /// The origins of objects, by the jobs that made them. A job that isn't among them is unknown to this database.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn origins(&self, jobs: &BTreeSet<JobId>) -> Stored<Origins> {
        let mut connection = self.reading().await?;
        let made = id_rows("$1");
        // Whatever the history has grown to: each part asks an index for one row.
        let statement = format!(
            "SELECT made.id, COALESCE(jobs.site_id, pruned_jobs.site_id) AS known, sites.id AS site, sites.name,
                    sites.kind, sites.status,
                    CASE WHEN sites.status IN ('FAILED', 'DESTROYED')
                              AND NOT EXISTS (SELECT 1 FROM jobs AS held WHERE held.site_id = sites.id
                                              AND held.{HOLDS_SITE})
                         THEN (SELECT MAX(finished_at) FROM jobs AS ended WHERE ended.site_id = sites.id)
                    END AS at_rest_since,
                    CASE WHEN sites.status IN ('FAILED', 'DESTROYED')
                         THEN (SELECT newest.finished_at FROM jobs AS newest
                               WHERE newest.id = (SELECT MAX(id) FROM jobs AS others WHERE others.site_id = sites.id)
                                     AND newest.operation = 'collect'
                                     AND NOT (newest.state = 'completed' AND EXISTS
                                              (SELECT 1 FROM steps WHERE steps.job_id = newest.id)))
                    END AS collected_in_vain
             FROM {made} AS made
             LEFT JOIN jobs ON jobs.id = made.id
             LEFT JOIN pruned_jobs ON pruned_jobs.job_id = made.id
             LEFT JOIN sites ON sites.id = COALESCE(jobs.site_id, pruned_jobs.site_id)"
        );
        // One after the other, as there may be thousands.
        let mut rows = sql::query(statement).bind(ids(jobs)?).fetch(&mut *connection);
        let mut origins = Origins::default();
        while let Some(row) = rows.try_next().await? {
            if get::<Option<&str>>(&row, "jobs.known")?.is_none() {
                continue;
            }
            let job = parsed(&row, "jobs.id")?;
            match read(&row) {
                Ok(origin) => drop(origins.of.insert(job, origin)),
                Err(StoreError::Corrupt(_)) => drop(origins.unreadable.insert(job)),
                Err(error) => return Err(error),
            }
        }
        Ok(origins)
    }
}
