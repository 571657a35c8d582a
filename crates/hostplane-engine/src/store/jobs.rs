//! Jobs, as they are read.

use hostplane_domain::baseline::Baseline;
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::drift::Drift;
use hostplane_domain::ids::{JobId, SiteId};
use hostplane_domain::job::{Direction, JobState, OperationName};
use hostplane_domain::naming::ResourceKind;
use hostplane_infra::clock::Timestamp;
use serde::{Deserialize, Serialize};

use super::dialect::Row;
use super::row::{flag, get, json, parse, parsed, time};
use super::{HOLDS_SITE, JobParams, Store, StoreError, Stored, sql};

/// A job, as stored.
#[derive(Debug, Clone)]
pub struct JobRecord {
    /// Its id.
    pub id: JobId,
    /// Its site.
    pub site_id: SiteId,
    /// Its operation.
    pub operation: OperationName,
    /// The one who ordered it.
    pub ordered_by: OrderedBy,
    /// Its place in the life of a job.
    pub state: JobState,
    /// The end that it converges on.
    pub direction: Direction,
    /// It can't be rolled back any more.
    pub past_pivot: bool,
    /// The number of its newest claim.
    pub claim: i64,
    /// Its cancellation was requested.
    pub cancel_requested: bool,
    /// The number of the present attempt in this direction, from 1.
    pub attempt: u32,
    /// The dependency that it waits for.
    pub waiting_for: Option<String>,
    /// The state confirmed outside when it began.
    pub before: Option<DesiredSite>,
    /// The state that it is to reach.
    pub after: Option<DesiredSite>,
    /// The classes of its site's answers before it, if it changes one in service and has begun.
    pub baseline: Option<Baseline>,
    /// Parameters of an operation that doesn't converge.
    pub params: Option<JobParams>,
    /// The findings that caused it, if the control plane enqueued it.
    pub why: Vec<Drift>,
    /// Absence proves nothing before this.
    pub settles_at: Option<Timestamp>,
    /// The error that rolled it back or ended it, or of the last attempt.
    pub error: Option<JobError>,
    /// When it was enqueued.
    pub created_at: Timestamp,
    /// When it was first claimed.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

impl JobRecord {
    /// True while its cancellation was requested and it can still be rolled back.
    #[must_use]
    pub fn must_roll_back(&self) -> bool {
        self.cancel_requested && !self.past_pivot && self.direction == Direction::Forward
    }
}

/// The one who ordered a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OrderedBy {
    /// A person, who comes first.
    #[default]
    Person,
    /// The control plane itself, because of what it found.
    ControlPlane,
}

impl OrderedBy {
    /// The value of the column `automatic`.
    pub(super) const fn automatic(self) -> i64 {
        match self {
            Self::Person => 0,
            Self::ControlPlane => 1,
        }
    }
}

/// The error of a job. It never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobError {
    /// The resource whose step failed.
    pub step: Option<ResourceKind>,
    /// The event and the operator's way out.
    pub message: String,
}

/// The columns of a job; with the table's name, as a join with sites has some of them twice.
pub(super) const COLUMNS: &str = "jobs.id, jobs.site_id, jobs.operation, jobs.automatic, jobs.state, jobs.direction, \
    jobs.past_pivot, jobs.claim, jobs.cancel_requested, jobs.attempt, jobs.waiting_for, jobs.before_spec, jobs.after_spec, \
    jobs.baseline, jobs.params, jobs.why, jobs.settles_at, jobs.error, jobs.created_at, jobs.started_at, jobs.finished_at";

pub(super) fn read(row: &Row) -> Stored<JobRecord> {
    Ok(JobRecord {
        id: parsed(row, "jobs.id")?,
        site_id: parsed(row, "jobs.site_id")?,
        operation: parsed(row, "jobs.operation")?,
        ordered_by: if flag(row, "jobs.automatic")? { OrderedBy::ControlPlane } else { OrderedBy::Person },
        state: parsed(row, "jobs.state")?,
        direction: parsed(row, "jobs.direction")?,
        past_pivot: flag(row, "jobs.past_pivot")?,
        claim: get(row, "jobs.claim")?,
        cancel_requested: flag(row, "jobs.cancel_requested")?,
        attempt: get(row, "jobs.attempt")?,
        waiting_for: get(row, "jobs.waiting_for")?,
        before: json(row, "jobs.before_spec")?,
        after: json(row, "jobs.after_spec")?,
        baseline: json(row, "jobs.baseline")?,
        params: json(row, "jobs.params")?,
        why: json(row, "jobs.why")?.unwrap_or_default(),
        settles_at: time(row, "jobs.settles_at")?,
        error: json(row, "jobs.error")?,
        created_at: Timestamp(get(row, "jobs.created_at")?),
        started_at: time(row, "jobs.started_at")?,
        finished_at: time(row, "jobs.finished_at")?,
    })
}

impl Store {
    /// One job.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is none.
    pub async fn job(&self, id: JobId) -> Stored<JobRecord> {
        let row = sql::query(format!("SELECT {COLUMNS} FROM jobs WHERE id = $1"))
            .bind(id.to_string())
            .fetch_optional(&mut *self.reading().await?)
            .await?
            .ok_or(StoreError::Missing("job"))?;
        read(&row)
    }

    /// The job that holds a site, if there is one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn active_job(&self, site: SiteId) -> Stored<Option<JobId>> {
        let id: Option<String> = sql::scalar(format!("SELECT id FROM jobs WHERE site_id = $1 AND {HOLDS_SITE}"))
            .bind(site.to_string())
            .fetch_optional(&mut *self.reading().await?)
            .await?;
        id.map(|id| parse(&id, "jobs.id")).transpose()
    }

    /// When the last effect of any of a site's jobs has landed or never will, if a reply was lost.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn settles_at(&self, site: SiteId) -> Stored<Option<Timestamp>> {
        let at: Option<i64> = sql::scalar("SELECT MAX(settles_at) FROM jobs WHERE site_id = $1")
            .bind(site.to_string())
            .fetch_one(&mut *self.reading().await?)
            .await?;
        Ok(at.map(Timestamp))
    }
}
