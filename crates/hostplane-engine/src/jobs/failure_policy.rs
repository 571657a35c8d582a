//! The failure policy: the action that follows a failure that doesn't pass.

use hostplane_domain::desired::DesiredSite;
use hostplane_domain::job::Direction;
use hostplane_domain::naming;
use hostplane_domain::observed::{Node, Observed};
use hostplane_domain::plan::Goal;
use hostplane_infra::error::{Dependency, Effect};
use tokio::time::sleep;

use super::failure::Failure;
use super::runner::{Runner, blueprint};
use crate::inventory::ScanError;
use crate::inventory::snapshot::Depth;
use crate::operations::{self, Operation};
use crate::pace::STEP_TRIES;
use crate::store::{Claim, JobError, Stored};

/// Reasons for which nothing is rolled back.
const STALE: &str = "the control database is stale, so nothing is rolled back; restore a newer copy of it";
const UNSCANNED: &str = "the world can't be scanned, so nothing is rolled back";

/// The action after a failure that doesn't pass.
pub(super) enum FailureAction {
    /// Converges on the state before.
    RollBack,
    /// Tries again with another subnet.
    AnotherSubnet,
    /// Ends as failed: the reconciler orders another, later.
    TryLater,
    /// Waits for a dependency.
    Wait(Dependency),
    /// Waits for an operator, for a reason besides the failure if there is one.
    Operator(Option<&'static str>),
}

impl Runner {
    /// Decides the action after a failure that doesn't pass.
    pub(super) async fn failure_action(
        &self,
        claim: &Claim,
        operation: &Operation,
        failure: &Failure,
    ) -> Stored<FailureAction> {
        if operation.goal == Goal::Repaired && !failure.needs_operator() {
            return Ok(FailureAction::TryLater);
        }
        // The pivot may have been passed in this very attempt.
        let job = self.store.job(claim.job.id).await?;
        let may_roll_back = operation.pivot.is_some() && !job.past_pivot && job.direction == Direction::Forward;
        if !may_roll_back || matches!(failure, Failure::StaleDatabase { .. }) {
            return Ok(FailureAction::Operator(None));
        }
        // An existing site keeps its subnet.
        if failure.is_subnet_overlap() && claim.job.before.is_none() {
            return Ok(FailureAction::AnotherSubnet);
        }
        let mut tried = 0;
        loop {
            match self.forbids_rollback(claim).await {
                Ok(false) => return Ok(FailureAction::RollBack),
                Ok(true) => return Ok(FailureAction::Operator(Some(STALE))),
                Err(ScanError::Store(error)) => return Err(error),
                Err(ScanError::World(_)) => {}
            }
            if let Some(down) = self.which_is_down().await {
                return Ok(FailureAction::Wait(down));
            }
            tried += 1;
            if tried >= STEP_TRIES {
                return Ok(FailureAction::Operator(Some(UNSCANNED)));
            }
            sleep(self.world.clock.jitter(self.settings.pace.backoff(tried))).await;
        }
    }

    /// True when a rollback must not remove the site: the database is stale, or the site may have been completed, and
    /// used, since the copy was taken. A rollback to an existing site removes nothing of it.
    async fn forbids_rollback(&self, claim: &Claim) -> Result<bool, ScanError> {
        if claim.job.before.is_some() {
            return self.staleness.is_stale().await;
        }
        let ring = self.secrets.now();
        self.staleness.forbids_removal(&self.context(claim, &ring)?).await
    }

    /// The error of a job that can't go on, with the objects left outside; for an existing site, with the resources
    /// that are not as wanted.
    pub(super) async fn what_is_left(&self, claim: &Claim, failure: &Failure, why: Option<&str>) -> JobError {
        let goal = operations::of(claim.job.operation).goal;
        let want = match (goal, claim.job.direction) {
            (Goal::Present, Direction::Forward) => claim.job.after.as_ref(),
            (Goal::Present, Direction::Back) | (Goal::Repaired, _) => claim.job.before.as_ref(),
            (Goal::Absent, _) => None,
        };
        let want = want.filter(|_| claim.job.before.is_some());
        let what = if want.is_some() { "left to be changed" } else { "left" };
        let left = match self.left_objects(claim, want).await {
            Err(error) => format!("the objects that are left can't be observed: {error}"),
            Ok(left) if left.is_empty() => format!("nothing is {what}"),
            Ok(left) => format!("{what}: {}", left.join("; ")),
        };
        let first = claim.job.error.as_ref().map(|first| format!("; it began with: {}", first.message));
        let why = why.map(|why| format!("; {why}"));
        let message = format!(
            "{}{}; {left}{}; fix the cause, then retry this job or cancel it",
            failure.message(),
            why.unwrap_or_default(),
            first.unwrap_or_default()
        );
        JobError { step: failure.step(), message }
    }

    /// The resources that exist, or that are not as wanted.
    async fn left_objects(&self, claim: &Claim, want: Option<&DesiredSite>) -> Effect<Vec<String>> {
        let ring = self.secrets.now();
        let (cx, blueprint) = (self.context(claim, &ring)?, blueprint(claim));
        let is_left = |node: &Node| match want {
            Some(_) => !node.observed.is_as_wanted() && node.observed != Observed::NotObserved,
            None => !node.observed.is_none_of_ours(),
        };
        let snapshot = blueprint.snapshot(&cx, Depth::Shallow).await?;
        let left = blueprint.observe(&cx, want, &snapshot).into_iter().filter(is_left);
        Ok(left.map(|node| format!("{} ({})", node.kind, naming::of(node.kind, &cx.site.name))).collect())
    }
}
