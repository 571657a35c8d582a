//! Drift is repaired where that is safe, and the rest of the site stays as it is.

use hostplane_domain::drift::Remediation;
use hostplane_domain::job::JobState;
use hostplane_domain::naming::ResourceKind;
use hostplane_domain::observed::Reason;
use hostplane_infra::containers::ContainerState;
use hostplane_infra::error::EffectError;
use hostplane_infra::gate::Verdict;
use hostplane_testing::harness::name;

use crate::drift::{Wreck, new_in_service, php, repair_completes, repaired, shape, stop_php, until_known};

/// Harm that is repaired, and the drift that is detected. Ids of recreated objects don't count.
const SAFE: &[(ResourceKind, Reason, Wreck)] = &[
    (ResourceKind::PhpContainer, Reason::Stopped, |state| php(state).state = ContainerState::Exited),
    (ResourceKind::PhpContainer, Reason::Stopped, |state| php(state).state = ContainerState::Paused),
    (ResourceKind::PhpContainer, Reason::Unhealthy, |state| php(state).unhealthy = true),
    (ResourceKind::PhpContainer, Reason::Image, |state| "php:mine".clone_into(&mut php(state).spec.image)),
    (ResourceKind::PhpContainer, Reason::Limits, |state| php(state).tuning.memory = 1 << 40),
    (ResourceKind::PhpContainer, Reason::Mounts, |state| drop(php(state).spec.mounts.pop())),
    (ResourceKind::PhpContainer, Reason::Network, |state| {
        drop(php(state).networks.insert("hostplane".to_owned(), None));
    }),
    (ResourceKind::PhpContainer, Reason::Absent, |state| {
        state.containers.containers.retain(|_, container| container.spec.name != "php_hello");
    }),
    (ResourceKind::NginxContainer, Reason::Network, |state| {
        state.containers.container_mut("nginx_hello").unwrap().networks.remove("site_hello").unwrap();
    }),
    (ResourceKind::Settings, Reason::Configuration, |state| {
        let files = &mut state.containers.volumes.get_mut("php_hello").unwrap().files;
        files.get_mut("wp-config.php").unwrap().contents = Some("changed".into());
    }),
    (ResourceKind::Settings, Reason::LeftOver, |state| {
        let mut writer = state.containers.container("nginx_hello").unwrap().1.clone();
        (writer.spec.name, writer.state) = ("writer_hello".to_owned(), ContainerState::Created);
        state.containers.containers.insert("f".repeat(64), writer);
    }),
    (ResourceKind::Database, Reason::Grants, |state| drop(state.databases.users.remove("wp_hello"))),
    (ResourceKind::Database, Reason::Grants, |state| {
        state.databases.users.get_mut("wp_hello").unwrap().grants_more = true;
    }),
    (ResourceKind::Route, Reason::Absent, |state| drop(state.proxy.snippets.remove("hello.caddy"))),
    (ResourceKind::Route, Reason::Configuration, |state| {
        state.proxy.snippets.get_mut("hello.caddy").unwrap().push_str("# mine\n");
    }),
];

#[tokio::test]
async fn every_safe_drift_is_reported_and_repaired_alone() {
    for (kind, reason, wreck) in SAFE {
        let (harness, running) = new_in_service().await;
        running.active("bystander").await;
        let before = shape(&harness);
        wreck(&mut harness.world.state());
        running.scan_deeply().await;
        let repair = repaired(&running, 1).await;
        assert_eq!(repair.record.state, JobState::Completed, "{kind} {reason}: {:?}", repair.record.error);
        assert_eq!(repair.site, name("hello"));
        let why: Vec<_> = repair.record.why.iter().map(|why| (why.kind, why.reason, why.remediation)).collect();
        assert!(why.contains(&(*kind, *reason, Remediation::Repair)), "{kind} {reason}: {why:?}");
        assert_eq!(shape(&harness), before, "{kind} {reason}");
        until_known(&running, &[]).await;
        running.assert_whole("hello").await;
        running.stop().await;
    }
}

#[tokio::test]
async fn everything_but_data_is_made_again_at_once() {
    let (harness, running) = new_in_service().await;
    let before = shape(&harness);
    {
        let mut state = harness.world.state();
        state.containers.containers.clear();
        state.containers.networks.retain(|_, network| network.name != "site_hello");
        for volume in ["php_hello", "nginx_hello"] {
            state.containers.volumes.remove(volume).unwrap();
        }
        state.databases.users.clear();
        state.proxy.snippets.clear();
        state.proxy.loaded.clear();
    }
    running.scan(1).await;
    repair_completes(&running, 1).await;
    assert_eq!(shape(&harness), before);
    running.stop().await;
}

#[tokio::test]
async fn a_failing_wordpress_does_not_hinder_other_repairs() {
    let (harness, running) = new_in_service().await;
    stop_php(&harness);
    // Each deep scan of it fails: before the repair, after it, and that of the reconciler.
    for _ in 0..8 {
        let fails = EffectError::transient_message("wordpress.facts", "php ended with 255");
        harness.gate.next("wordpress.facts", Verdict::Fail(fails));
    }
    running.scan(1).await;
    repair_completes(&running, 1).await;
    assert_eq!(php(&mut harness.world.state()).state, ContainerState::Running);
    running.stop().await;
}
