//! Drift is detected, reported with its reason, and repaired where that is safe.

use std::time::Duration;

use hostplane_domain::drift::Remediation;
use hostplane_domain::job::{JobState, OperationName};
use hostplane_domain::mark::{LABEL_SPEC, Labels};
use hostplane_domain::naming::ResourceKind;
use hostplane_domain::observed::Reason;
use hostplane_domain::render::caddy::MAINTENANCE_PAGE;
use hostplane_domain::site_change::SiteChange;
use hostplane_domain::spec_hash::SpecHash;
use hostplane_engine::app::JobView;
use hostplane_engine::store::JobFilter;
use hostplane_infra::containers::ContainerState;
use hostplane_infra::error::{Dependency, EffectError};
use hostplane_infra::gate::Verdict;
use hostplane_testing::fake::{DatabaseState, FakeVolume, State};
use hostplane_testing::harness::{ControlPlane, name};

use crate::harness::{Harness, failure};

/// A control plane with a site in service, whose routes Caddy is known to serve.
async fn in_service(harness: &Harness) -> ControlPlane {
    let running = harness.start().await;
    running.app.settle_routes().await.unwrap();
    running.active("hello").await;
    running
}

async fn repairs(running: &ControlPlane) -> Vec<JobView> {
    let filter = JobFilter { operation: Some(OperationName::Repair), limit: 100, ..JobFilter::default() };
    running.app.jobs(None, &filter).await.unwrap().rows
}

