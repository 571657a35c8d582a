//! Site → nothing.

use hostplane_domain::job::JobState;
use hostplane_domain::status::SiteStatus;
use hostplane_engine::app::AppError;
use hostplane_engine::store::JobFilter;
use hostplane_infra::error::EffectError;
use hostplane_infra::gate::Verdict;
use hostplane_testing::harness::{SHARED_NETWORK, name, new_site};

use crate::harness::{Harness, failure};

#[tokio::test]
async fn destroying_leaves_the_world_as_it_was_and_frees_the_name() {
    let harness = Harness::new().await;
    let running = harness.start().await;
    running.active("stays").await;
    let before = harness.state();
    running.active("hello").await;
    assert_ne!(harness.state(), before);
    running.destroyed("hello").await;
    assert_eq!(harness.state(), before);
    assert!(matches!(running.app.site(&name("hello")).await, Err(AppError::NoSite(_))));
    // Its jobs are still found by its name.
    let all = JobFilter { limit: 10, ..JobFilter::default() };
    assert_eq!(running.app.jobs(Some(&name("hello")), &all).await.unwrap().rows.len(), 2);
    assert!(matches!(running.app.jobs(Some(&name("never")), &all).await, Err(AppError::NoSite(_))));
    running.active("hello").await;
    running.stop().await;
}

#[tokio::test]
async fn a_later_site_of_the_name_inherits_no_password() {
    use secrecy::ExposeSecret;
    let harness = Harness::new().await;
    let running = harness.start().await;
    let mut passwords = Vec::new();
    for _ in 0..2 {
        running.active("hello").await;
        let credentials = running.app.credentials(&name("hello")).await.unwrap();
        passwords.push(credentials.password.expose_secret().to_owned());
        running.destroyed("hello").await;
    }
    assert_ne!(passwords[0], passwords[1]);
    running.stop().await;
}

#[tokio::test]
async fn a_route_that_is_served_but_on_no_disk_is_unloaded() {
    let harness = Harness::new().await;
    let running = harness.start().await;
    let before = harness.state();
    running.active("hello").await;
    // As a crash between the file's removal and the reload leaves it.
    harness.world.state().proxy.snippets.clear();
    running.destroyed("hello").await;
    assert_eq!(harness.state(), before);
    running.stop().await;
}

#[tokio::test]
async fn only_a_site_at_rest_can_be_destroyed() {
    let harness = Harness::new().await;
    harness.gate.next("docker.create_network", Verdict::Hang);
    let running = harness.start().await;
    running.create("hello").await;
    let error = running.app.destroy_site(&name("hello")).await.unwrap_err();
    assert!(matches!(error, AppError::Busy { .. }), "{error}");
    assert!(matches!(running.app.destroy_site(&name("other")).await, Err(AppError::NoSite(_))));
    running.kill().await;
}

#[tokio::test]
async fn what_can_t_be_removed_needs_an_operator_and_goes_on_when_it_is_asked_for_again() {
    let harness = Harness::new().await;
    let running = harness.start().await;
    let empty = {
        let mut state = harness.state();
        state.containers.networks.retain(|_, network| network.name == SHARED_NETWORK);
        state
    };
    running.active("hello").await;
    let denied = || {
        let by = hostplane_infra::error::Dependency::Mariadb;
        let message = "DROP command denied".to_owned();
        EffectError::Rejected(hostplane_infra::error::Rejection::AccessDenied { by, message })
    };
    harness.gate.next("mariadb.remove_tenant", Verdict::Fail(denied()));
    let job = running.destroy("hello").await;
    let stuck = running.ended(job).await;
    assert_eq!(stuck.record.state, JobState::NeedsOperator);
    let (step, message) = failure(&stuck);
    assert_eq!(step, Some("database"));
    assert!(message.contains("DROP command denied") && message.contains("wp_hello"), "{message}");
    assert_eq!(running.status("hello").await, SiteStatus::Destroying);
    let held = running.app.create_site(&new_site("hello")).await.unwrap_err();
    assert!(held.to_string().contains("DESTROYING"), "{held}");
    let again = running.app.destroy_site(&name("hello")).await.unwrap();
    assert_eq!(again.record.id, job, "it goes on");

    running.completed(job).await;
    assert_eq!(harness.state(), empty);
    running.stop().await;
}
