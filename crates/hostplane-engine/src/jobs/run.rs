//! The run of one claimed job: attempts until it ends or is put back into the queue.

use std::time::Duration;

use hostplane_domain::job::{Direction, JobState};
use hostplane_domain::naming::ResourceKind;
use hostplane_domain::plan::Goal;
use hostplane_infra::error::{Dependency, chain};
use metrics::{counter, histogram};
use tokio::time::Instant;
use tracing::{Instrument, debug, error, info, info_span, warn};

use super::failure::{Failure, RunError};
use super::failure_policy::FailureAction;
use super::runner::{Runner, is_about_all};
use crate::operations::{self, Operation};
use crate::pace::JOB_ATTEMPTS;
use crate::store::{Claim, PutBack, Stored};

/// The end of a run.
enum End {
    Completed,
    Failed,
    Cancelled,
    PutBack,
    NeedsOperator,
}

impl Runner {
    /// Runs a claimed job. The outcome is in the store and in the log.
    pub async fn run(&self, claim: Claim) {
        let span = info_span!(
            "job",
            site = %claim.site.site.name,
            job = %claim.job.id,
            operation = %claim.job.operation,
        );
        async {
            let (begun, operation) = (Instant::now(), claim.job.operation.as_str());
            let job = claim.job.id;
            let ended = self.drive(claim).await;
            if !matches!(ended, Ok(End::PutBack)) {
                self.waits_no_more(job);
            }
            count(operation, &ended, begun.elapsed());
            let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            match ended {
                Ok(End::Completed) => info!(elapsed_ms, "job completed"),
                Ok(End::Failed) => warn!(elapsed_ms, "job failed; rolled back"),
                Ok(End::Cancelled) => info!(elapsed_ms, "job cancelled; rolled back"),
                Ok(End::PutBack) => debug!(elapsed_ms, "job put back"),
                Ok(End::NeedsOperator) => error!(elapsed_ms, "job stopped; operator required"),
                Err(error) => error!(elapsed_ms, error = chain(&error), "job's run broke off at its journal"),
            }
        }
        .instrument(span)
        .await;
    }

    async fn drive(&self, mut claim: Claim) -> Stored<End> {
        let operation = operations::of(claim.job.operation);
        if let Some(down) = self.still_waiting(&claim).await {
            return self.wait_for(&claim, down).await;
        }
        // Most operations begin when they are ordered, and an operation that has begun doesn't begin again.
        let event = Some(operation.begun).filter(|event| claim.site.status.on(*event).is_ok());
        self.store.begin_run(&claim, event, self.world.clock.now()).await?;
        claim.job.waiting_for = None;
        loop {
            let failure = match self.try_to_end(&mut claim, operation).await {
                Ok(end) => return Ok(end),
                Err(RunError::Failed(failure)) => failure,
                Err(RunError::JournalLost(error)) => return Err(error),
            };
            if let Some(down) = failure.down() {
                return self.wait_for(&claim, down).await;
            }
            // A failed observation says nothing about the site: the dependency has the trouble.
            if (!failure.is_permanent() || failure.is_observation())
                && let Some(down) = self.which_is_down().await
            {
                return self.wait_for(&claim, down).await;
            }
            if !failure.is_permanent() && claim.job.attempt < JOB_ATTEMPTS {
                let pause = self.world.clock.jitter(self.settings.pace.backoff(claim.job.attempt));
                // A rollback is about the failure that it began with.
                let first = claim.job.error.take().filter(|_| claim.job.direction == Direction::Back);
                let error = first.unwrap_or_else(|| failure.for_job());
                return self.put_back(&claim, &PutBack::Failed(&error), pause).await;
            }
            match self.failure_action(&claim, operation, &failure).await? {
                FailureAction::Wait(down) => return self.wait_for(&claim, down).await,
                FailureAction::TryLater => {
                    let error = self.what_is_left(&claim, &failure, None).await;
                    self.store.fail(&claim, &error, self.world.clock.now()).await?;
                    return Ok(End::Failed);
                }
                FailureAction::Operator(why) => {
                    let error = self.what_is_left(&claim, &failure, why).await;
                    self.store.needs_operator(&claim, &error).await?;
                    return Ok(End::NeedsOperator);
                }
                FailureAction::AnotherSubnet => {
                    let until = self.world.clock.now().plus(self.settings.pace.subnet_block);
                    self.store.block_subnet(&claim, until).await?;
                    claim.job.after = None;
                    info!(error = %failure.message(), "taking another subnet");
                }
                FailureAction::RollBack => {
                    warn!(error = %failure.chain(), step = ?failure.step().map(ResourceKind::as_str), "rolling back");
                    self.store.roll_back(&claim, &failure.for_job()).await?;
                    claim.job.direction = Direction::Back;
                    claim.job.attempt = 1;
                    claim.job.error = Some(failure.for_job());
                }
            }
        }
    }

