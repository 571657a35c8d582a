//! A release that generates things otherwise changes no site by itself.

use hostplane_domain::drift::Remediation;
use hostplane_domain::naming::ResourceKind;
use hostplane_domain::observed::Reason;
use hostplane_infra::containers::ContainerState;
use hostplane_testing::earlier_release;
use hostplane_testing::fake::State;
use hostplane_testing::harness::name;

use crate::drift::{new_in_service, repair_completes, repairs, scan_finds};

const PENDING: &[(ResourceKind, Reason, Remediation)] = &[
    (ResourceKind::Network, Reason::Release, Remediation::Upgrade),
    (ResourceKind::Settings, Reason::Configuration, Remediation::Upgrade),
    (ResourceKind::PhpContainer, Reason::Release, Remediation::Upgrade),
    (ResourceKind::NginxContainer, Reason::Release, Remediation::Upgrade),
    (ResourceKind::Route, Reason::Release, Remediation::Upgrade),
];

#[tokio::test]
async fn what_a_release_generates_otherwise_waits_for_the_upgrade() {
    let (harness, running) = new_in_service().await;
    earlier_release::leave(&mut harness.world.state(), &name("hello"));
    let before = harness.state();
    scan_finds(&running, PENDING).await;
    scan_finds(&running, PENDING).await;
    assert!(repairs(&running).await.is_empty());
    assert_eq!(harness.state(), before, "nothing was changed");
    assert!(running.site("hello").await.upgrade_pending);

    let job = running.app.upgrade_site(&name("hello")).await.unwrap().record.id;
    running.completed(job).await;
    assert!(!running.site("hello").await.upgrade_pending);
    running.assert_whole("hello").await;
    scan_finds(&running, &[]).await;
    running.stop().await;
}

#[tokio::test]
async fn a_repair_keeps_what_can_run() {
    let (harness, running) = new_in_service().await;
    earlier_release::leave(&mut harness.world.state(), &name("hello"));
    harness.world.state().containers.container_mut("nginx_hello").unwrap().state = ContainerState::Exited;
    let before = harness.state();
    running.scan_deeply().await;
    repair_completes(&running, 1).await;
    let mut expected = before.clone();
    expected.containers.container_mut("nginx_hello").unwrap().state = ContainerState::Running;
    assert_eq!(harness.state(), expected, "it was started as it was");
    scan_finds(&running, PENDING).await;
    running.stop().await;
}

#[tokio::test]
async fn what_a_repair_makes_anew_is_of_this_release_with_its_files() {
    let (harness, running) = new_in_service().await;
    let made = harness.state();
    earlier_release::leave(&mut harness.world.state(), &name("hello"));
    harness.world.state().containers.containers.retain(|_, container| container.spec.name != "nginx_hello");
    running.scan_deeply().await;
    repair_completes(&running, 1).await;
    let state = harness.state();
    let spec = |state: &State| state.containers.container("nginx_hello").unwrap().1.spec.clone();
    assert_eq!(spec(&state), spec(&made));
    assert_eq!(state.containers.volumes["nginx_hello"].files, made.containers.volumes["nginx_hello"].files);
    let waits: Vec<_> = PENDING.iter().copied().filter(|(kind, ..)| !matches!(kind, ResourceKind::Settings)).collect();
    // It is on the network of before, which it is made again with.
    scan_finds(&running, &waits).await;
    running.stop().await;
}
