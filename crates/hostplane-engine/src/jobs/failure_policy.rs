//! The failure policy: what follows from a failure that doesn't pass.

use hostplane_domain::job::Direction;
use hostplane_domain::naming;
use hostplane_domain::observed::{Node, Observed};
use hostplane_domain::plan::Goal;
use hostplane_infra::error::Dependency;
use tokio::time::sleep;

use super::failure::Failure;
use super::runner::{Runner, blueprint};
use crate::inventory::ScanError;
use crate::inventory::snapshot::Depth;
use crate::operations::{self, Operation};
use crate::pace::STEP_TRIES;
use crate::store::{Claim, JobError, Stored};

/// Why nothing is rolled back.
const OLDER: &str = "the control database is older than the world, so nothing is rolled back";
const UNSEEN: &str = "the world can't be seen as a whole, so nothing is rolled back";

/// What to do about a failure that doesn't pass by itself.
pub(super) enum FailureAction {
    /// Converge on what was before.
    RollBack,
    /// Try again with another subnet.
    AnotherSubnet,
    /// Wait for a dependency.
    Wait(Dependency),
    /// Wait for somebody; perhaps for another reason than the failure itself.
    Operator(Option<&'static str>),
}

impl Runner {
    /// What to do about a failure that doesn't pass by itself.
    pub(super) async fn failure_action(
        &self,
        claim: &Claim,
        operation: &Operation,
        failure: &Failure,
    ) -> Stored<FailureAction> {
        // The pivot may have been passed in this very attempt.
        let job = self.store.job(claim.job.id).await?;
        let may_turn = operation.pivot.is_some() && !job.past_pivot && job.direction == Direction::Forward;
        if !may_turn || matches!(failure, Failure::StaleDatabase { .. }) {
            return Ok(FailureAction::Operator(None));
        }
        // Of a site that is there, the subnet stays.
        if failure.is_subnet_overlap() && claim.job.before.is_none() {
            return Ok(FailureAction::AnotherSubnet);
        }
        let mut tried = 0;
        loop {
            match self.forbids_rollback(claim).await {
                Ok(false) => return Ok(FailureAction::RollBack),
                Ok(true) => return Ok(FailureAction::Operator(Some(OLDER))),
                Err(ScanError::Store(error)) => return Err(error),
                Err(ScanError::World(_)) => {}
            }
            if let Some(down) = self.which_is_down().await {
                return Ok(FailureAction::Wait(down));
            }
            tried += 1;
            if tried >= STEP_TRIES {
                return Ok(FailureAction::Operator(Some(UNSEEN)));
            }
            sleep(self.world.clock.jitter(self.settings.pace.backoff(tried))).await;
        }
    }

    /// A rollback removes, and a stale database must not do that: the site may have been completed, and used, since the
    /// copy was taken. A rollback to a site that was there before removes nothing of it.
    async fn forbids_rollback(&self, claim: &Claim) -> Result<bool, ScanError> {
        if claim.job.before.is_some() {
            return self.staleness.is_stale().await;
        }
        let ring = self.secrets.now();
        self.staleness.forbids_removal(&self.context(claim, &ring)).await
    }

    /// The error of a job that can't go on, with what is left of the site outside; of a site that was there before,
    /// with what is neither as before nor as it was to be.
    pub(super) async fn what_is_left(&self, claim: &Claim, failure: &Failure, why: Option<&str>) -> JobError {
        let ring = self.secrets.now();
        let cx = self.context(claim, &ring);
        let blueprint = blueprint(claim);
        let goal = operations::of(claim.job.operation).goal;
        let want = match (goal, claim.job.direction) {
            (Goal::Present, Direction::Forward) => claim.job.after.as_ref(),
            (Goal::Present, Direction::Back) | (Goal::Repaired, _) => claim.job.before.as_ref(),
            (Goal::Absent, _) => None,
        };
        let want = want.filter(|_| claim.job.before.is_some());
        let is_left = |node: &Node| match want {
            Some(_) => !node.observed.is_as_wanted() && node.observed != Observed::NotObserved,
            None => !node.observed.is_none_of_ours(),
        };
        let left = match blueprint.snapshot(&cx, Depth::Shallow).await {
            Err(error) => format!("what is left can't be seen: {error}"),
            Ok(snapshot) => {
                let left = blueprint
                    .observe(&cx, want, &snapshot)
                    .into_iter()
                    .filter(is_left)
                    .map(|node| format!("{} ({})", node.kind, naming::of(node.kind, &cx.site.name)))
                    .collect::<Vec<_>>();
                let what = if want.is_some() { "left to be changed" } else { "left" };
                if left.is_empty() { format!("nothing is {what}") } else { format!("{what}: {}", left.join("; ")) }
            }
        };
        let first = claim.job.error.as_ref().map(|first| format!("; it began with: {}", first.message));
        let why = why.map(|why| format!("; {why}"));
        let message = format!(
            "{}{}; {left}{}; mend the cause, then retry this job",
            failure.message(),
            why.unwrap_or_default(),
            first.unwrap_or_default()
        );
        JobError { step: failure.step(), message }
    }
}
