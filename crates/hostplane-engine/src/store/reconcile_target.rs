//! Sites as the reconciler compares them with the world.

use std::collections::BTreeSet;

use futures_util::TryStreamExt;
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::drift::Drift;
use hostplane_domain::ids::{JobId, SiteId};
use hostplane_domain::job::JobState;
use hostplane_infra::clock::Timestamp;

use super::dialect::Row;
use super::row::{from_json, get, json, optional, parsed};
use super::{HOLDS_SITE, Listed, Store, Stored, sql};

/// A site in service.
#[derive(Debug, Clone)]
pub struct ReconcileTarget {
    /// Its last confirmed state.
    pub want: DesiredSite,
    /// The job that holds it, with that job's state.
    pub held_by: Option<(JobId, JobState)>,
}

/// A repair that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// When it ended.
    pub at: Timestamp,
    /// The drifts that caused it.
    pub why: Vec<Drift>,
}

fn in_service() -> String {
    format!(
        "SELECT sites.name, sites.spec, jobs.id AS job, jobs.state FROM sites
         LEFT JOIN jobs ON jobs.site_id = sites.id AND jobs.{HOLDS_SITE} WHERE sites.status = 'ACTIVE'"
    )
}

fn read(row: &Row) -> Stored<ReconcileTarget> {
    let held_by = match optional(row, "jobs.job")? {
        None => None,
        Some(job) => Some((job, parsed(row, "jobs.state")?)),
    };
    Ok(ReconcileTarget { want: from_json(get(row, "sites.spec")?, "sites.spec")?, held_by })
}

fn read_repair(row: &Row) -> Stored<Repaired> {
    let at = Timestamp(get(row, "jobs.finished_at")?);
    Ok(Repaired { at, why: json(row, "jobs.why")?.unwrap_or_default() })
}

impl Store {
    /// Every site in service, by name. One that can't be read is an error of its own, and hides no other.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reconcile_targets(&self) -> Stored<Vec<(String, Stored<ReconcileTarget>)>> {
        let mut connection = self.reading().await?;
        // One after the other: there may be thousands, and all their texts at once would take much memory.
        let mut rows = sql::query(in_service()).fetch(&mut *connection);
        let mut targets = Vec::new();
        while let Some(row) = rows.try_next().await? {
            targets.push((get(&row, "sites.name").unwrap_or_default(), read(&row)));
        }
        Ok(targets)
    }

    /// One site, if it is in service.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reconcile_target(&self, site: SiteId) -> Stored<Option<ReconcileTarget>> {
        let row = sql::query(format!("{} AND sites.id = $1", in_service()))
            .bind(site.to_string())
            .fetch_optional(&mut *self.reading().await?)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// The sites that a job works on or is about to. One whose id can't be read is none that could be asked for.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn busy_sites(&self) -> Stored<BTreeSet<SiteId>> {
        let busy = "SELECT site_id FROM jobs WHERE finished_at IS NULL AND state IN ('pending', 'running')";
        let ids: Vec<String> = sql::scalar(busy).fetch_all(&mut *self.reading().await?).await?;
        Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }

    /// The repairs of a site that have ended since, whatever came of them, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn repairs(&self, site: SiteId, since: Timestamp) -> Stored<Listed<Repaired>> {
        let rows = sql::query(
            "SELECT id, finished_at, why FROM jobs
             WHERE site_id = $1 AND operation = 'repair' AND finished_at >= $2
             ORDER BY finished_at",
        )
        .bind(site.to_string())
        .bind(since.0)
        .fetch_all(&mut *self.reading().await?)
        .await?;
        Listed::read("jobs", &rows, read_repair)
    }
}