    async fn try_to_end(&self, claim: &mut Claim, operation: &Operation) -> Result<End, RunError> {
        if claim.job.must_roll_back() {
            return Err(Failure::Cancelled.into());
        }
        self.attempt(claim, operation).await?;
        Ok(self.finish(claim, operation).await?)
    }

    async fn finish(&self, claim: &Claim, operation: &Operation) -> Stored<End> {
        let now = self.world.clock.now();
        let before = &claim.job.before;
        let (state, event, spec) = match (claim.job.direction, operation.goal) {
            (Direction::Back, _) => {
                let event = operation.rolled_back.expect("an operation that is rolled back has an event for it");
                (JobState::Failed, event, before)
            }
            (Direction::Forward, Goal::Present) => (JobState::Completed, operation.completed, &claim.job.after),
            (Direction::Forward, Goal::Absent) => (JobState::Completed, operation.completed, &None),
            (Direction::Forward, Goal::Repaired) => (JobState::Completed, operation.completed, before),
        };
        let state = self.store.finish(claim, state, event, spec, now).await?;
        if operation.goal == Goal::Present && is_about_all(operation.name) {
            self.drift_cache.upgraded(claim.job.site_id);
        }
        Ok(match state {
            JobState::Completed => End::Completed,
            JobState::Cancelled => End::Cancelled,
            _ => End::Failed,
        })
    }

    /// The dependency that the job waits for, if it is still down, or busy.
    async fn still_waiting(&self, claim: &Claim) -> Option<Dependency> {
        let waiting_for = claim.job.waiting_for.as_ref()?;
        if let Some(down) = self.which_is_down().await {
            return Some(down);
        }
        let ring = self.secrets.now();
        let is_busy = waiting_for == Dependency::Site.as_str()
            && !claim.job.must_roll_back()
            && self.waits_for_update(&self.context(claim, &ring).ok()?, claim).await;
        is_busy.then_some(Dependency::Site)
    }

    async fn wait_for(&self, claim: &Claim, down: Dependency) -> Stored<End> {
        if claim.job.waiting_for.as_deref() != Some(down.as_str()) {
            warn!(waiting_for = %down, "waiting for a dependency");
        }
        self.put_back(claim, &PutBack::Waits(down), self.settings.pace.dependency_pause).await
    }

    async fn put_back(&self, claim: &Claim, why: &PutBack<'_>, pause: Duration) -> Stored<End> {
        let run_at = self.world.clock.now().plus(pause);
        self.store.put_back(claim, why, run_at).await?;
        Ok(End::PutBack)
    }
}

/// Counts a run for monitoring.
fn count(operation: &'static str, ended: &Stored<End>, elapsed: Duration) {
    histogram!("hostplane_job_duration_seconds", "operation" => operation).record(elapsed);
    let state = match ended {
        Ok(End::Completed) => JobState::Completed,
        Ok(End::Failed) => JobState::Failed,
        Ok(End::Cancelled) => JobState::Cancelled,
        Ok(End::NeedsOperator) => JobState::NeedsOperator,
        Ok(End::PutBack) | Err(_) => return,
    };
    counter!("hostplane_jobs_ended_total", "operation" => operation, "state" => state.as_str()).increment(1);
}
