//! Steps: the journal of a job.

use hostplane_domain::ids::JobId;
use hostplane_domain::job::{Direction, StepState};
use hostplane_domain::naming::ResourceKind;
use hostplane_infra::clock::Timestamp;

use super::dialect::{Connection, Row, id_rows, ids};
use super::row::{get, parsed, time};
use super::{Listed, Store, Stored, sql};

/// One line of a job's journal.
#[derive(Debug, Clone)]
pub struct StepRecord {
    /// Its place in the journal, from 1.
    pub seq: i64,
    /// In which direction.
    pub direction: Direction,
    /// The resource.
    pub resource: ResourceKind,
    /// `ensure` or `remove`.
    pub action: String,
    /// Its outcome, once there is one.
    pub state: StepState,
    /// The reason for its failure.
    pub error: Option<String>,
    /// When its intent was written.
    pub started_at: Timestamp,
    /// When its outcome was written.
    pub finished_at: Option<Timestamp>,
}

pub(super) const COLUMNS: &str = "job_id, seq, direction, resource, action, state, error, started_at, finished_at";

pub(super) fn read(row: &Row) -> Stored<StepRecord> {
    Ok(StepRecord {
        seq: get(row, "steps.seq")?,
        direction: parsed(row, "steps.direction")?,
        resource: parsed(row, "steps.resource")?,
        action: get(row, "steps.action")?,
        state: parsed(row, "steps.state")?,
        error: get(row, "steps.error")?,
        started_at: Timestamp(get(row, "steps.started_at")?),
        finished_at: time(row, "steps.finished_at")?,
    })
}

/// The steps of several jobs, each with its job, in one statement.
pub(super) async fn of_jobs(connection: &mut Connection, jobs: &[JobId]) -> Stored<Listed<(JobId, StepRecord)>> {
    let rows = id_rows("$1");
    let statement =
        format!("SELECT {COLUMNS} FROM steps WHERE job_id IN (SELECT id FROM {rows} AS page) ORDER BY job_id, seq");
    let rows = sql::query(statement).bind(ids(jobs)?).fetch_all(connection).await?;
    Listed::read("steps", &rows, |row| Ok((parsed(row, "steps.job_id")?, read(row)?)))
}

impl Store {
    /// A job's journal.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn steps(&self, job: JobId) -> Stored<Listed<StepRecord>> {
        let statement = format!("SELECT {COLUMNS} FROM steps WHERE job_id = $1 ORDER BY seq");
        let rows = sql::query(statement).bind(job.to_string()).fetch_all(&mut *self.reading().await?).await?;
        Listed::read("steps", &rows, read)
    }
}
