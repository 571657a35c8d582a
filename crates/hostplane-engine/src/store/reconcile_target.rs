//! What the reconciler compares the world with.

use std::collections::BTreeSet;

use futures_util::TryStreamExt;
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::drift::Drift;
use hostplane_domain::ids::{JobId, SiteId};
use hostplane_domain::job::JobState;
use hostplane_infra::clock::Timestamp;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Store, Stored, from_json, parse};

/// A site in service.
#[derive(Debug, Clone)]
pub struct ReconcileTarget {
    /// What it was last confirmed to be.
    pub want: DesiredSite,
    /// The job that holds it, and where that is in its life.
    pub held_by: Option<(JobId, JobState)>,
}

/// A repair that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// When it ended.
    pub at: Timestamp,
    /// What it was ordered for.
    pub why: Vec<Drift>,
    /// It found something to mend.
    pub has_worked: bool,
}

const WATCHED: &str = "SELECT sites.name, sites.spec, jobs.id AS job, jobs.state FROM sites LEFT JOIN jobs \
    ON jobs.site_id = sites.id AND jobs.state IN ('pending', 'running', 'needs_operator') WHERE sites.status = 'ACTIVE'";

fn read(row: &SqliteRow) -> Stored<ReconcileTarget> {
    let job: Option<String> = row.try_get("job")?;
    let held_by = match job {
        None => None,
        Some(job) => Some((parse(&job, "jobs.id")?, parse(row.try_get("state")?, "jobs.state")?)),
    };
    Ok(ReconcileTarget { want: from_json(row.try_get("spec")?, "sites.spec")?, held_by })
}

impl Store {
    /// Every site in service, by name. One that can't be read is an error of its own, and hides no other.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reconcile_targets(&self) -> Stored<Vec<(String, Stored<ReconcileTarget>)>> {
        let mut connection = self.reading().await?;
        // One after the other: there may be thousands, and all their texts at once would be much.
        let mut rows = sqlx::query(WATCHED).fetch(&mut *connection);
        let mut watched = Vec::new();
        while let Some(row) = rows.try_next().await? {
            watched.push((row.try_get("name")?, read(&row)));
        }
        Ok(watched)
    }

    /// One site, if it is in service.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reconcile_target(&self, site: SiteId) -> Stored<Option<ReconcileTarget>> {
        let statement = format!("{WATCHED} AND sites.id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(site.to_string())
            .fetch_optional(&mut *self.reading().await?)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// The sites that a job works on or is about to.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn busy_sites(&self) -> Stored<BTreeSet<SiteId>> {
        let ids: Vec<String> = sqlx::query_scalar("SELECT site_id FROM jobs WHERE state IN ('pending', 'running')")
            .fetch_all(&mut *self.reading().await?)
            .await?;
        ids.iter().map(|id| parse(id, "jobs.site_id")).collect()
    }

    /// The repairs of a site that have completed since, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn repairs(&self, site: SiteId, since: Timestamp) -> Stored<Vec<Repaired>> {
        let rows = sqlx::query(
            "SELECT finished_at, why, EXISTS (SELECT 1 FROM steps WHERE steps.job_id = jobs.id) AS has_worked
             FROM jobs
             WHERE site_id = $1 AND operation = 'repair' AND state = 'completed' AND finished_at >= $2
             ORDER BY finished_at",
        )
        .bind(site.to_string())
        .bind(since.0)
        .fetch_all(&mut *self.reading().await?)
        .await?;
        let repaired = |row: &SqliteRow| {
            let why: Option<String> = row.try_get("why")?;
            let why = why.map_or(Ok(Vec::new()), |json| from_json(&json, "jobs.why"))?;
            let has_worked = row.try_get::<i64, _>("has_worked")? != 0;
            Ok(Repaired { at: Timestamp(row.try_get("finished_at")?), why, has_worked })
        };
        rows.iter().map(repaired).collect()
    }
}
