//! Claims jobs that are due and runs them, several at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hostplane_domain::ids::JobId;
use hostplane_infra::clock::Timestamp;
use hostplane_infra::error::chain;
use tokio::task::{Id, JoinSet};
use tokio::time::sleep;
use tracing::{error, info, warn};

use super::runner::Runner;
use crate::background::signal::Signal;
use crate::store::Stored;

/// Longest pause between two claims. It matters only for jobs that another process, or an earlier fault of the
/// database, left without a wake-up.
const SWEEP: Duration = Duration::from_secs(5);

/// The worker.
pub(crate) struct Worker {
    runner: Arc<Runner>,
    signal: Signal,
    concurrency: usize,
}

impl Worker {
    pub fn new(runner: Runner, signal: Signal, concurrency: usize) -> Self {
        Self { runner: Arc::new(runner), signal, concurrency: concurrency.max(1) }
    }

    /// Runs until `stop` resolves, then waits for the jobs under way.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let mut running: JoinSet<()> = JoinSet::new();
        let mut ids: BTreeMap<Id, JobId> = BTreeMap::new();
        loop {
            let pause = match self.fill(&mut running, &mut ids).await {
                Ok(pause) => pause,
                Err(error) => {
                    error!(error = chain(&error), "can't claim jobs");
                    SWEEP
                }
            };
            // In this order, so that a run in virtual time is the same each time.
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = self.signal.notified() => {}
                Some(ended) = running.join_next_with_id(), if !running.is_empty() => forget(&mut ids, ended),
                () = sleep(pause) => {}
            }
        }
        if !running.is_empty() {
            info!(jobs = running.len(), "waiting for running jobs");
        }
        while running.join_next().await.is_some() {}
    }

    /// Claims as many due jobs as there are free places, and returns the time until the next is due.
    async fn fill(&self, running: &mut JoinSet<()>, ids: &mut BTreeMap<Id, JobId>) -> Stored<Duration> {
        let store = &self.runner.store;
        let known: Vec<JobId> = ids.values().copied().collect();
        let lost = store.requeue_lost(&known, self.now(), SWEEP).await?;
        if lost > 0 {
            warn!(jobs = lost, "resuming jobs whose run broke off");
        }
        while running.len() < self.concurrency {
            let Some(claim) = store.claim(self.now()).await? else { break };
            let job = claim.job.id;
            let runner = Arc::clone(&self.runner);
            let task = running.spawn(async move { runner.run(claim).await });
            ids.insert(task.id(), job);
        }
        if running.len() >= self.concurrency {
            return Ok(SWEEP);
        }
        let due = store.next_due().await?;
        Ok(due.map_or(SWEEP, |due| due.since(self.now()).min(SWEEP)))
    }

    fn now(&self) -> Timestamp {
        self.runner.world.clock.now()
    }
}

fn forget(ids: &mut BTreeMap<Id, JobId>, ended: Result<(Id, ()), tokio::task::JoinError>) {
    let id = match &ended {
        Ok((id, ())) => *id,
        Err(error) => error.id(),
    };
    let job = ids.remove(&id);
    if let (Err(error), Some(job)) = (ended, job) {
        // The next sweep resumes it.
        error!(%job, %error, "a job's run broke off; resuming it soon");
    }
}
