//! The end of a run in which the site's owner acted: nothing that is his has changed, and nothing holds his site.

use hostplane_domain::ids::JobId;
use hostplane_domain::job::{JobState, OperationName};
use hostplane_engine::app::JobView;
use tokio::time::timeout;

use super::{PATIENCE, Run};
use crate::check::{self, Verdict};
use crate::owned::Taken;
use crate::owner::{End, Moment};
use crate::scenario::SITE;

impl Run {
    /// The job has come to the end that is due. What the owner has deleted, he then brings back.
    pub(super) async fn ends_as_is_due(&self, job: JobId) -> Verdict {
        let (Some((at, action)), Some(taken)) = (self.owner, self.harness.gate.taken()) else { return Ok(()) };
        let moment = if at == 0 { Moment::Before } else { Moment::During };
        let end = action.end(self.scenario, moment);
        if self.only_owner {
            is_due(end, &self.running.at_rest(job).await)?;
        }
        if action.is_gone() { self.bring_back(job, end, &taken).await } else { Ok(()) }
    }

    /// A job of the site needs an operator, as data is gone; until it is there again.
    async fn bring_back(&self, job: JobId, end: End, taken: &Taken) -> Verdict {
        self.scan_deeply().await;
        let is_there = check::is_gone(&self.harness, SITE).is_err();
        let held = self.held().await;
        if let End::Held(words) = end
            && is_there
            && !held.iter().any(|job| message(job).contains(words))
        {
            return Err(format!("no job says that {words}: {held:#?}"));
        }
        taken.put_back(&mut self.harness.world.state());
        for other in held.iter().filter(|held| held.record.id != job) {
            self.running.app.retry_job(other.record.id).await.map_err(|error| error.to_string())?;
            let ended = timeout(PATIENCE, self.running.at_rest(other.record.id)).await;
            ended.map_err(|_| "the retried repair never ends")?;
        }
        Ok(())
    }

    /// Jobs that need an operator.
    async fn held(&self) -> Vec<JobView> {
        let mut jobs = self.running.all_jobs().await;
        jobs.retain(|job| job.record.state == JobState::NeedsOperator);
        jobs
    }

    /// Scans deeply, and sees the repairs that follow to their ends.
    pub(super) async fn scan_deeply(&self) {
        // One that fails is followed by another.
        let _ = self.running.app.reconcile(true).await;
        for job in self.running.jobs_of(OperationName::Repair).await {
            let _ = timeout(PATIENCE, self.running.at_rest(job.record.id)).await;
        }
    }

    /// The owner's data is as he left it, byte for byte, and no job holds his site.
    pub(super) async fn is_the_owner_s(&self) -> Verdict {
        let Some(taken) = self.harness.gate.taken() else { return Ok(()) };
        let held = self.held().await;
        if !held.is_empty() {
            return Err(format!("a job needs an operator: {held:#?}"));
        }
        if check::is_gone(&self.harness, SITE).is_ok() {
            return Ok(());
        }
        taken.is_kept(&self.harness.world.state())
    }

    /// The same change again comes to the end that is due.
    pub(super) fn next_is_due(&self, next: &JobView) -> Verdict {
        is_due(self.owner.map_or(End::Succeeds, |(_, action)| action.end_of_the_next(self.scenario)), next)
    }
}

fn message(job: &JobView) -> &str {
    job.record.error.as_ref().map_or("", |error| &error.message)
}

fn is_due(end: End, job: &JobView) -> Verdict {
    let (succeeds, says) = (job.record.state == JobState::Completed, |words| {
        job.record.state == JobState::Failed && message(job).contains(words)
    });
    let holds = match end {
        End::Succeeds => succeeds,
        End::Fails(words) => says(words),
        End::MayFail(words) => succeeds || says(words),
        // It may have ended before, and then a repair is held.
        End::Held(_) => true,
    };
    if holds { Ok(()) } else { Err(format!("{end:?} is due, and the job is {}: {:#?}", job.record.state, job.record)) }
}
