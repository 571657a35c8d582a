//! Carries out the steps of a plan, each as soon as those it waits for are done.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::job::{Direction, StepState};
use hostplane_domain::naming::ResourceKind;
use hostplane_domain::plan::{Step, Verb};
use hostplane_infra::error::{Effect, EffectError};
use metrics::histogram;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::failure::{Failure, RunError};
use super::runner::{Runner, blueprint};
use crate::context::SiteCx;
use crate::store::{Claim, Outcome, StoreError, Stored};

/// The context of a plan's steps.
pub(super) struct Plan<'a> {
    pub claim: &'a Claim,
    pub direction: Direction,
    pub want: Option<&'a DesiredSite>,
    pub pivot: Option<ResourceKind>,
}

impl Runner {
    /// Carries out all steps, or as many as can be done before one fails. Steps under way are always
    /// waited for: no effect is left behind unjournalled.
    pub(super) async fn execute(&self, cx: &SiteCx<'_>, plan: &Plan<'_>, steps: Vec<Step>) -> Result<(), RunError> {
        let mut waiting = steps;
        let mut open: BTreeSet<ResourceKind> = waiting.iter().map(|step| step.kind).collect();
        let mut running = FuturesUnordered::new();
        let mut failure: Option<Failure> = None;
        let mut lost: Option<StoreError> = None;
        loop {
            if failure.is_none() && lost.is_none() {
                let (ready, rest) =
                    waiting.into_iter().partition(|step| step.after.iter().all(|kind| !open.contains(kind)));
                waiting = rest;
                for step in ready {
                    match self.intend(plan, &step).await {
                        Ok(seq) => running.push(async move {
                            let begun = Instant::now();
                            let result = self.carry_out(cx, plan, &step).await;
                            (step, seq, result, begun.elapsed())
                        }),
                        Err(StoreError::Cancelled) => {
                            failure = Some(Failure::Cancelled);
                            break;
                        }
                        Err(error) => {
                            lost = Some(error);
                            break;
                        }
                    }
                }
            }
            let Some((step, seq, result, elapsed)) = running.next().await else { break };
            log(&step, &result, elapsed);
            if let Err(error) = self.journal(plan, &step, seq, result.as_ref().err()).await {
                lost = Some(error);
            }
            match result {
                Ok(()) => {
                    open.remove(&step.kind);
                }
                Err(error) => {
                    let next = Failure::of(step.kind, error);
                    if next.says_more_than(failure.as_ref()) {
                        failure = Some(next);
                    }
                }
            }
        }
        match (lost, failure) {
            (Some(lost), _) => Err(RunError::JournalLost(lost)),
            (None, Some(failure)) => Err(failure.into()),
            (None, None) => Ok(()),
        }
    }

    async fn intend(&self, plan: &Plan<'_>, step: &Step) -> Stored<i64> {
        let now = self.world.clock.now();
        self.store.intend(plan.claim, plan.direction, step.kind, step.verb, now).await
    }

    async fn journal(&self, plan: &Plan<'_>, step: &Step, seq: i64, error: Option<&EffectError>) -> Stored<()> {
        let now = self.world.clock.now();
        let unknown = matches!(error, Some(EffectError::OutcomeUnknown { .. }));
        let state = match error {
            None => StepState::Done,
            Some(_) if unknown => StepState::Unknown,
            Some(_) => StepState::Failed,
        };
        let message = error.map(ToString::to_string);
        let outcome = Outcome {
            seq,
            state,
            error: message.as_deref(),
            pivot: error.is_none()
                && plan.direction == Direction::Forward
                && step.verb == Verb::Ensure
                && plan.pivot == Some(step.kind),
            // Only the object that was being made can still appear.
            settles_at: (unknown && step.verb == Verb::Ensure).then(|| now.plus(self.settings.pace.settle)),
        };
        self.store.outcome(plan.claim, &outcome, now).await
    }

    /// Carries out one step, and tries it again while its failure may pass.
    async fn carry_out(&self, cx: &SiteCx<'_>, plan: &Plan<'_>, step: &Step) -> Effect<()> {
        let resource = blueprint(plan.claim).resource(step.kind).expect("a plan has steps of the site's resources");
        let mut tried = 0;
        loop {
            let result = match (step.verb, plan.want) {
                (Verb::Ensure, Some(want)) => resource.ensure(cx, want).await,
                (Verb::Ensure, None) => unreachable!("nothing is ensured without a desired state"),
                (Verb::Remove, _) => resource.remove(cx).await,
            };
            match result {
                Err(EffectError::Transient { call, source, down: None }) => {
                    tried += 1;
                    if let Some(down) = self.which_is_down().await {
                        return Err(EffectError::Transient { call, source, down: Some(down) });
                    }
                    if tried >= resource.tries() {
                        return Err(EffectError::Transient { call, source, down: None });
                    }
                    sleep(self.world.clock.jitter(cx.pace.backoff(tried))).await;
                }
                other => return other,
            }
        }
    }
}

fn log(step: &Step, result: &Effect<()>, elapsed: Duration) {
    let (step, action) = (step.kind, step.verb.as_str());
    let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let outcome = if result.is_ok() { "done" } else { "failed" };
    let labels = [("resource", step.as_str()), ("action", action), ("outcome", outcome)];
    histogram!("hostplane_step_duration_seconds", &labels).record(elapsed);
    match result {
        Ok(()) => info!(%step, action, elapsed_ms, "step done"),
        Err(error) => warn!(%step, action, elapsed_ms, error = %error.chain(), "step failed"),
    }
}
