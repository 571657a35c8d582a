//! Claimed jobs: what the worker writes. It is fenced: it counts only while the claim is valid.

use std::time::Duration;

use hostplane_domain::desired::DesiredSite;
use hostplane_domain::ids::JobId;
use hostplane_domain::job::{Direction, JobState, StepState};
use hostplane_domain::kind::Kind;
use hostplane_domain::plan::Verb;
use hostplane_domain::status::SiteEvent;
use hostplane_domain::subnet::SubnetPool;
use hostplane_infra::clock::Timestamp;
use hostplane_infra::error::Dependency;
use ipnet::Ipv4Net;
use sqlx::SqliteConnection;

use super::jobs::{COLUMNS, read};
use super::{JobError, JobRecord, SiteRecord, Store, StoreError, Stored, sites, subnets, to_json};

/// A job that this process has claimed, with its site.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The job.
    pub job: JobRecord,
    /// Its site.
    pub site: SiteRecord,
}

/// Why a job is put back into the queue.
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
    /// What became of it.
    pub state: StepState,
    /// Why it failed.
    pub error: Option<&'a str>,
    /// The step was the operation's pivot, and it is done.
    pub pivot: bool,
    /// When an effect whose reply was lost has landed or never will.
    pub settles_at: Option<Timestamp>,
}

/// Makes running jobs pending again, except those given: whoever ran them is gone. A step without an
/// outcome becomes `unknown`, and what it began may still land until the job settles. With a pause it counts
/// as an attempt, so that what broke off for a reason that stays doesn't come round at once for ever.
pub(super) async fn void_claims(
    tx: &mut SqliteConnection,
    except: &[JobId],
    now: Timestamp,
    settle: Duration,
    pause: Option<Duration>,
) -> Stored<u64> {
    let except = to_json(&except, "job ids")?;
    // Only what was being made can still appear: a removal that lands late changes nothing.
    let voided = sqlx::query(
        "UPDATE jobs SET state = 'pending', epoch = NULL, run_at = $1, attempt = attempt + $4, settles_at = CASE
             WHEN EXISTS (SELECT 1 FROM steps
                          WHERE job_id = jobs.id AND steps.state = 'intended' AND action = 'ensure') THEN $3
             ELSE settles_at END
         WHERE state = 'running' AND id NOT IN (SELECT value FROM json_each($2))",
    )
    .bind(now.plus(pause.unwrap_or_default()).0)
    .bind(&except)
    .bind(now.plus(settle).0)
    .bind(i64::from(pause.is_some()))
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "UPDATE steps SET state = 'unknown', finished_at = $1
         WHERE state = 'intended'
           AND job_id NOT IN (SELECT value FROM json_each($2))",
    )
    .bind(now.0)
    .bind(&except)
    .execute(tx)
    .await?;
    Ok(voided.rows_affected())
}

impl Store {
    /// Claims the job that is due longest, in one statement.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim(&self, now: Timestamp) -> Stored<Option<Claim>> {
        let statement = format!(
            "UPDATE jobs SET state = 'running', epoch = $1, started_at = COALESCE(started_at, $2)
             WHERE id = (SELECT id FROM jobs WHERE state = 'pending' AND run_at <= $2 ORDER BY run_at, id LIMIT 1)
               AND state = 'pending'
             RETURNING {COLUMNS}"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(self.epoch)
            .bind(now.0)
            .fetch_optional(&self.write)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let job = read(&row)?;
        let site = self.site_by_id(job.site_id).await?;
        Ok(Some(Claim { job, site }))
    }

