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
use crate::store::{OrderedBy, Stored};

/// Longest pause between two claims. It matters only for jobs that another process, or an earlier fault of the
/// database, left without a wake-up.
const SWEEP: Duration = Duration::from_secs(5);

/// The worker.
pub(crate) struct Worker {
    runner: Arc<Runner>,
    signal: Signal,
    concurrency: usize,
    /// Most jobs at once that the control plane itself orders: repairs above all.
    automatic: usize,
}

/// Runs under way: the job of each task, and the one who ordered it.
type Running = BTreeMap<Id, (JobId, OrderedBy)>;

impl Worker {
    pub fn new(runner: Runner, signal: Signal) -> Self {
        let (concurrency, automatic) = (runner.settings.concurrency.max(1), runner.settings.repair_concurrency.max(1));
        Self { runner: Arc::new(runner), signal, concurrency, automatic }
    }

    /// Runs until `stop` resolves, then waits for the jobs under way.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let mut running: JoinSet<()> = JoinSet::new();
        let mut ids = Running::new();
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
    async fn fill(&self, running: &mut JoinSet<()>, ids: &mut Running) -> Stored<Duration> {
        let store = &self.runner.store;
        let known: Vec<JobId> = ids.values().map(|(job, _)| *job).collect();
        let lost = store.requeue_lost(&known, self.now(), SWEEP).await?;
        if lost > 0 {
            warn!(jobs = lost, "resuming jobs whose run broke off");
        }
        while running.len() < self.concurrency {
            let Some(claim) = store.claim(self.now(), self.takes_automatic(ids)).await? else { break };
            let job = (claim.job.id, claim.job.ordered_by);
            let runner = Arc::clone(&self.runner);
            let task = running.spawn(async move { runner.run(claim).await });
            ids.insert(task.id(), job);
        }
        if running.len() >= self.concurrency {
            return Ok(SWEEP);
        }
        let due = store.next_due(self.takes_automatic(ids)).await?;
        Ok(due.map_or(SWEEP, |due| due.since(self.now()).min(SWEEP)))
    }

    /// True while one more job may run that no person has ordered.
    fn takes_automatic(&self, ids: &Running) -> bool {
        ids.values().filter(|(_, by)| *by == OrderedBy::ControlPlane).count() < self.automatic
    }

    fn now(&self) -> Timestamp {
        self.runner.world.clock.now()
    }
}

fn forget(ids: &mut Running, ended: Result<(Id, ()), tokio::task::JoinError>) {
    let id = match &ended {
        Ok((id, ())) => *id,
        Err(error) => error.id(),
    };
    let job = ids.remove(&id);
    if let (Err(error), Some((job, _))) = (ended, job) {
        // The next sweep resumes it.
        error!(%job, %error, "a job's run broke off; resuming it soon");
    }
}