/// The newest repair, when it has ended; there are so many.
async fn repaired(running: &ControlPlane, count: usize) -> JobView {
    let found = async {
        loop {
            match repairs(running).await {
                all if all.len() == count => return running.ended(all[0].record.id).await,
                all if all.len() > count => panic!("{all:#?}"),
                _ => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), found).await.expect("it is repaired in time")
}

/// The drift that is known.
fn known(running: &ControlPlane) -> Vec<(ResourceKind, Reason, Remediation)> {
    let sites = running.app.drift().sites;
    sites.iter().flat_map(|site| &site.drifts).map(|drift| (drift.kind, drift.reason, drift.remediation)).collect()
}

/// Until the reconciler knows exactly this.
async fn until_known(running: &ControlPlane, expected: &[(ResourceKind, Reason, Remediation)]) {
    let found = async {
        while known(running) != expected {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(20), found).await;
    assert!(in_time.is_ok(), "known is {:?}", known(running));
}

fn php(state: &mut State) -> &mut hostplane_testing::fake::FakeContainer {
    state.containers.container_mut("php_hello").unwrap()
}

type Wreck = fn(&mut State);

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

/// The world without the ids of containers, which are others after a repair, and without who made what.
fn shape(harness: &Harness) -> (Vec<String>, Vec<String>, Vec<String>, String, String) {
    let state = harness.state();
    let containers = state.containers.containers.values();
    let mut containers: Vec<String> = containers
        .map(|c| format!("{} {:?} {:?} {:?} {:?}", c.spec.name, c.spec, c.state, c.networks.keys(), c.tuning))
        .collect();
    containers.sort();
    let volumes = state.containers.volumes.iter().map(|(name, volume)| format!("{name} {:?}", volume.files)).collect();
    let networks = state.containers.networks.values().map(|network| format!("{} {}", network.name, network.subnet));
    let mut networks: Vec<String> = networks.collect();
    networks.sort();
    let databases = format!("{:?} {:?}", state.databases.databases, state.databases.users);
    let bodies = state.proxy.loaded.iter().map(|(file, text)| (file, text.split_once('\n').unwrap().1));
    (containers, volumes, networks, databases, format!("{:?}", bodies.collect::<Vec<_>>()))
}

#[tokio::test]
async fn every_safe_drift_is_reported_and_repaired_alone() {
    for (kind, reason, wreck) in SAFE {
        let harness = Harness::new().await;
        let running = in_service(&harness).await;
        running.active("bystander").await;
        let before = shape(&harness);
        wreck(&mut harness.world.state());
        running.app.reconcile(true).await.unwrap();
        let repair = repaired(&running, 1).await;
        assert_eq!(repair.record.state, JobState::Completed, "{kind} {reason}: {:?}", repair.record.error);
        assert_eq!(repair.site, name("hello"));
        let why: Vec<_> = repair.record.why.iter().map(|why| (why.kind, why.reason, why.remediation)).collect();
        assert!(why.contains(&(*kind, *reason, Remediation::Repair)), "{kind} {reason}: {why:?}");
        assert_eq!(shape(&harness), before, "{kind} {reason}");
        until_known(&running, &[]).await;
        assert_eq!(running.not_present("hello").await, Vec::<String>::new());
        running.stop().await;
    }
}

#[tokio::test]
async fn everything_but_data_is_made_again_at_once() {
    let harness = Harness::new().await;
    let running = in_service(&harness).await;
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
    running.app.reconcile(false).await.unwrap();
    assert_eq!(repaired(&running, 1).await.record.state, JobState::Completed);
    assert_eq!(shape(&harness), before);
    running.stop().await;
}

#[tokio::test]
async fn an_event_of_the_engine_is_enough() {
    let harness = Harness::new().await;
    let running = in_service(&harness).await;
    let labels = {
        let mut state = harness.world.state();
        php(&mut state).state = ContainerState::Exited;
        php(&mut state).labels.clone()
    };
    harness.world.emit_event("php_hello", "die", labels);
    assert_eq!(repaired(&running, 1).await.record.state, JobState::Completed);
    // The events of networks and volumes carry only a name.
    harness.world.state().containers.containers.clear();
    harness.world.state().containers.networks.retain(|_, network| network.name != "site_hello");
    harness.world.emit_event("site_hello", "destroy", Labels::new());
    assert_eq!(repaired(&running, 2).await.record.state, JobState::Completed);
    until_known(&running, &[]).await;
    running.stop().await;
}

/// Too many for a listener who doesn't listen, so that some are lost and the stream with them.
#[tokio::test]
async fn lost_events_are_followed_by_a_full_scan() {
    let harness = Harness::new().await;
    let running = in_service(&harness).await;
    let before = harness.gate.calls().len();
    php(&mut harness.world.state()).state = ContainerState::Exited;
    for _ in 0..1_000 {
        harness.world.emit_event("mariadb", "health_status", Labels::new());
    }
    assert_eq!(repaired(&running, 1).await.record.state, JobState::Completed);
    assert_eq!(harness.world.listeners(), 1);
    let calls = harness.gate.calls().split_off(before);
    let first =
        |name| calls.iter().position(|call| call.name == name).unwrap_or_else(|| panic!("no {name}: {calls:?}"));
    assert!(first("docker.events") < first("docker.containers"), "{calls:?}");
    running.stop().await;
}

/// Drift that only a deep scan shows is found on all sites, in turn.
#[tokio::test]
async fn each_full_scan_scans_other_sites_deeply() {
    let harness = Harness::new().await;
    let running = in_service(&harness).await;
    let sites = ["hello", "second", "third"];
    for site in &sites[1..] {
        running.active(site).await;
    }
    for site in sites {
        let php = format!("php_{site}");
        harness.world.state().containers.write_file(&php, "wp-config.php", "changed");
    }
    for nth in 1..=sites.len() {
        running.app.reconcile(false).await.unwrap();
        repaired(&running, nth).await;
    }
    let repaired: std::collections::BTreeSet<_> = repairs(&running).await.into_iter().map(|job| job.site).collect();
    assert_eq!(repaired, sites.map(name).into());
    running.stop().await;
}

#[tokio::test]
async fn a_failing_or_blank_front_page_needs_an_operator() {
    let harness = Harness::new().await;
    let running = in_service(&harness).await;
    let titled = |title: &str| {
        let mut state = harness.world.state();
        let tables = &mut state.databases.databases.get_mut("wp_hello").unwrap().tables;
        tables.insert("wp_options".to_owned(), title.to_owned())
    };
    let title = titled("").unwrap();
    running.app.reconcile(true).await.unwrap();
    until_known(&running, &[(ResourceKind::Serving, Reason::Page, Remediation::Operator)]).await;
    assert_eq!(repairs(&running).await.len(), 0);
    titled(&title);
    running.app.reconcile(true).await.unwrap();
    until_known(&running, &[]).await;
    running.stop().await;
}

#[tokio::test]
async fn events_without_a_site_change_nothing() {
    let harness = Harness::new().await;
    let running = in_service(&harness).await;
    let strange = Labels::from([("hostplane.site-id".to_owned(), "../../etc".to_owned())]);
    for (event, labels) in [("mariadb", Labels::new()), ("php_absent", Labels::new()), ("wp_../x", strange)] {
        harness.world.emit_event(event, "die", labels);
    }
    running.app.reconcile(true).await.unwrap();
    assert_eq!(repairs(&running).await.len(), 0);
    running.stop().await;
}

#[tokio::test]
async fn what_cannot_be_seen_is_unknown_and_nothing_is_done_about_it() {
    let harness = Harness::new().await;
    let running = in_service(&harness).await;
    for dependency in [Dependency::DOCKER, Dependency::Mariadb, Dependency::CADDY] {
        harness.gate.cut_off(dependency);
        running.app.reconcile(true).await.unwrap();
        let report = running.app.drift();
        let trouble = report.trouble.unwrap_or_else(|| panic!("{dependency} is not missed"));
        assert!(trouble.contains("refused") || trouble.contains("down"), "{trouble}");
        assert!(
            known(&running).iter().all(|(_, reason, way)| (*reason, *way) == (Reason::Unknown, Remediation::Nothing))
        );
        harness.gate.reconnect(dependency);
        running.app.readiness().await;
        running.app.reconcile(true).await.unwrap();
        assert_eq!((running.app.drift().trouble, known(&running)), (None, Vec::new()), "{dependency}");
    }
    assert_eq!(repairs(&running).await.len(), 0);
    running.stop().await;
}

#[tokio::test]
async fn data_that_is_gone_is_never_made_anew_and_visitors_get_a_maintenance_page() {
    type Loss = (ResourceKind, Wreck, fn(&mut State, &State));
    let losses: [Loss; 3] = [
        (
            ResourceKind::FilesVolume,
            |state| {
                state.containers.containers.clear();
                state.containers.volumes.remove("wp_hello").unwrap();
            },
            |state, before| {
                state.containers.volumes.insert("wp_hello".to_owned(), before.containers.volumes["wp_hello"].clone());
            },
        ),
        (
            ResourceKind::Database,
            |state| state.databases.databases.clear(),
            |state, before| state.databases.databases.clone_from(&before.databases.databases),
        ),
        (
            // The database was dropped and made again by hand, so its marker and all tables are gone.
            ResourceKind::WordpressInstall,
            |state| drop(state.databases.databases.insert("wp_hello".to_owned(), DatabaseState::default())),
            |state, before| state.databases.databases.clone_from(&before.databases.databases),
        ),
    ];
    for (kind, lose, bring_back) in losses {
        let harness = Harness::new().await;
        let running = in_service(&harness).await;
        let (before, whole) = (harness.state(), shape(&harness));
        lose(&mut harness.world.state());
        running.app.reconcile(true).await.unwrap();
        let held = repaired(&running, 1).await;
        assert_eq!(held.record.state, JobState::NeedsOperator, "{kind}");
        let (step, message) = failure(&held);
        assert_eq!(step, Some(kind.as_str()), "{message}");
        assert!(message.contains("gone") && message.contains("backup"), "{message}");
        let (volumes, served) = {
            let state = harness.world.state();
            (state.containers.volumes.contains_key("wp_hello"), state.proxy.loaded["hello.caddy"].clone())
        };
        assert_eq!(volumes, kind != ResourceKind::FilesVolume, "nothing is made in its place");
        assert!(served.contains(MAINTENANCE_PAGE), "{served}");
        for _ in 0..3 {
            running.app.reconcile(true).await.unwrap();
        }
        assert_eq!(repairs(&running).await.len(), 1, "it is said once");

        bring_back(&mut harness.world.state(), &before);
        running.app.retry_job(held.record.id).await.unwrap();
        assert_eq!(running.ended(held.record.id).await.record.state, JobState::Completed);
        assert_eq!(shape(&harness), whole, "{kind}");
        until_known(&running, &[]).await;
        running.stop().await;
    }
}

#[tokio::test]
async fn a_lost_marker_of_a_serving_site_needs_an_operator() {
    let harness = Harness::new().await;
    let running = in_service(&harness).await;
    harness.world.state().containers.delete_file("wp_hello", ".hostplane-site");
    running.app.reconcile(true).await.unwrap();
    until_known(&running, &[(ResourceKind::WordpressFiles, Reason::Absent, Remediation::Operator)]).await;
    assert_eq!(repairs(&running).await.len(), 0);
    assert!(!harness.world.state().proxy.loaded["hello.caddy"].contains(MAINTENANCE_PAGE));
    running.stop().await;
}

#[tokio::test]
async fn what_an_earlier_release_made_waits_for_an_upgrade() {
    let harness = Harness::new().await;
    let running = in_service(&harness).await;
    php(&mut harness.world.state()).labels.insert(LABEL_SPEC.to_owned(), SpecHash::of(&"earlier").to_string());
    running.app.reconcile(true).await.unwrap();
    until_known(&running, &[(ResourceKind::PhpContainer, Reason::Release, Remediation::Upgrade)]).await;
    assert_eq!(repairs(&running).await.len(), 0);
    let upgrade = running.app.upgrade_site(&name("hello")).await.unwrap();
    assert_eq!(running.ended(upgrade.record.id).await.record.state, JobState::Completed);
    running.app.reconcile(true).await.unwrap();
    until_known(&running, &[]).await;
    running.stop().await;
}

#[tokio::test]
async fn a_foreign_object_under_a_site_s_name_stays() {
    let harness = Harness::new().await;
    let running = in_service(&harness).await;
    {
        let mut state = harness.world.state();
        state.containers.containers.clear();
        state.containers.volumes.insert("nginx_hello".to_owned(), FakeVolume::new(Labels::new()));
    }
    running.app.reconcile(false).await.unwrap();
    let stuck = repaired(&running, 1).await;
    assert_eq!(stuck.record.state, JobState::NeedsOperator);
    assert!(failure(&stuck).1.contains("nginx_hello"), "{:?}", failure(&stuck));
    assert_eq!(harness.world.state().containers.volumes["nginx_hello"].labels, Labels::new());
    running.stop().await;
}

#[tokio::test]
async fn what_breaks_again_and_again_is_left_to_an_operator_with_its_history() {
    let mut harness = Harness::new().await;
    harness.settings.pace.repair_backoff = Duration::from_millis(1);
    let running = in_service(&harness).await;
    for nth in 1..=6 {
        php(&mut harness.world.state()).state = ContainerState::Exited;
        running.app.reconcile(false).await.unwrap();
        assert_eq!(repaired(&running, nth).await.record.state, JobState::Completed, "repair {nth}");
        until_known(&running, &[]).await;
    }
    php(&mut harness.world.state()).state = ContainerState::Exited;
    running.app.reconcile(false).await.unwrap();
    let left = repaired(&running, 7).await;
    assert_eq!(left.record.state, JobState::NeedsOperator);
    let (step, history) = failure(&left);
    assert_eq!(step, Some("php_container"));
    assert!(history.contains("6 times") && history.contains("exited"), "{history}");
    assert_eq!(left.steps.len(), 0, "it is left as it is");
    // The operator ends the cause, and has it repaired.
    running.app.retry_job(left.record.id).await.unwrap();
    assert_eq!(running.ended(left.record.id).await.record.state, JobState::Completed);
    assert_eq!(running.not_present("hello").await, Vec::<String>::new());
    running.stop().await;
}

#[tokio::test]
async fn a_changed_site_is_scanned_when_its_job_ends() {
    let harness = Harness::new().await;
    let running = in_service(&harness).await;
    let suspend = running.app.change_site(&name("hello"), &SiteChange::Suspended(true)).await;
    let suspend = suspend.unwrap().record.id;
    running.app.reconcile(false).await.unwrap();
    assert_eq!(running.ended(suspend).await.record.state, JobState::Completed);
    running.app.reconcile(true).await.unwrap();
    assert_eq!((known(&running), repairs(&running).await.len()), (Vec::new(), 0), "it is as it should be");
    running.stop().await;
}

#[tokio::test]
async fn a_failing_wordpress_does_not_hinder_other_repairs() {
    let harness = Harness::new().await;
    let running = in_service(&harness).await;
    php(&mut harness.world.state()).state = ContainerState::Exited;
    // Each deep scan of it fails: before the repair, after it, and that of the reconciler.
    for _ in 0..8 {
        let fails = EffectError::transient_message("wordpress.facts", "php ended with 255");
        harness.gate.next("wordpress.facts", Verdict::Fail(fails));
    }
    running.app.reconcile(false).await.unwrap();
    assert_eq!(repaired(&running, 1).await.record.state, JobState::Completed);
    assert_eq!(php(&mut harness.world.state()).state, ContainerState::Running);
    running.stop().await;
}

#[tokio::test]
async fn no_change_of_a_site_makes_anything_in_the_place_of_data_that_is_gone() {
    for change in [SiteChange::Secrets { generation: 1 }, SiteChange::Suspended(true)] {
        let harness = Harness::new().await;
        let running = in_service(&harness).await;
        let before = harness.state();
        {
            let mut state = harness.world.state();
            state.containers.containers.clear();
            state.containers.volumes.remove("wp_hello").unwrap();
        }
        let job = running.app.change_site(&name("hello"), &change).await.unwrap().record.id;
        let stuck = running.ended(job).await;
        assert_eq!(stuck.record.state, JobState::NeedsOperator);
        assert!(failure(&stuck).1.contains("gone"), "{:?}", failure(&stuck));
        assert!(!harness.world.state().containers.volumes.contains_key("wp_hello"));
        let kept = before.containers.volumes["wp_hello"].clone();
        harness.world.state().containers.volumes.insert("wp_hello".to_owned(), kept);
        running.app.retry_job(job).await.unwrap();
        running.ended(job).await;
        assert_eq!(running.not_present("hello").await, Vec::<String>::new());
        running.stop().await;
    }
}

#[tokio::test]
async fn a_change_drops_a_site_s_cached_drift() {
    let harness = Harness::new().await;
    let running = in_service(&harness).await;
    running.app.reconcile(false).await.unwrap();
    let job = running.app.change_site(&name("hello"), &SiteChange::Suspended(true)).await.unwrap().record.id;
    assert_eq!(running.ended(job).await.record.state, JobState::Completed);
    // First the result of deep scans, so that the last word is that of the lists.
    for inside in [true, false] {
        running.app.reconcile(inside).await.unwrap();
    }
    assert_eq!(known(&running), []);
    running.stop().await;
}

#[tokio::test]
async fn hanging_front_pages_hold_up_no_repair() {
    let harness = Harness::new().await;
    let running = in_service(&harness).await;
    for n in 0..8 {
        running.active(&format!("s{n}")).await;
    }
    // As many as sites are scanned deeply at the same time.
    for _ in 0..8 {
        harness.gate.next("probe.get", Verdict::Hang);
    }
    let asked = || harness.gate.calls().iter().filter(|call| call.name == "probe.get").count();
    let before = asked();
    let repaired = async {
        while asked() < before + 8 {
            tokio::task::yield_now().await;
        }
        let labels = {
            let mut state = harness.world.state();
            php(&mut state).state = ContainerState::Exited;
            php(&mut state).labels.clone()
        };
        harness.world.emit_event("php_hello", "die", labels);
        assert_eq!(repaired(&running, 1).await.record.state, JobState::Completed);
    };
    tokio::select! {
        biased;
        scanned = running.app.reconcile(true) => panic!("the deep scan ended: {scanned:?}"),
        () = repaired => {}
    }
    running.stop().await;
}
