//! Nothing → site.

use hostplane_domain::mark::Labels;
use std::collections::BTreeSet;

use hostplane_domain::job::{JobState, StepState};
use hostplane_domain::status::SiteStatus;
use hostplane_engine::app::AppError;
use hostplane_infra::containers::ContainerState;
use hostplane_testing::harness::{NGINX_IMAGE, PHP_IMAGE, new_site};

use crate::harness::{Harness, failure};

#[tokio::test]
async fn a_site_is_made_whole_and_then_all_is_quiet() {
    let harness = Harness::new().await;
    let running = harness.start().await;
    let job = running.active("hello").await;
    assert_eq!(running.status("hello").await, SiteStatus::Active);
    running.assert_whole("hello").await;
    assert!(job.steps.iter().all(|step| step.state == StepState::Done));
    let kinds: BTreeSet<_> = job.steps.iter().map(|step| step.resource).collect();
    assert_eq!(kinds.len(), 12, "every resource has one step");
    // Observing it changes nothing.
    let before = harness.state();
    running.not_present("hello").await;
    assert_eq!(harness.state(), before);
    assert!(!harness.state().containers.containers.values().any(|c| c.state != ContainerState::Running));
    running.stop().await;
}

#[tokio::test]
async fn steps_that_need_each_other_run_in_order_and_the_others_at_once() {
    let harness = Harness::new().await;
    let running = harness.start().await;
    let job = running.active("hello").await;
    let step = |name: &str| job.steps.iter().find(|step| step.resource.as_str() == name).unwrap();
    let ended = |name: &str| step(name).finished_at.unwrap();
    for (first, then) in [
        ("php_volume", "settings"),
        ("settings", "php_container"),
        ("network", "nginx_container"),
        ("php_container", "wordpress_files"),
        ("database", "wordpress_install"),
        ("wordpress_files", "wordpress_install"),
        ("nginx_container", "route"),
        ("route", "serving"),
        ("wordpress_install", "serving"),
    ] {
        assert!(ended(first) <= step(then).started_at, "{first} ends before {then} begins");
    }
    // The first five were all begun before any of them ended.
    let begun = ["network", "files_volume", "php_volume", "nginx_volume", "database"].map(|name| step(name).started_at);
    let first_end = ["network", "files_volume", "php_volume", "nginx_volume", "database"].map(ended);
    assert!(begun.iter().max() <= first_end.iter().min());
    running.stop().await;
}

#[tokio::test]
async fn several_sites_are_made_at_once_each_with_its_own_subnet() {
    let harness = Harness::new().await;
    let running = harness.start().await;
    let names = ["a", "b", "c", "d", "e", "f"];
    let mut jobs = Vec::new();
    for name in names {
        jobs.push(running.create(name).await);
    }
    for job in jobs {
        running.completed(job).await;
    }
    let subnets: BTreeSet<_> = harness.state().containers.networks.values().map(|network| network.subnet).collect();
    assert_eq!(subnets.len(), names.len() + 1);
    running.stop().await;
}

#[tokio::test]
async fn a_failed_site_holds_its_name_and_can_be_retried_or_destroyed() {
    let harness = Harness::new().await;
    harness.world.state().containers.images.clear();
    let running = harness.start().await;
    let job = running.create("hello").await;
    let failed = running.ended(job).await;
    assert_eq!(failed.record.state, JobState::Failed);
    let (step, message) = failure(&failed);
    assert_eq!(step, Some("settings"));
    assert!(message.contains("hostplane/php:test") && message.contains("not on the Docker host"), "{message}");
    let refused = running.app.create_site(&new_site("hello")).await.unwrap_err().to_string();
    assert!(refused.contains("FAILED") && refused.contains("retry") && refused.contains("destroy"), "{refused}");

    let images = [PHP_IMAGE, NGINX_IMAGE].map(str::to_owned);
    harness.world.state().containers.images.extend(images);
    let again = running.app.retry_job(job).await.unwrap();
    assert_ne!(again.record.id, job);
    running.completed(again.record.id).await;
    assert!(matches!(running.app.retry_job(job).await, Err(AppError::NotRetriable)));
    running.stop().await;
}

#[tokio::test]
async fn a_full_pool_fails_the_network_and_nothing_else_is_begun() {
    let mut harness = Harness::new().await;
    harness.settings.subnet_pool = "10.213.0.0/29".parse().unwrap();
    let running = harness.start().await;
    running.active("first").await;
    let before = harness.state();
    let job = running.create("second").await;
    let job = running.ended(job).await;
    let (step, message) = failure(&job);
    assert_eq!(step, Some("network"));
    assert!(message.contains("SUBNET_POOL"), "{message}");
    assert_eq!(harness.state(), before);

    // The subnet of a destroyed site comes free.
    running.destroyed("first").await;
    running.retried(job.record.id).await;
    running.stop().await;
}

#[tokio::test]
async fn a_subnet_that_something_else_uses_is_passed_over() {
    use hostplane_infra::containers::{Containers, NetworkSpec};
    let harness = Harness::new().await;
    let foreign =
        NetworkSpec { name: "foreign".into(), subnet: Some("10.213.0.0/24".parse().unwrap()), labels: Labels::new() };
    harness.world.create_network(&foreign).await.unwrap();
    let running = harness.start().await;
    running.active("hello").await;
    let own = harness.state().containers.networks.values().find(|n| n.name == "site_hello").unwrap().subnet;
    assert_eq!(own.to_string(), "10.213.1.0/29");
    running.stop().await;
}

#[tokio::test]
async fn a_subnet_that_is_taken_at_the_last_moment_is_replaced_without_failing_the_job() {
    use hostplane_infra::error::Rejection;
    use hostplane_infra::gate::Verdict;
    let harness = Harness::new().await;
    let lost = Rejection::SubnetOverlap("10.213.0.0/29".parse().unwrap());
    harness.gate.next("docker.create_network", Verdict::Fail(lost.into()));
    let running = harness.start().await;
    running.active("hello").await;
    let own = harness.state().containers.networks.values().find(|n| n.name == "site_hello").unwrap().subnet;
    assert_eq!(own.to_string(), "10.213.0.8/29");
    running.stop().await;
}
