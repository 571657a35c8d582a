//! Runs that ended without saying so: their process is gone, or they broke off.

use std::time::Duration;

use hostplane_domain::ids::JobId;
use hostplane_domain::plan::Verb;
use hostplane_infra::clock::Timestamp;
use sqlx::SqliteConnection;

use super::{JobError, Store, Stored, to_json};

/// How often in a row a job's run may break off before somebody has to see why.
const BREAKS: u32 = 10;
/// The longest pause before a run that broke off is taken up again.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// Makes the jobs pending that ran when an earlier process ended, and answers how many there were.
pub(super) async fn take_up(tx: &mut SqliteConnection, now: Timestamp, settle: Duration) -> Stored<u64> {
    let jobs: Vec<String> =
        sqlx::query_scalar("SELECT id FROM jobs WHERE state = 'running'").fetch_all(&mut *tx).await?;
    for job in &jobs {
        void(tx, job, now, settle).await?;
        sqlx::query("UPDATE jobs SET state = 'pending', epoch = NULL, run_at = $2 WHERE id = $1")
            .bind(job)
            .bind(now.0)
            .execute(&mut *tx)
            .await?;
    }
    Ok(jobs.len() as u64)
}

/// Ends the steps that have no outcome, as `unknown`. If one of them was making something, that may still
/// appear: then nothing is proved by absence until the answer, when the job settles.
pub(super) async fn void(
    tx: &mut SqliteConnection,
    job: &str,
    now: Timestamp,
    settle: Duration,
) -> Stored<Option<Timestamp>> {
    let lost: Vec<String> = sqlx::query_scalar(
        "UPDATE steps SET state = 'unknown', finished_at = $2 WHERE job_id = $1 AND state = 'intended'
         RETURNING action",
    )
    .bind(job)
    .bind(now.0)
    .fetch_all(&mut *tx)
    .await?;
    // A removal that lands late changes nothing.
    if !lost.iter().any(|action| action == Verb::Ensure.as_str()) {
        return Ok(None);
    }
    let settles_at = now.plus(settle);
    sqlx::query("UPDATE jobs SET settles_at = $2 WHERE id = $1").bind(job).bind(settles_at.0).execute(tx).await?;
    Ok(Some(settles_at))
}

impl Store {
    /// Makes jobs pending again that this process claimed and then lost sight of, because the database refused
    /// a write or the run broke off: after a pause that doubles each time, from `pause` on. A job whose runs
    /// do nothing but break off needs an operator. Answers how many there were.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn requeue_lost(&self, except: &[JobId], now: Timestamp, pause: Duration) -> Stored<u64> {
        let mut tx = self.writing("requeue_lost").await?;
        let jobs: Vec<(String, u32)> = sqlx::query_as(
            "SELECT id, broken_off FROM jobs
             WHERE state = 'running' AND id NOT IN (SELECT value FROM json_each($1))",
        )
        .bind(to_json(&except, "job ids")?)
        .fetch_all(&mut *tx)
        .await?;
        // Most often there is none, and nobody need be told.
        if jobs.is_empty() {
            tx.nothing_changed().await?;
            return Ok(0);
        }
        for (job, broken_off) in &jobs {
            void(&mut tx, job, now, self.settle).await?;
            let message = format!(
                "its run broke off {BREAKS} times in a row, and the log says why; mend the cause, then retry this job"
            );
            let pause = pause.saturating_mul(1 << broken_off.min(&16)).min(LONGEST_PAUSE);
            let statement = if broken_off + 1 < BREAKS {
                "UPDATE jobs SET state = 'pending', epoch = NULL, broken_off = broken_off + 1, run_at = $2
                 WHERE id = $1"
            } else {
                "UPDATE jobs SET state = 'needs_operator', epoch = NULL, broken_off = 0, waiting_for = NULL,
                                 error = $3
                 WHERE id = $1"
            };
            sqlx::query(statement)
                .bind(job)
                .bind(now.plus(pause).0)
                .bind(to_json(&JobError { step: None, message }, "jobs.error")?)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(jobs.len() as u64)
    }
}
