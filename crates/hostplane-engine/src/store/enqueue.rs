//! Jobs as operators and the control plane enqueue, give up, cancel and resume them.

use hostplane_domain::desired::DesiredSite;
use hostplane_domain::drift::Drift;
use hostplane_domain::ids::{JobId, SiteId};
use hostplane_domain::job::{JobState, OperationName};
use hostplane_domain::site_change::SiteChange;
use hostplane_domain::status::{IllegalTransition, SiteEvent};
use hostplane_infra::clock::Timestamp;
use uuid::Uuid;

use super::dialect::{Connection, violates};
use super::row::to_json;
use super::{JobParams, JobRecord, OrderedBy, Store, StoreError, Stored, sites, sql};
use crate::operations::{self, Operation};

const NOT_STUCK: StoreError = StoreError::Missing("job that needs an operator");

/// The input of a job besides its operation.
#[derive(Default)]
pub(super) struct JobInput<'a> {
    /// The one who ordered it.
    pub ordered_by: OrderedBy,
    /// The state that the site is to reach, where that is known.
    pub after: Option<&'a DesiredSite>,
    /// The findings that caused the job.
    pub why: Option<&'a [Drift]>,
    /// Parameters of an operation that doesn't converge.
    pub params: Option<&'a JobParams>,
}

pub(super) async fn add(
    tx: &mut Connection,
    site: SiteId,
    operation: OperationName,
    input: JobInput<'_>,
    now: Timestamp,
) -> Stored<JobId> {
    let after = input.after.map(|after| to_json(after, "jobs.after_spec")).transpose()?;
    let why = input.why.map(|why| to_json(&why, "jobs.why")).transpose()?;
    let params = input.params.map(|params| to_json(params, "jobs.params")).transpose()?;
    let id = JobId::new(Uuid::now_v7());
    let added = sql::query(
        "INSERT INTO jobs
             (id, site_id, operation, state, direction, run_at, before_spec, after_spec, why, params, automatic,
              created_at)
         SELECT $1, id, $3, 'pending', 'forward', $4, spec, $5, $6, $7, $8, $4 FROM sites WHERE id = $2",
    )
    .bind(id.to_string())
    .bind(site.to_string())
    .bind(operation.as_str())
    .bind(now.0)
    .bind(after)
    .bind(why)
    .bind(params)
    .bind(input.ordered_by.automatic())
    .execute(tx)
    .await;
    match added {
        Err(error) if violates(&error, "jobs.site_id") => Err(StoreError::JobActive),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(id),
    }
}

async fn begin(
    tx: &mut Connection,
    site: SiteId,
    operation: &Operation,
    input: JobInput<'_>,
    now: Timestamp,
) -> Stored<JobId> {
    let id = add(tx, site, operation.name, input, now).await?;
    sites::transition(tx, site, operation.begun, None, now).await?;
    Ok(id)
}

async fn end_stuck(tx: &mut Connection, job: JobId, state: JobState, now: Timestamp) -> Stored<()> {
    let ended = sql::query("UPDATE jobs SET state = $2, finished_at = $3 WHERE id = $1 AND state = 'needs_operator'")
        .bind(job.to_string())
        .bind(state.as_str())
        .bind(now.0)
        .execute(tx)
        .await?;
    if ended.rows_affected() == 0 { Err(NOT_STUCK) } else { Ok(()) }
}

