//! Writes of the worker on claimed jobs. They are fenced: they count only while the claim is valid.

use hostplane_domain::baseline::Baseline;
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::job::{Direction, JobState, StepState};
use hostplane_domain::naming::ResourceKind;
use hostplane_domain::plan::Verb;
use hostplane_domain::status::SiteEvent;
use hostplane_domain::subnet::SubnetPool;
use hostplane_infra::clock::Timestamp;
use hostplane_infra::error::{Dependency, chain};
use ipnet::Ipv4Net;
use tracing::error;

use super::dialect::{Connection, Row};
use super::jobs::{COLUMNS, read};
use super::row::{get, to_json};
use super::{JobError, JobRecord, OrderedBy, SiteRecord, Store, StoreError, Stored, requeue, sites, sql, subnets};

/// A job that this process has claimed, with its site.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The job.
    pub job: JobRecord,
    /// Its site.
    pub site: SiteRecord,
}

/// The reason for which a job is put back into the queue.
#[derive(Debug)]
pub enum PutBack<'a> {
    /// A dependency is down.
    Waits(Dependency),
    /// The attempt failed in a way that may pass.
    Failed(&'a JobError),
}

/// The outcome of a step.
#[derive(Debug)]
pub struct Outcome<'a> {
    /// Its place in the journal.
    pub seq: i64,
    /// Its state from now on.
    pub state: StepState,
    /// The reason for its failure.
    pub error: Option<&'a str>,
    /// The step was the operation's pivot, and it is done.
    pub pivot: bool,
    /// When an effect whose reply was lost has landed or never will.
    pub settles_at: Option<Timestamp>,
}

/// Leaves a job to an operator, who can repair the database.
async fn set_aside(tx: &mut Connection, job: &str, error: &StoreError) -> Stored<()> {
    let message = format!("{error}; repair it with `sqlite3` while no control plane runs, then retry this job");
    sql::query("UPDATE jobs SET state = 'needs_operator', epoch = NULL, waiting_for = NULL, error = $2 WHERE id = $1")
        .bind(job)
        .bind(to_json(&JobError { step: None, message }, "jobs.error")?)
        .execute(tx)
        .await?;
    Ok(())
}

/// Whose jobs are claimed, in this order.
fn orderers(automatic: bool) -> &'static [OrderedBy] {
    if automatic { &[OrderedBy::Person, OrderedBy::ControlPlane] } else { &[OrderedBy::Person] }
}

