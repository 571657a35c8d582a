//! A dependency that is down pauses work; it fails nothing and burns no attempt.

use hostplane_domain::job::JobState;
use hostplane_infra::error::{Dependency, EffectError};
use hostplane_infra::gate::Verdict;

use crate::harness::Harness;

const ALL: [Dependency; 3] = [Dependency::DOCKER, Dependency::Mariadb, Dependency::CADDY];

#[tokio::test]
async fn a_job_waits_from_the_start_and_says_for_what() {
    for down in ALL {
        let harness = Harness::new().await;
        harness.gate.cut_off(down);
        let running = harness.start().await;
        let job = running.create("hello").await;
        let waits = running.waiting(job).await;
        assert_eq!(waits.record.waiting_for.as_deref(), Some(down.as_str()));
        assert_eq!(waits.record.attempt, 1);
        harness.gate.reconnect(down);
        let done = running.completed(job).await;
        assert_eq!(done.record.attempt, 1);
        assert_eq!(done.record.waiting_for, None);
        running.stop().await;
    }
}

#[tokio::test]
async fn a_job_waits_in_the_middle_and_rolls_nothing_back() {
    for (down, call) in [
        (Dependency::DOCKER, "docker.start_container"),
        (Dependency::Mariadb, "mariadb.ensure_tenant"),
        (Dependency::CADDY, "caddy.put_route"),
    ] {
        let harness = Harness::new().await;
        let refused = EffectError::transient_message("test", "connection refused");
        harness.gate.next(call, Verdict::Fail(refused));
        let running = harness.start().await;
        let job = running.create("hello").await;
        // From the moment of the failing call on, the dependency can't be reached.
        running.app.job_when(job, |job| !job.steps.is_empty()).await.unwrap();
        harness.gate.cut_off(down);
        let waits = running.waiting(job).await;
        assert_eq!(waits.record.waiting_for.as_deref(), Some(down.as_str()));
        harness.gate.reconnect(down);
        let done = running.completed(job).await;
        assert_eq!(done.record.attempt, 1);
        assert!(done.steps.iter().all(|step| step.action == "ensure"), "nothing was removed");
        running.stop().await;
    }
}

#[tokio::test]
async fn a_destroy_waits_too() {
    for down in ALL {
        let harness = Harness::new().await;
        let running = harness.start().await;
        let before = harness.state();
        running.active("hello").await;
        harness.gate.cut_off(down);
        let job = running.destroy("hello").await;
        running.waiting(job).await;
        harness.gate.reconnect(down);
        running.completed(job).await;
        assert_eq!(harness.state(), before);
        running.stop().await;
    }
}

#[tokio::test]
async fn while_the_world_can_t_be_seen_as_a_whole_nothing_is_rolled_back() {
    let harness = Harness::new().await;
    // Caddy is there, and never answers what it serves: neither a job nor a scan.
    for _ in 0..200 {
        for call in ["caddy.route", "caddy.routes"] {
            harness.gate.next(call, Verdict::Fail(EffectError::transient_message(call, "no answer")));
        }
    }
    let running = harness.start().await;
    let job = running.create("hello").await;
    let ended = running.ended(job).await;
    assert_eq!(ended.record.state, JobState::NeedsOperator);
    let message = ended.record.error.unwrap().message;
    assert!(message.contains("the world can't be scanned, so nothing is rolled back"), "{message}");
    running.stop().await;
}
