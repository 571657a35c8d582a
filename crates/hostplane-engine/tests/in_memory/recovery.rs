//! Cancelling, destroying what is stuck, collecting what landed late, and a database older than the world.

use std::time::Duration;

use hostplane_domain::ids::JobId;
use hostplane_domain::job::{JobState, OperationName};
use hostplane_domain::status::SiteStatus;
use hostplane_engine::app::{AppError, JobView};
use hostplane_infra::error::{Dependency, EffectError, Rejection};
use hostplane_infra::gate::Verdict;
use hostplane_testing::harness::{ControlPlane, name, new_site};

use crate::harness::{Harness, failure, until};

fn refusal() -> Verdict {
    Verdict::Fail(EffectError::Rejected(Rejection::Invalid { by: Dependency::Mariadb, message: "injected".into() }))
}

/// A harness on which scans come at once, and orphans without data are deleted as soon as they may.
async fn watchful() -> Harness {
    let mut harness = Harness::new().await;
    harness.settings.pace.scan_interval = Duration::from_millis(5);
    harness.settings.pace.orphan_grace = Duration::from_millis(20);
    harness
}

/// The newest job, as soon as it is as wanted.
async fn newest_when(running: &ControlPlane, seen: impl Fn(&JobView) -> bool) -> JobView {
    until("such a job", async || running.all_jobs().await.into_iter().next().filter(&seen)).await
}

/// Until the database is, or is not, known to be older than the world.
async fn older(running: &ControlPlane, older: bool) -> String {
    let said = async || {
        let readiness = running.app.readiness().await;
        let said = readiness.checks.into_iter().find(|(name, _)| *name == "journal").and_then(|(_, said)| said);
        (said.is_some() == older).then(|| said.unwrap_or_default().to_owned())
    };
    until("a scan", said).await
}

#[tokio::test]
async fn a_waiting_job_is_cancelled_once_it_can_observe() {
    let harness = Harness::new().await;
    let before = harness.state();
    harness.gate.cut_off(Dependency::Mariadb);
    let running = harness.start().await;
    let job = running.create("hello").await;
    running.waiting(job).await;
    running.app.cancel_job(job).await.unwrap();
    running.app.cancel_job(job).await.expect("twice is fine");
    harness.gate.reconnect(Dependency::Mariadb);
    let ended = running.ended(job).await;
    assert_eq!((ended.record.state, running.status("hello").await), (JobState::Cancelled, SiteStatus::Failed));
    assert_eq!(failure(&ended).1, "cancelled by request");
    assert_eq!(harness.state(), before);

    let again = running.app.retry_job(job).await.unwrap();
    running.completed(again.record.id).await;
    running.stop().await;
}

#[tokio::test]
async fn what_can_not_be_cancelled_says_why() {
    let harness = Harness::new().await;
    let running = harness.start().await;
    let made = running.active("hello").await.record.id;
    let refused = running.app.cancel_job(made).await.unwrap_err();
    assert!(matches!(refused, AppError::NotCancellable(why) if why.contains("has ended")), "{refused}");
    harness.gate.cut_off(Dependency::DOCKER);
    let destroy = running.destroy("hello").await;
    let refused = running.app.cancel_job(destroy).await.unwrap_err();
    assert!(matches!(refused, AppError::NotCancellable(why) if why.contains("be rolled back")), "{refused}");
    harness.gate.reconnect(Dependency::DOCKER);
    running.completed(destroy).await;
    running.stop().await;
}

#[tokio::test]
async fn a_site_that_failed_half_way_can_be_destroyed() {
    let harness = Harness::new().await;
    let before = harness.state();
    harness.gate.next("wordpress.install", refusal());
    harness.gate.next("mariadb.remove_tenant", refusal());
    let running = harness.start().await;
    let job = running.create("hello").await;
    let stuck = running.ended(job).await;
    assert_eq!(stuck.record.state, JobState::NeedsOperator);
    let (_, account) = failure(&stuck);
    assert!(account.contains("left:") && account.contains("database (wp_hello)"), "{account}");

    let destroy = running.app.destroy_site(&name("hello")).await.unwrap();
    assert_eq!(destroy.record.operation, OperationName::Destroy);
    running.completed(destroy.record.id).await;
    assert_eq!(running.app.job(job).await.unwrap().record.state, JobState::Failed, "it was given up");
    assert_eq!(harness.state(), before);
    running.active("hello").await;
    running.stop().await;
}

#[tokio::test]
async fn what_was_seen_long_ago_counts_no_more() {
    let harness = watchful().await;
    let running = harness.start().await;
    older(&running, false).await;
    harness.gate.cut_off(Dependency::DOCKER);
    let said = older(&running, true).await;
    assert!(said.contains("not compared"), "{said}");
    harness.gate.reconnect(Dependency::DOCKER);
    older(&running, false).await;
    running.stop().await;
}

/// A site that is ACTIVE, on a database from the middle of its provision.
async fn taken_in_the_middle(harness: &Harness) -> (ControlPlane, JobId) {
    harness.gate.cut_off(Dependency::CADDY);
    let running = harness.start().await;
    let job = running.create("hello").await;
    running.waiting(job).await;
    running.stop().await;
    let copy = harness.copy_database();
    harness.gate.reconnect(Dependency::CADDY);
    let running = harness.start().await;
    running.completed(job).await;
    running.stop().await;
    harness.gate.cut_off(Dependency::CADDY);
    harness.restore_database(&copy);
    (harness.start().await, job)
}

