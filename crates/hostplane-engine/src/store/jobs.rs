//! Jobs and their journal, as they are read.

use hostplane_domain::desired::DesiredSite;
use hostplane_domain::drift::Drift;
use hostplane_domain::ids::{JobId, SiteId};
use hostplane_domain::job::{Direction, JobState, OperationName, StepState};
use hostplane_domain::name::SiteName;
use hostplane_domain::naming::ResourceKind;
use hostplane_infra::clock::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Store, StoreError, Stored, from_json, parse};

/// A job, as stored.
#[derive(Debug, Clone)]
pub struct JobRecord {
    /// Its id.
    pub id: JobId,
    /// On which site.
    pub site_id: SiteId,
    /// What it does.
    pub operation: OperationName,
    /// Where it is in its life.
    pub state: JobState,
    /// Which end it converges on.
    pub direction: Direction,
    /// There is no way back.
    pub past_pivot: bool,
    /// The number of its newest claim.
    pub claim: i64,
    /// Somebody asked for it to turn back.
    pub cancel_requested: bool,
    /// The number of the present attempt in this direction, from 1.
    pub attempt: u32,
    /// The dependency that it waits for.
    pub waiting_for: Option<String>,
    /// What was confirmed outside when it began.
    pub before: Option<DesiredSite>,
    /// What it is to reach.
    pub after: Option<DesiredSite>,
    /// What was found that it is about, where it was ordered by nobody.
    pub why: Vec<Drift>,
    /// Absence proves nothing before this.
    pub settles_at: Option<Timestamp>,
    /// The error that turned it back or ended it, or of the last attempt.
    pub error: Option<JobError>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was first claimed.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

impl JobRecord {
    /// Somebody asked for it to turn back, and it can.
    #[must_use]
    pub fn must_roll_back(&self) -> bool {
        self.cancel_requested && !self.past_pivot && self.direction == Direction::Forward
    }
}

/// What went wrong in a job. It never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobError {
    /// The resource whose step failed.
    pub step: Option<ResourceKind>,
    /// What happened and what to do about it.
    pub message: String,
}

/// One line of a job's journal.
#[derive(Debug, Clone)]
pub struct StepRecord {
    /// Its place in the journal, from 1.
    pub seq: i64,
    /// In which direction.
    pub direction: Direction,
    /// Of what.
    pub resource: ResourceKind,
    /// `ensure` or `remove`.
    pub action: String,
    /// What became of it.
    pub state: StepState,
    /// Why it failed.
    pub error: Option<String>,
    /// When its intent was written.
    pub started_at: Timestamp,
    /// When its outcome was written.
    pub finished_at: Option<Timestamp>,
}

/// Which jobs to list.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Only those in this state.
    pub state: Option<JobState>,
    /// Only those of this operation.
    pub operation: Option<OperationName>,
    /// Only those older than this one.
    pub before: Option<JobId>,
    /// At most this many.
    pub limit: u32,
}

pub(super) const COLUMNS: &str = "id, site_id, operation, state, direction, past_pivot, claim, cancel_requested, \
    attempt, waiting_for, before_spec, after_spec, why, settles_at, error, created_at, started_at, finished_at";

pub(super) fn read(row: &SqliteRow) -> Stored<JobRecord> {
    let spec = |column: &'static str| -> Stored<Option<DesiredSite>> {
        let json: Option<String> = row.try_get(column)?;
        json.map(|json| from_json(&json, column)).transpose()
    };
    let time =
        |column: &str| -> Stored<Option<Timestamp>> { Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp)) };
    let error: Option<String> = row.try_get("error")?;
    let why: Option<String> = row.try_get("why")?;
    Ok(JobRecord {
        id: parse(row.try_get("id")?, "jobs.id")?,
        site_id: parse(row.try_get("site_id")?, "jobs.site_id")?,
        operation: parse(row.try_get("operation")?, "jobs.operation")?,
        state: parse(row.try_get("state")?, "jobs.state")?,
        direction: parse(row.try_get("direction")?, "jobs.direction")?,
        past_pivot: row.try_get::<i64, _>("past_pivot")? != 0,
        claim: row.try_get("claim")?,
        cancel_requested: row.try_get::<i64, _>("cancel_requested")? != 0,
        attempt: row.try_get("attempt")?,
        waiting_for: row.try_get("waiting_for")?,
        before: spec("before_spec")?,
        after: spec("after_spec")?,
        why: why.map_or(Ok(Vec::new()), |json| from_json(&json, "jobs.why"))?,
        settles_at: time("settles_at")?,
        error: error.map(|json| from_json(&json, "jobs.error")).transpose()?,
        created_at: Timestamp(row.try_get("created_at")?),
        started_at: time("started_at")?,
        finished_at: time("finished_at")?,
    })
}

fn read_step(row: &SqliteRow) -> Stored<StepRecord> {
    Ok(StepRecord {
        seq: row.try_get("seq")?,
        direction: parse(row.try_get("direction")?, "steps.direction")?,
        resource: parse(row.try_get("resource")?, "steps.resource")?,
        action: row.try_get("action")?,
        state: parse(row.try_get("state")?, "steps.state")?,
        error: row.try_get("error")?,
        started_at: Timestamp(row.try_get("started_at")?),
        finished_at: row.try_get::<Option<i64>, _>("finished_at")?.map(Timestamp),
    })
}

impl Store {
    /// One job.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is none.
    pub async fn job(&self, id: JobId) -> Stored<JobRecord> {
        let statement = format!("SELECT {COLUMNS} FROM jobs WHERE id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(id.to_string())
            .fetch_optional(&mut *self.reading().await?)
            .await?
            .ok_or(StoreError::Missing("job"))?;
        read(&row)
    }

    /// Jobs, the newest first, of the sites that have or had a name, or of all.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn jobs(&self, site: Option<&SiteName>, filter: &JobFilter) -> Stored<Vec<JobRecord>> {
        let statement = format!(
            "SELECT {COLUMNS} FROM jobs
             WHERE ($1 = '' OR site_id IN (SELECT id FROM sites WHERE name = $1)) AND ($2 = '' OR state = $2)
                 AND ($3 = '' OR id < $3) AND ($5 = '' OR operation = $5)
             ORDER BY id DESC LIMIT $4"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(site.map_or("", SiteName::as_str))
            .bind(filter.state.map_or("", JobState::as_str))
            .bind(filter.before.map_or_else(String::new, |id| id.to_string()))
            .bind(filter.limit)
            .bind(filter.operation.map_or("", OperationName::as_str))
            .fetch_all(&mut *self.reading().await?)
            .await?;
        rows.iter().map(read).collect()
    }

    /// The job that holds a site, if there is one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn active_job(&self, site: SiteId) -> Stored<Option<JobId>> {
        let id: Option<String> = sqlx::query_scalar(
            "SELECT id FROM jobs WHERE site_id = $1 AND state IN ('pending', 'running', 'needs_operator')",
        )
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
        let at: Option<i64> = sqlx::query_scalar("SELECT MAX(settles_at) FROM jobs WHERE site_id = $1")
            .bind(site.to_string())
            .fetch_one(&mut *self.reading().await?)
            .await?;
        Ok(at.map(Timestamp))
    }

    /// A job's journal.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn steps(&self, job: JobId) -> Stored<Vec<StepRecord>> {
        let rows = sqlx::query("SELECT * FROM steps WHERE job_id = $1 ORDER BY seq")
            .bind(job.to_string())
            .fetch_all(&mut *self.reading().await?)
            .await?;
        rows.iter().map(read_step).collect()
    }
}
