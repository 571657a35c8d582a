//! A job's journal of its steps, and its consequences.

use hostplane_domain::job::{JobState, StepState};
use hostplane_domain::naming::ResourceKind;
use hostplane_engine::app::JobView;
use hostplane_engine::pace::{JOB_ATTEMPTS, STEP_TRIES};
use hostplane_infra::error::{Dependency, EffectError, Rejection};
use hostplane_infra::gate::Verdict;

use crate::harness::{Harness, failure, with_hello};

fn refused() -> Verdict {
    Verdict::Fail(Rejection::Invalid { by: Dependency::DOCKER, message: "injected".into() }.into())
}

fn passing(call: &'static str) -> Verdict {
    Verdict::Fail(EffectError::transient_message(call, "injected"))
}

fn unknown(call: &'static str) -> Verdict {
    Verdict::Fail(EffectError::unknown_message(call, "injected"))
}

fn states(job: &JobView, kind: ResourceKind, action: &str) -> Vec<StepState> {
    let steps = job.steps.iter().filter(|step| step.resource == kind && step.action == action);
    steps.map(|step| step.state).collect()
}

#[tokio::test]
async fn a_step_is_done_failed_or_unknown() {
    let harness = Harness::new().await;
    harness.gate.next("docker.create_network", unknown("docker.create_network"));
    let running = harness.start().await;
    let job = running.active("hello").await;
    assert_eq!(states(&job, ResourceKind::Network, "ensure"), [StepState::Unknown, StepState::Done]);
    assert!(job.record.settles_at.is_some(), "what was being made may still appear");
    assert!(job.record.past_pivot);

    harness.gate.next("docker.remove_network", unknown("docker.remove_network"));
    let destroy = running.destroy("hello").await;
    let job = running.ended(destroy).await;
    assert_eq!(states(&job, ResourceKind::Network, "remove"), [StepState::Unknown, StepState::Done]);
    assert_eq!(job.record.settles_at, None, "a removal that lands late changes nothing");
    assert!(!job.record.past_pivot, "a removal is no confirmation");

    harness.gate.next("wordpress.install", refused());
    let failed = running.create("other").await;
    let job = running.ended(failed).await;
    assert_eq!(states(&job, ResourceKind::WordpressInstall, "ensure"), [StepState::Failed]);
    assert!(!job.record.past_pivot);
    assert_eq!(job.record.settles_at, None);
    running.stop().await;
}

#[tokio::test]
async fn after_a_step_has_failed_no_other_is_begun() {
    let harness = Harness::new().await;
    harness.gate.next("mariadb.ensure_tenant", refused());
    let running = harness.start().await;
    let job = running.create("hello").await;
    let job = running.ended(job).await;
    assert_eq!((job.record.state, failure(&job).0), (JobState::Failed, Some("database")));
    for kind in [ResourceKind::PhpContainer, ResourceKind::NginxContainer, ResourceKind::Route, ResourceKind::Serving] {
        assert_eq!(states(&job, kind, "ensure"), [], "{kind}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_step_is_tried_so_often_and_then_its_job() {
    let call = "docker.create_network";
    let harness = Harness::new().await;
    let running = harness.start().await;
    for _ in 1..STEP_TRIES {
        harness.gate.next(call, passing(call));
    }
    assert_eq!(running.active("hello").await.record.attempt, 1);
    for _ in 0..STEP_TRIES {
        harness.gate.next(call, passing(call));
    }
    let job = running.active("second").await;
    assert_eq!(job.record.attempt, 2);
    assert_eq!(states(&job, ResourceKind::Network, "ensure"), [StepState::Failed, StepState::Done]);
    for _ in 0..STEP_TRIES * JOB_ATTEMPTS {
        harness.gate.next(call, passing(call));
    }
    let job = running.create("third").await;
    assert_eq!(running.ended(job).await.record.state, JobState::Failed);
    running.stop().await;
}

#[tokio::test]
async fn a_refused_scan_fails_only_while_everything_answers() {
    let (harness, running) = with_hello().await;
    harness.gate.cut_off(Dependency::CADDY);
    harness.gate.next("mariadb.tenants", refused());
    let job = running.destroy("hello").await;
    let waits = running.waiting(job).await;
    assert_eq!((waits.record.waiting_for.as_deref(), waits.record.attempt), (Some("caddy"), 1));
    harness.gate.reconnect(Dependency::CADDY);
    running.completed(job).await;
    running.stop().await;
}