#[tokio::test]
async fn a_provision_that_an_older_copy_takes_up_again_never_rolls_back_what_was_confirmed() {
    let harness = Harness::new().await;
    let (running, job) = taken_in_the_middle(&harness).await;
    let world = harness.state();
    running.app.cancel_job(job).await.unwrap();
    harness.gate.reconnect(Dependency::CADDY);
    let stuck = running.ended(job).await;
    assert_eq!(stuck.record.state, JobState::NeedsOperator);
    assert!(failure(&stuck).1.contains("nothing is rolled back"), "{stuck:?}");
    assert_eq!(harness.state(), world);
    running.stop().await;
}

#[tokio::test]
async fn a_provision_that_an_older_copy_takes_up_again_ends_as_it_did() {
    let harness = Harness::new().await;
    let (running, job) = taken_in_the_middle(&harness).await;
    let world = harness.state();
    harness.gate.reconnect(Dependency::CADDY);
    running.completed(job).await;
    assert_eq!(harness.state(), world);
    running.stop().await;
}

#[tokio::test]
async fn a_collect_that_is_stuck_can_be_given_up_and_comes_back_later() {
    let mut harness = watchful().await;
    harness.settings.pace.collect_backoff = Duration::from_millis(300);
    let before = harness.state();
    let running = harness.start().await;
    running.active("hello").await;
    let made = harness.state();
    running.destroyed("hello").await;
    harness.gate.next("docker.remove_network", refusal());
    let late = made.containers.networks.iter().find(|(_, network)| network.name == "site_hello").unwrap();
    harness.world.state().containers.networks.insert(late.0.clone(), late.1.clone());
    let is_collect = |job: &JobView| job.record.operation == OperationName::Collect;
    let stuck = newest_when(&running, |job| is_collect(job) && job.record.state == JobState::NeedsOperator).await;
    let begun = harness.now();
    let ended = running.app.cancel_job(stuck.record.id).await.unwrap();
    assert_eq!(ended.record.state, JobState::Cancelled);
    let refused = running.app.cancel_job(stuck.record.id).await.unwrap_err();
    assert!(matches!(refused, AppError::NotCancellable(_)), "{refused}");
    let again =
        newest_when(&running, |job| job.record.id != stuck.record.id && job.record.state == JobState::Completed).await;
    assert!(is_collect(&again));
    let pause = again.record.created_at.since(begun);
    assert!(pause >= harness.settings.pace.collect_backoff, "{pause:?}");
    assert_eq!(harness.state(), before);
    running.stop().await;
}

#[tokio::test]
async fn a_database_from_an_older_copy_removes_nothing_and_says_so() {
    let harness = watchful().await;
    let running = harness.start().await;
    harness.gate.next("wordpress.install", refusal());
    let failed = running.create("late").await;
    assert_eq!(running.ended(failed).await.record.state, JobState::Failed);
    running.stop().await;
    let copy = harness.copy_database();

    // Since then one site was made, and the one that had failed after all.
    let running = harness.start().await;
    running.active("second").await;
    running.retried(failed).await;
    running.stop().await;
    let newer = harness.copy_database();
    let world = harness.state();

    harness.restore_database(&copy);
    let running = harness.start().await;
    let said = older(&running, true).await;
    assert!(said.contains("database is stale") && !said.contains("_second"), "{said}");

    // Its name is held, and what holds it stays.
    let job = running.create("second").await;
    let job = running.ended(job).await;
    assert!(failure(&job).1.contains("taken"), "{job:?}");
    // Nothing that an unknown job made is removed, not even by an order.
    let destroy = running.destroy("late").await;
    let destroy = running.ended(destroy).await;
    assert_eq!(destroy.record.state, JobState::NeedsOperator);
    assert!(failure(&destroy).1.contains("database is stale"), "{destroy:?}");
    // Neither is anything rolled back: it may have been completed since the copy was taken.
    harness.gate.next("wordpress.install", refusal());
    let job = running.create("third").await;
    let job = running.ended(job).await;
    assert_eq!(job.record.state, JobState::NeedsOperator);
    assert!(failure(&job).1.contains("nothing is rolled back"), "{job:?}");
    harness.world.state().containers.volumes.keys().find(|name| *name == "wp_third").expect("it stays");
    running.stop().await;

    // The newer copy knows all but what was made under the older one.
    let third = |name: &str| name.ends_with("_third") || name.starts_with("third.");
    {
        let mut state = harness.world.state();
        state.containers.containers.retain(|_, container| !third(&container.spec.name));
        state.containers.volumes.retain(|name, _| !third(name));
        state.containers.networks.retain(|_, network| !third(&network.name));
        state.databases.databases.retain(|name, _| !third(name));
        state.databases.users.retain(|name, _| !third(name));
        state.databases.ledger.retain(|name, _| !third(name));
        state.proxy.snippets.retain(|name, _| !third(name));
        state.proxy.loaded.retain(|name, _| !third(name));
    }
    assert_eq!(harness.state(), world, "nothing else changed");
    harness.restore_database(&newer);
    let running = harness.start().await;
    older(&running, false).await;
    running.app.settle_routes().await.unwrap();
    running.assert_whole("late").await;
    running.destroyed("late").await;
    let refused = running.app.create_site(&new_site("second")).await.unwrap_err();
    assert!(refused.to_string().contains("ACTIVE"), "{refused}");
    running.stop().await;
}