impl Store {
    /// Adds a job on a site that exists, and moves the site's status as the operation says.
    ///
    /// # Errors
    /// [`StoreError::JobActive`] when another job of the site has not ended; [`StoreError::Illegal`] when
    /// the site's status doesn't allow the operation.
    pub async fn enqueue(&self, site: SiteId, operation: &Operation, now: Timestamp) -> Stored<JobId> {
        let mut tx = self.writing("enqueue").await?;
        let id = begin(&mut tx, site, operation, JobInput::default(), now).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Adds a job with the findings that caused it.
    ///
    /// # Errors
    /// Those of [`Store::enqueue`].
    pub async fn enqueue_for_findings(
        &self,
        why: &[Drift],
        ordered_by: OrderedBy,
        site: SiteId,
        operation: &Operation,
        now: Timestamp,
    ) -> Stored<JobId> {
        let mut tx = self.writing("enqueue_for_findings").await?;
        let id = begin(&mut tx, site, operation, JobInput { ordered_by, why: Some(why), ..JobInput::default() }, now)
            .await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Adds a job that changes a site that is there: its state after follows from its state now.
    ///
    /// # Errors
    /// [`StoreError::JobActive`] when another job of the site has not ended; [`StoreError::Illegal`] when the site
    /// isn't there as a whole; [`StoreError::Refused`] when it can't be changed like this.
    pub async fn enqueue_change(
        &self,
        site: SiteId,
        change: &SiteChange,
        ordered_by: OrderedBy,
        now: Timestamp,
    ) -> Stored<JobId> {
        let operation = operations::of(change.operation());
        let mut tx = self.writing("enqueue_change").await?;
        let record = sites::by_id(&mut tx, site).await?;
        let illegal = IllegalTransition { from: record.status, event: operation.begun };
        let after = change.apply(record.spec.as_ref().ok_or(illegal)?)?;
        let input = JobInput { ordered_by, after: Some(&after), ..JobInput::default() };
        let id = begin(&mut tx, site, operation, input, now).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Gives up a job that needs an operator, and adds another of its site. In between, the site's status changes by
    /// `given_up`.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when the job doesn't need an operator any more.
    pub async fn enqueue_instead(
        &self,
        stuck: &JobRecord,
        given_up: Option<SiteEvent>,
        operation: &Operation,
        now: Timestamp,
    ) -> Stored<JobId> {
        let mut tx = self.writing("enqueue_instead").await?;
        end_stuck(&mut tx, stuck.id, JobState::Failed, now).await?;
        if let Some(event) = given_up {
            sites::transition(&mut tx, stuck.site_id, event, None, now).await?;
        }
        let id = begin(&mut tx, stuck.site_id, operation, JobInput::default(), now).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Ends a job that needs an operator, and frees its site as it stands: with the spec of before, in the status that
    /// follows from the event.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when the job doesn't need an operator any more.
    pub async fn give_up(&self, job: &JobRecord, event: Option<SiteEvent>, now: Timestamp) -> Stored<()> {
        let mut tx = self.writing("give_up").await?;
        end_stuck(&mut tx, job.id, JobState::Cancelled, now).await?;
        if let Some(event) = event {
            sites::transition(&mut tx, job.site_id, event, None, now).await?;
        }
        tx.commit().await
    }

    /// Requests a job's cancellation, and makes it due at once. `false` when it is too late: the job is past its pivot,
    /// is rolled back already, or doesn't run.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn request_cancel(&self, job: JobId, now: Timestamp) -> Stored<bool> {
        let mut tx = self.writing("request_cancel").await?;
        let asked = sql::query(
            "UPDATE jobs SET cancel_requested = 1, run_at = CASE WHEN run_at > $2 THEN $2 ELSE run_at END
             WHERE id = $1 AND state IN ('pending', 'running') AND direction = 'forward' AND past_pivot = 0",
        )
        .bind(job.to_string())
        .bind(now.0)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(asked.rows_affected() == 1)
    }

    /// Lets a job that needed an operator go on, as that operator's.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when no job of this id needs an operator.
    pub async fn resume(&self, job: JobId, now: Timestamp) -> Stored<()> {
        let mut tx = self.writing("resume").await?;
        let resumed = sql::query(
            "UPDATE jobs SET state = 'pending', automatic = 0, attempt = 1, broken_off = 0, run_at = $2
             WHERE id = $1 AND state = 'needs_operator'",
        )
        .bind(job.to_string())
        .bind(now.0)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        if resumed.rows_affected() == 0 { Err(NOT_STUCK) } else { Ok(()) }
    }
}