    /// When the next pending job is due.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next_due(&self) -> Stored<Option<Timestamp>> {
        let at: Option<i64> =
            sqlx::query_scalar("SELECT MIN(run_at) FROM jobs WHERE state = 'pending'").fetch_one(&self.read).await?;
        Ok(at.map(Timestamp))
    }

    /// Makes jobs pending again, after a pause, that this process claimed and then lost sight of: because
    /// the database refused a write, or a run broke off.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn requeue_lost(&self, except: &[JobId], now: Timestamp, pause: Duration) -> Stored<u64> {
        let mut tx = self.begin().await?;
        let voided = void_claims(&mut tx, except, now, self.settle, Some(pause)).await?;
        tx.commit().await?;
        Ok(voided)
    }

    /// Begins to run a claimed job in earnest: it waits for nothing any more, and a provision's site is
    /// PROVISIONING.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim is void.
    pub async fn begin_run(&self, claim: &Claim, event: Option<SiteEvent>, now: Timestamp) -> Stored<()> {
        let mut tx = self.begin().await?;
        self.fenced(&mut tx, claim.job.id, "waiting_for = NULL", &[]).await?;
        if let Some(event) = event {
            sites::transition(&mut tx, claim.job.site_id, event, None, now).await?;
        }
        tx.commit().await?;
        self.changes.send_replace(());
        Ok(())
    }

    /// Gives the site its subnet, for good. `None` when the pool is full.
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
        let mut tx = self.begin().await?;
        self.fenced(&mut tx, claim.job.id, "epoch = epoch", &[]).await?;
        let subnet = subnets::allocate(&mut tx, claim.job.site_id, pool, in_use, now).await?;
        tx.commit().await?;
        Ok(subnet)
    }

    /// Takes the site's subnet away, because something else was found to use it.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim is void.
    pub async fn block_subnet(&self, claim: &Claim, until: Timestamp) -> Stored<()> {
        let mut tx = self.begin().await?;
        self.fenced(&mut tx, claim.job.id, "after_spec = NULL", &[]).await?;
        subnets::release(&mut tx, claim.job.site_id, Some(until)).await?;
        tx.commit().await?;
        self.changes.send_replace(());
        Ok(())
    }

    /// Writes what the job is to reach.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim is void.
    pub async fn set_after(&self, claim: &Claim, after: &DesiredSite) -> Stored<()> {
        let json = to_json(after, "jobs.after_spec")?;
        let mut tx = self.begin().await?;
        self.fenced(&mut tx, claim.job.id, "after_spec = $3", &[Some(json)]).await?;
        tx.commit().await?;
        self.changes.send_replace(());
        Ok(())
    }

    /// Journals the intent of a step and answers its place in the journal.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim is void.
    pub async fn intend(
        &self,
        claim: &Claim,
        direction: Direction,
        kind: Kind,
        verb: Verb,
        now: Timestamp,
    ) -> Stored<i64> {
        let seq: Option<i64> = sqlx::query_scalar(
            "INSERT INTO steps (job_id, seq, direction, resource, action, state, started_at)
             SELECT id, (SELECT COALESCE(MAX(seq), 0) + 1 FROM steps WHERE job_id = $1), $3, $4, $5, 'intended', $6
             FROM jobs WHERE id = $1 AND epoch = $2 AND state = 'running'
             RETURNING seq",
        )
        .bind(claim.job.id.to_string())
        .bind(self.epoch)
        .bind(direction.as_str())
        .bind(kind.as_str())
        .bind(verb.as_str())
        .bind(now.0)
        .fetch_optional(&self.write)
        .await?;
        self.changes.send_replace(());
        seq.ok_or(StoreError::Fenced)
    }

    /// Journals the outcome of a step. With `pivot`, the job has no way back from here on. After an
    /// unknown outcome the job settles at `settles_at`.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim is void.
    pub async fn outcome(&self, claim: &Claim, outcome: &Outcome<'_>, now: Timestamp) -> Stored<()> {
        let mut tx = self.begin().await?;
        let pivot = if outcome.pivot { "1" } else { "0" };
        let settles_at = outcome.settles_at.map(|at| at.0.to_string());
        self.fenced(
            &mut tx,
            claim.job.id,
            "past_pivot = MAX(past_pivot, CAST($3 AS BIGINT)), settles_at = COALESCE(CAST($4 AS BIGINT), settles_at)",
            &[Some(pivot.to_owned()), settles_at],
        )
        .await?;
        sqlx::query("UPDATE steps SET state = $3, error = $4, finished_at = $5 WHERE job_id = $1 AND seq = $2")
            .bind(claim.job.id.to_string())
            .bind(outcome.seq)
            .bind(outcome.state.as_str())
            .bind(outcome.error)
            .bind(now.0)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        self.changes.send_replace(());
        Ok(())
    }

    /// Lets go of the job until later: because a dependency is down (which burns no attempt), or because
    /// the attempt failed.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim is void.
    pub async fn put_back(&self, claim: &Claim, why: &PutBack<'_>, run_at: Timestamp) -> Stored<()> {
        let mut tx = self.begin().await?;
        let run_at = Some(run_at.0.to_string());
        match why {
            PutBack::Waits(dependency) => {
                let set = "state = 'pending', epoch = NULL, run_at = CAST($3 AS BIGINT), waiting_for = $4";
                self.fenced(&mut tx, claim.job.id, set, &[run_at, Some(dependency.to_string())]).await?;
            }
            PutBack::Failed(error) => {
                let set = "state = 'pending', epoch = NULL, run_at = CAST($3 AS BIGINT), error = $4, \
                           attempt = attempt + 1";
                self.fenced(&mut tx, claim.job.id, set, &[run_at, Some(to_json(error, "jobs.error")?)]).await?;
            }
        }
        tx.commit().await?;
        self.changes.send_replace(());
        Ok(())
    }

    /// Turns the job back: from now on it converges on what was before.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim is void.
    pub async fn turn_back(&self, claim: &Claim, error: &JobError) -> Stored<()> {
        let mut tx = self.begin().await?;
        let set = "direction = 'back', attempt = 1, error = $3";
        self.fenced(&mut tx, claim.job.id, set, &[Some(to_json(error, "jobs.error")?)]).await?;
        tx.commit().await?;
        self.changes.send_replace(());
        Ok(())
    }

    /// Locks the site until somebody retries the job.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim is void.
    pub async fn needs_operator(&self, claim: &Claim, error: &JobError) -> Stored<()> {
        let mut tx = self.begin().await?;
        let set = "state = 'needs_operator', epoch = NULL, waiting_for = NULL, error = $3";
        self.fenced(&mut tx, claim.job.id, set, &[Some(to_json(error, "jobs.error")?)]).await?;
        tx.commit().await?;
        self.changes.send_replace(());
        Ok(())
    }

    /// Ends the job and moves its site, together: the site's spec becomes what the job converged on.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the claim is void.
    pub async fn finish(
        &self,
        claim: &Claim,
        state: JobState,
        event: SiteEvent,
        spec: &Option<DesiredSite>,
        now: Timestamp,
    ) -> Stored<()> {
        let mut tx = self.begin().await?;
        // A job that reached its goal has no error, whatever its earlier attempts met.
        let set = "state = $3, epoch = NULL, waiting_for = NULL, finished_at = CAST($4 AS BIGINT), \
                   error = CASE WHEN $3 = 'completed' THEN NULL ELSE error END";
        let values = [Some(state.as_str().to_owned()), Some(now.0.to_string())];
        self.fenced(&mut tx, claim.job.id, set, &values).await?;
        sites::transition(&mut tx, claim.job.site_id, event, Some(spec), now).await?;
        if spec.is_none() {
            subnets::release(&mut tx, claim.job.site_id, None).await?;
        }
        tx.commit().await?;
        self.changes.send_replace(());
        Ok(())
    }

    /// Lets a job that needed an operator go on.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when no job of this id needs an operator.
    pub async fn resume(&self, job: JobId, now: Timestamp) -> Stored<()> {
        let resumed = sqlx::query(
            "UPDATE jobs SET state = 'pending', attempt = 1, run_at = $2 WHERE id = $1 AND state = 'needs_operator'",
        )
        .bind(job.to_string())
        .bind(now.0)
        .execute(&self.write)
        .await?;
        if resumed.rows_affected() == 0 { Err(StoreError::Missing("job that needs an operator")) } else { Ok(()) }
    }

    /// Updates the job's row while the claim is valid. `set` is one of the constants above; its
    /// parameters begin at `$3`.
    async fn fenced(&self, tx: &mut SqliteConnection, job: JobId, set: &str, values: &[Option<String>]) -> Stored<()> {
        let statement = format!("UPDATE jobs SET {set} WHERE id = $1 AND epoch = $2 AND state = 'running'");
        let mut query = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(job.to_string()).bind(self.epoch);
        for value in values {
            query = query.bind(value.clone());
        }
        let updated = query.execute(tx).await?;
        if updated.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Fenced) }
    }
}
