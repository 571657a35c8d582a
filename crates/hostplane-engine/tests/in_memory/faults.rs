//! One fault at every outside call there is, for both operations.

use std::time::Duration;

use hostplane_domain::job::{JobState, StepState};
use hostplane_domain::kind::Kind;
use hostplane_domain::status::SiteStatus;
use hostplane_engine::app::JobView;
use hostplane_infra::error::{Dependency, EffectError, Rejection};
use hostplane_infra::fake::State;
use hostplane_infra::gate::Verdict;

use crate::bed::{Bed, site_name};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Provision,
    Destroy,
}

/// A bed on which the operation is about to be asked for, with the worlds before and after it.
struct Stage {
    bed: Bed,
    before: State,
}

impl Operation {
    async fn stage(self) -> Stage {
        let bed = Bed::new().await;
        if self == Self::Destroy {
            let running = bed.start().await;
            running.active("hello").await;
            running.stop().await;
        }
        let before = bed.state();
        Stage { bed, before }
    }

    async fn ask(self, running: &crate::bed::Running) -> hostplane_domain::ids::JobId {
        match self {
            Self::Provision => running.create("hello").await,
            Self::Destroy => running.app.destroy_site(&site_name("hello")).await.unwrap().record.id,
        }
    }

    /// The calls of a run without faults: their numbers on a fresh stage.
    async fn calls(self) -> (usize, usize) {
        let stage = self.stage().await;
        let first = stage.bed.gate.calls().len();
        let running = stage.bed.start().await;
        let job = self.ask(&running).await;
        assert_eq!(running.ended(job).await.record.state, JobState::Completed);
        running.stop().await;
        (first, stage.bed.gate.calls().len())
    }
}

fn is_empty(state: &State) -> bool {
    state.containers.containers.is_empty()
        && state.containers.volumes.is_empty()
        && state.containers.networks.len() == 1
        && state.databases.databases.is_empty()
        && state.databases.users.is_empty()
        && state.databases.ledger.is_empty()
        && state.proxy.snippets.is_empty()
}

#[tokio::test]
async fn a_provision_refused_at_any_call_leaves_nothing() {
    let (first, end) = Operation::Provision.calls().await;
    assert!(end - first > 25, "{first}..{end}");
    for n in first..end {
        let Stage { bed, before } = Operation::Provision.stage().await;
        let refusal = Rejection::Invalid { by: Dependency::Docker, message: "injected".into() };
        bed.gate.at(n, Verdict::Fail(refusal.into()));
        let running = bed.start().await;
        let job = running.create("hello").await;
        let job = running.ended(job).await;
        let call = bed.gate.calls()[n];
        // A page or a fact that can't be had is asked for again; everything else is the end.
        if job.record.state == JobState::Completed {
            assert!(matches!(call.name, "probe.get" | "wordpress.facts" | "docker.download"), "{call:?}");
        } else {
            assert_eq!(job.record.state, JobState::Failed, "call {n} {call:?}");
            assert_eq!(running.status("hello").await, SiteStatus::Failed);
            assert_eq!(bed.state(), before, "call {n} {call:?}");
        }
        running.stop().await;
    }
}

#[tokio::test]
async fn a_lost_reply_at_any_call_is_survived() {
    for operation in [Operation::Provision, Operation::Destroy] {
        let (first, end) = operation.calls().await;
        for n in first..end {
            let Stage { bed, .. } = operation.stage().await;
            bed.gate.at(n, Verdict::RunThenLose);
            let running = bed.start().await;
            let job = operation.ask(&running).await;
            let job = running.ended(job).await;
            let call = bed.gate.calls()[n];
            assert_eq!(
                job.record.state,
                JobState::Completed,
                "{operation:?} call {n} {call:?}: {:?}",
                job.record.error
            );
            match operation {
                Operation::Provision => assert_eq!(running.not_present("hello").await, Vec::<String>::new()),
                Operation::Destroy => assert!(is_empty(&bed.state()), "call {n} {call:?}"),
            }
            running.stop().await;
        }
    }
}