impl Store {
    /// Claims the job that is due longest, of those that people ordered before any other; without `automatic`, of those
    /// alone. One that can't be read needs an operator, and holds up no other.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim(&self, now: Timestamp, automatic: bool) -> Stored<Option<Claim>> {
        let statement = format!(
            "UPDATE jobs SET state = 'running', epoch = $1, claim = claim + 1, started_at = COALESCE(started_at, $2)
             WHERE id = (SELECT id FROM jobs WHERE state = 'pending' AND automatic = $3 AND run_at <= $2
                         ORDER BY run_at, id LIMIT 1)
               AND state = 'pending'
             RETURNING {COLUMNS}"
        );
        loop {
            let mut tx = self.writing("claim").await?;
            let mut row = None;
            for whose in orderers(automatic) {
                if row.is_none() {
                    let next = sql::query(statement.clone()).bind(self.epoch).bind(now.0).bind(whose.automatic());
                    row = next.fetch_optional(&mut *tx).await?;
                }
            }
            let Some(row) = row else {
                tx.nothing_changed().await?;
                return Ok(None);
            };
            match self.claimed(&mut tx, &row, now).await {
                Err(error @ (StoreError::Corrupt(_) | StoreError::Missing(_))) => {
                    let id: String = get(&row, "jobs.id")?;
                    set_aside(&mut tx, &id, &error).await?;
                    tx.commit().await?;
                    error!(job = id, error = chain(&error), "a job can't be read; operator required");
                }
                claim => {
                    let claim = claim?;
                    tx.commit().await?;
                    return Ok(Some(claim));
                }
            }
        }
    }

    async fn claimed(&self, tx: &mut Connection, row: &Row, now: Timestamp) -> Stored<Claim> {
        let mut job = read(row)?;
        let site = sites::by_id(tx, job.site_id).await?;
        // An earlier run has lost it: its step under way is to be observed, and may still have its effect.
        job.settles_at = requeue::void(tx, &job.id.to_string(), now, self.settle).await?.or(job.settles_at);
        Ok(Claim { job, site })
    }

    /// When the next pending job is due, of those that [`Store::claim`] takes.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next_due(&self, automatic: bool) -> Stored<Option<Timestamp>> {
        let mut connection = self.reading().await?;
        let mut next: Option<i64> = None;
        for whose in orderers(automatic) {
            let at: Option<i64> =
                sql::scalar("SELECT MIN(run_at) FROM jobs WHERE state = 'pending' AND automatic = $1")
                    .bind(whose.automatic())
                    .fetch_one(&mut *connection)
                    .await?;
            next = next.into_iter().chain(at).min();
        }
        Ok(next.map(Timestamp))
    }

    /// Begins to run a claimed job: it waits for nothing any more, and a provision's site is PROVISIONING.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim is void.
    pub async fn begin_run(&self, claim: &Claim, event: Option<SiteEvent>, now: Timestamp) -> Stored<()> {
        let mut tx = self.writing("begin_run").await?;
        self.fenced(&mut tx, claim, "waiting_for = NULL", &[]).await?;
        if let Some(event) = event {
            sites::transition(&mut tx, claim.job.site_id, event, None, now).await?;
        }
        tx.commit().await
    }

    /// Gives the site its subnet for its whole life. `None` when the pool is full.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim is void.
    pub async fn allocate_subnet(
        &self,
        claim: &Claim,
        pool: SubnetPool,
        in_use: &[Ipv4Net],
        now: Timestamp,
    ) -> Stored<Option<Ipv4Net>> {
        let mut tx = self.writing("allocate_subnet").await?;
        self.fenced(&mut tx, claim, "epoch = epoch", &[]).await?;
        let subnet = subnets::allocate(&mut tx, claim.job.site_id, pool, in_use, now).await?;
        tx.commit().await?;
        Ok(subnet)
    }

    /// Takes the site's subnet away, because something else uses it.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim is void.
    pub async fn block_subnet(&self, claim: &Claim, until: Timestamp) -> Stored<()> {
        let mut tx = self.writing("block_subnet").await?;
        self.fenced(&mut tx, claim, "after_spec = NULL", &[]).await?;
        subnets::release(&mut tx, claim.job.site_id, Some(until)).await?;
        tx.commit().await
    }

    /// Writes the state that the job is to reach.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim is void.
    pub async fn set_after(&self, claim: &Claim, after: &DesiredSite) -> Stored<()> {
        let json = to_json(after, "jobs.after_spec")?;
        let mut tx = self.writing("set_after").await?;
        self.fenced(&mut tx, claim, "after_spec = $3", &[Some(json)]).await?;
        tx.commit().await
    }

    /// Stores how the site answered before anything of it was changed.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim is void.
    pub async fn set_baseline(&self, claim: &Claim, baseline: &Baseline) -> Stored<()> {
        let json = to_json(baseline, "jobs.baseline")?;
        let mut tx = self.writing("set_baseline").await?;
        self.fenced(&mut tx, claim, "baseline = $3", &[Some(json)]).await?;
        tx.commit().await
    }

    /// Journals the intent of a step and answers its place in the journal.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim is void; [`StoreError::Cancelled`] when the job runs forward and is to be
    /// cancelled.
    pub async fn intend(
        &self,
        claim: &Claim,
        direction: Direction,
        kind: ResourceKind,
        verb: Verb,
        now: Timestamp,
    ) -> Stored<i64> {
        let mut tx = self.writing("intend").await?;
        let job = self.fenced(&mut tx, claim, "epoch = epoch", &[]).await?;
        if job.must_roll_back() {
            return Err(StoreError::Cancelled);
        }
        let seq: i64 = sql::scalar(
            "INSERT INTO steps (job_id, seq, direction, resource, action, state, started_at)
             VALUES ($1, (SELECT COALESCE(MAX(seq), 0) + 1 FROM steps WHERE job_id = $1), $2, $3, $4, 'intended', $5)
             RETURNING seq",
        )
        .bind(claim.job.id.to_string())
        .bind(direction.as_str())
        .bind(kind.as_str())
        .bind(verb.as_str())
        .bind(now.0)
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(seq)
    }

    /// Journals the outcome of a step. With `pivot`, the job can't be rolled back from here on, unless its cancellation
    /// was requested before. After an unknown outcome the job settles at `settles_at`.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim is void.
    pub async fn outcome(&self, claim: &Claim, outcome: &Outcome<'_>, now: Timestamp) -> Stored<()> {
        let mut tx = self.writing("outcome").await?;
        let pivot = if outcome.pivot { "1" } else { "0" };
        let settles_at = outcome.settles_at.map(|at| at.0.to_string());
        self.fenced(
            &mut tx,
            claim,
            "past_pivot = CASE WHEN cancel_requested = 0 AND $3 = '1' THEN 1 ELSE past_pivot END, \
             settles_at = COALESCE(CAST($4 AS BIGINT), settles_at)",
            &[Some(pivot.to_owned()), settles_at],
        )
        .await?;
        sql::query("UPDATE steps SET state = $3, error = $4, finished_at = $5 WHERE job_id = $1 AND seq = $2")
            .bind(claim.job.id.to_string())
            .bind(outcome.seq)
            .bind(outcome.state.as_str())
            .bind(outcome.error)
            .bind(now.0)
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    /// Releases the job until later: because a dependency is down, which burns no attempt, or because the attempt
    /// failed.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim is void.
    pub async fn put_back(&self, claim: &Claim, why: &PutBack<'_>, run_at: Timestamp) -> Stored<()> {
        let mut tx = self.writing("put_back").await?;
        let run_at = Some(run_at.0.to_string());
        match why {
            PutBack::Waits(dependency) => {
                let set =
                    "state = 'pending', epoch = NULL, broken_off = 0, run_at = CAST($3 AS BIGINT), waiting_for = $4";
                self.fenced(&mut tx, claim, set, &[run_at, Some(dependency.to_string())]).await?;
            }
            PutBack::Failed(error) => {
                let set = "state = 'pending', epoch = NULL, broken_off = 0, run_at = CAST($3 AS BIGINT), error = $4, \
                           attempt = attempt + 1";
                self.fenced(&mut tx, claim, set, &[run_at, Some(to_json(error, "jobs.error")?)]).await?;
            }
        }
        tx.commit().await
    }

    /// Rolls the job back: from now on it converges on its state before.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim is void.
    pub async fn roll_back(&self, claim: &Claim, error: &JobError) -> Stored<()> {
        let mut tx = self.writing("roll_back").await?;
        let set = "direction = 'back', attempt = 1, error = $3";
        self.fenced(&mut tx, claim, set, &[Some(to_json(error, "jobs.error")?)]).await?;
        tx.commit().await
    }

    /// Locks the site until an operator retries the job.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim is void.
    pub async fn needs_operator(&self, claim: &Claim, error: &JobError) -> Stored<()> {
        let mut tx = self.writing("needs_operator").await?;
        let set = "state = 'needs_operator', epoch = NULL, waiting_for = NULL, error = $3";
        self.fenced(&mut tx, claim, set, &[Some(to_json(error, "jobs.error")?)]).await?;
        tx.commit().await
    }

    /// Ends the job as failed, and leaves its site as it is.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim is void.
    pub async fn fail(&self, claim: &Claim, error: &JobError, now: Timestamp) -> Stored<()> {
        let mut tx = self.writing("fail").await?;
        let set = "state = 'failed', epoch = NULL, waiting_for = NULL, error = $3, finished_at = CAST($4 AS BIGINT)";
        let values = [Some(to_json(error, "jobs.error")?), Some(now.0.to_string())];
        self.fenced(&mut tx, claim, set, &values).await?;
        tx.commit().await
    }

    /// Ends the job and moves its site in one transaction: the site's spec becomes the state that the job converged on.
    /// A job that fails after its cancellation was requested is cancelled. Answers its state.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim is void; [`StoreError::Cancelled`] when it would be completed, and its
    /// cancellation was requested before it was past its pivot.
    pub async fn finish(
        &self,
        claim: &Claim,
        state: JobState,
        event: SiteEvent,
        spec: &Option<DesiredSite>,
        now: Timestamp,
    ) -> Stored<JobState> {
        let mut tx = self.writing("finish").await?;
        // A job that reached its goal has no error, even if earlier attempts had one.
        let set = "state = CASE WHEN $3 = 'failed' AND cancel_requested = 1 THEN 'cancelled' ELSE $3 END, \
                   epoch = NULL, waiting_for = NULL, finished_at = CAST($4 AS BIGINT), \
                   error = CASE WHEN $3 = 'completed' THEN NULL ELSE error END";
        let values = [Some(state.as_str().to_owned()), Some(now.0.to_string())];
        let job = self.fenced(&mut tx, claim, set, &values).await?;
        if job.must_roll_back() {
            return Err(StoreError::Cancelled);
        }
        sites::transition(&mut tx, claim.job.site_id, event, Some(spec), now).await?;
        if spec.is_none() {
            subnets::release(&mut tx, claim.job.site_id, None).await?;
        }
        tx.commit().await?;
        Ok(job.state)
    }

    /// Updates the job's row while the claim is valid, and answers it. `set` is one of the texts above; its parameters
    /// begin at `$3`.
    async fn fenced(
        &self,
        tx: &mut Connection,
        claim: &Claim,
        set: &str,
        values: &[Option<String>],
    ) -> Stored<JobRecord> {
        let statement = format!(
            "UPDATE jobs SET {set} WHERE id = $1 AND epoch = $2 AND claim = {} AND state = 'running' RETURNING {COLUMNS}",
            claim.job.claim
        );
        let mut query = sql::query(statement).bind(claim.job.id.to_string()).bind(self.epoch);
        for value in values {
            query = query.bind(value.clone());
        }
        query.fetch_optional(tx).await?.as_ref().map_or(Err(StoreError::Fenced), read)
    }
}
