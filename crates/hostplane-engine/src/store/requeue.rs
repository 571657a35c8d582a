//! Runs that ended without an outcome: their process is gone, or they broke off.

use std::time::Duration;

use hostplane_domain::ids::JobId;
use hostplane_domain::plan::Verb;
use hostplane_infra::clock::Timestamp;

use super::dialect::{Connection, id_rows, ids};
use super::row::to_json;
use super::{JobError, Store, Stored, sql};

/// Runs of a job in a row that break off until an operator is required.
const BREAKS: u32 = 10;
/// The longest pause before a run that broke off is taken up again.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// Makes the jobs pending that ran when an earlier process ended, and answers their number.
pub(super) async fn take_up(tx: &mut Connection, now: Timestamp, settle: Duration) -> Stored<u64> {
    let jobs: Vec<String> =
        sql::scalar("SELECT id FROM jobs WHERE state = 'running' AND finished_at IS NULL").fetch_all(&mut *tx).await?;
    for job in &jobs {
        void(tx, job, now, settle).await?;
        sql::query("UPDATE jobs SET state = 'pending', epoch = NULL, run_at = $2 WHERE id = $1")
            .bind(job)
            .bind(now.0)
            .execute(&mut *tx)
            .await?;
    }
    Ok(jobs.len() as u64)
}

/// Ends the steps that have no outcome, as `unknown`. If one of them was making something, that may still appear:
/// absence proves nothing before the answer, when the job settles.
pub(super) async fn void(
    tx: &mut Connection,
    job: &str,
    now: Timestamp,
    settle: Duration,
) -> Stored<Option<Timestamp>> {
    let lost: Vec<String> = sql::scalar(
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
    sql::query("UPDATE jobs SET settles_at = $2 WHERE id = $1").bind(job).bind(settles_at.0).execute(tx).await?;
    Ok(Some(settles_at))
}

impl Store {
    /// Makes jobs pending again that this process claimed and doesn't run any more, because the database refused a write
    /// or the run broke off: after a pause that doubles each time, from `pause` on. A job whose runs all break off needs
    /// an operator. Answers the number of jobs.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn requeue_lost(&self, except: &[JobId], now: Timestamp, pause: Duration) -> Stored<u64> {
        let mut tx = self.writing("requeue_lost").await?;
        let known = id_rows("$1");
        let jobs: Vec<(String, u32)> = sql::tuple(format!(
            "SELECT id, broken_off FROM jobs
             WHERE state = 'running' AND finished_at IS NULL AND id NOT IN (SELECT id FROM {known} AS known)"
        ))
        .bind(ids(except)?)
        .fetch_all(&mut *tx)
        .await?;
        // Most often there is none, and no notification is due.
        if jobs.is_empty() {
            tx.nothing_changed().await?;
            return Ok(0);
        }
        for (job, broken_off) in &jobs {
            void(&mut tx, job, now, self.settle).await?;
            let message = format!(
                "its run broke off {BREAKS} times in a row, and the log says why; repair the cause, then retry this job"
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
            sql::query(statement)
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