#[tokio::test]
async fn an_error_before_any_call_is_survived() {
    for operation in [Operation::Provision, Operation::Destroy] {
        let (first, end) = operation.calls().await;
        for n in first..end {
            let Stage { bed, .. } = operation.stage().await;
            bed.gate.at(n, Verdict::Fail(EffectError::transient_message("test", "reset by peer")));
            let running = bed.start().await;
            let job = operation.ask(&running).await;
            let job = running.ended(job).await;
            assert_eq!(job.record.state, JobState::Completed, "{operation:?} call {n}: {:?}", job.record.error);
            running.stop().await;
        }
    }
}

#[tokio::test]
async fn a_kill_before_any_call_is_recovered_from_by_the_next_start() {
    recovers_from_a_kill(Verdict::Hang).await;
}

#[tokio::test]
async fn a_kill_after_any_call_and_before_its_journal_is_recovered_from_by_the_next_start() {
    recovers_from_a_kill(Verdict::RunThenHang).await;
}

async fn recovers_from_a_kill(verdict: Verdict) {
    for operation in [Operation::Provision, Operation::Destroy] {
        let (first, end) = operation.calls().await;
        for n in first..end {
            let Stage { bed, .. } = operation.stage().await;
            bed.gate.at(n, verdict.clone());
            let running = bed.start().await;
            let job = operation.ask(&running).await;
            bed.gate.reached(n).await;
            running.kill().await;
            let running = bed.start().await;
            let job = running.ended(job).await;
            assert_eq!(job.record.state, JobState::Completed, "{operation:?} call {n}: {:?}", job.record.error);
            match operation {
                Operation::Provision => assert_eq!(running.not_present("hello").await, Vec::<String>::new()),
                Operation::Destroy => assert!(is_empty(&bed.state()), "call {n}"),
            }
            running.stop().await;
        }
    }
}

#[tokio::test]
async fn a_fault_during_a_rollback_is_survived() {
    // The installer refuses, so that there is most to be removed.
    let refuse = || Verdict::Fail(Rejection::WouldLoseData("injected".into()).into());
    let calls = {
        let Stage { bed, .. } = Operation::Provision.stage().await;
        bed.gate.next("wordpress.install", refuse());
        let running = bed.start().await;
        let job = running.create("hello").await;
        assert_eq!(running.ended(job).await.record.state, JobState::Failed);
        running.stop().await;
        bed.gate.calls()
    };
    let turned = calls.iter().position(|call| call.name == "wordpress.install").unwrap() + 1;
    for n in turned..calls.len() {
        for verdict in [Verdict::RunThenLose, Verdict::Fail(EffectError::transient_message("test", "reset by peer"))] {
            let Stage { bed, before } = Operation::Provision.stage().await;
            bed.gate.next("wordpress.install", refuse());
            bed.gate.at(n, verdict.clone());
            let running = bed.start().await;
            let job = running.create("hello").await;
            let job = running.ended(job).await;
            assert_eq!(job.record.state, JobState::Failed, "call {n} {verdict:?}: {:?}", job.record.error);
            assert_eq!(bed.state(), before, "call {n} {verdict:?}");
            running.stop().await;
        }
    }
}

#[tokio::test]
async fn what_lands_late_is_seen_and_removed_before_a_rollback_ends() {
    let Stage { mut bed, before } = Operation::Provision.stage().await;
    bed.settings.pace.settle = Duration::from_secs(2);
    // The volume is asked for, and nobody learns whether it will be made.
    let unknown = EffectError::unknown_message("docker.create_volume", "the connection was reset");
    bed.gate.next("docker.create_volume", Verdict::Fail(unknown));
    bed.gate.next("wordpress.install", Verdict::Fail(Rejection::WouldLoseData("injected".into()).into()));
    let running = bed.start().await;
    let job = running.create("hello").await;
    running
        .app
        .job_when(job, |job| job.steps.iter().any(|step| step.resource == Kind::WordpressInstall))
        .await
        .unwrap();
    let late = bed.state().containers.volumes["wp_hello"].clone();
    let removed = |job: &JobView| {
        job.steps
            .iter()
            .any(|step| step.resource == Kind::FilesVolume && step.action == "remove" && step.state == StepState::Done)
    };
    running.app.job_when(job, removed).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(200), running.ended(job)).await;
    assert!(early.is_err(), "absence proves nothing before the call has settled");
    bed.world.state().containers.volumes.insert("wp_hello".into(), late);
    let job = running.ended(job).await;
    assert_eq!(job.record.state, JobState::Failed);
    assert_eq!(bed.state(), before);
    running.stop().await;
}
