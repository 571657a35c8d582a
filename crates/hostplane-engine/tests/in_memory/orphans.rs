//! Orphans: those that Hostplane deletes automatically, those that an operator removes, and those that stay.

use std::num::NonZeroU32;
use std::time::Duration;

use hostplane_domain::ids::InstanceId;
use hostplane_domain::job::{JobState, OperationName};
use hostplane_domain::mark::{LABEL_INSTANCE, LABEL_OPERATION};
use hostplane_engine::app::{AppError, JobView, ObjectKind, OrphanId, OrphanReason, OrphanView};
use hostplane_testing::fake::{FakeVolume, State};
use hostplane_testing::harness::ControlPlane;
use uuid::Uuid;

use crate::harness::Harness;

/// A harness on which an orphan without data is deleted after the third scan, and after its grace.
async fn new_harness(grace: Duration) -> Harness {
    let mut harness = Harness::new().await;
    harness.settings.pace.orphan_grace = grace;
    harness
}

/// Everything of a site that is destroyed by now, as it was.
async fn destroyed(harness: &Harness, running: &ControlPlane, site: &str) -> State {
    running.active(site).await;
    let made = harness.state();
    running.destroyed(site).await;
    made
}

/// The same of a site `hello` that is there again.
async fn with_orphans(grace: Duration) -> (Harness, ControlPlane) {
    let harness = new_harness(grace).await;
    let running = harness.start().await;
    let made = destroyed(&harness, &running, "hello").await;
    plant(&harness, &made, "hello");
    (harness, running)
}

/// All of it is there again, as if it had landed late.
fn plant(harness: &Harness, made: &State, site: &str) {
    let is_of = |name: &str| name.ends_with(&format!("_{site}")) || name == format!("{site}.caddy");
    let mut state = harness.world.state();
    let of = |(name, _): &(&String, &FakeVolume)| is_of(name);
    state.containers.volumes.extend(made.containers.volumes.iter().filter(of).map(|(k, v)| (k.clone(), v.clone())));
    for (id, container) in made.containers.containers.iter().filter(|(_, container)| is_of(&container.spec.name)) {
        state.containers.containers.insert(id.clone(), container.clone());
    }
    for (id, network) in made.containers.networks.iter().filter(|(_, network)| is_of(&network.name)) {
        state.containers.networks.insert(id.clone(), network.clone());
    }
    for (tenant, row) in made.databases.ledger.iter().filter(|(tenant, _)| is_of(tenant)) {
        state.databases.ledger.insert(tenant.clone(), row.clone());
        state.databases.databases.insert(tenant.clone(), made.databases.databases[tenant].clone());
        state.databases.users.insert(tenant.clone(), made.databases.users[tenant].clone());
    }
    for (file, snippet) in made.proxy.snippets.iter().filter(|(file, _)| is_of(file)) {
        state.proxy.snippets.insert(file.clone(), snippet.clone());
        state.proxy.loaded.insert(file.clone(), snippet.clone());
    }
}

fn names(orphans: &[OrphanView]) -> Vec<(ObjectKind, &str)> {
    let mut names: Vec<_> = orphans.iter().map(|orphan| (orphan.kind, orphan.name.as_str())).collect();
    names.sort_unstable();
    names
}

fn id_of(running: &ControlPlane, what: ObjectKind, name: &str) -> OrphanId {
    let found = running.app.orphans().into_iter().find(|orphan| (orphan.kind, orphan.name.as_str()) == (what, name));
    found.unwrap_or_else(|| panic!("no orphan {what} {name}")).id
}

/// An operator removes an orphan whose site is known.
async fn removed(running: &ControlPlane, what: ObjectKind, name: &str) {
    let job = running.app.remove_orphan(&id_of(running, what, name)).await.unwrap().expect("its site is known");
    running.completed(job.record.id).await;
}

/// The newest job of all, when it has ended.
async fn newest(running: &ControlPlane) -> JobView {
    running.ended(running.all_jobs().await[0].record.id).await
}

#[tokio::test]
async fn what_holds_no_data_goes_by_itself_and_what_may_hold_some_is_removed_by_hand() {
    let harness = new_harness(Duration::ZERO).await;
    let before = harness.state();
    let running = harness.start().await;
    let made = destroyed(&harness, &running, "hello").await;
    plant(&harness, &made, "hello");

    running.scan(1).await;
    let all = [
        (ObjectKind::Container, "nginx_hello"),
        (ObjectKind::Container, "php_hello"),
        (ObjectKind::Volume, "nginx_hello"),
        (ObjectKind::Volume, "php_hello"),
        (ObjectKind::Volume, "wp_hello"),
        (ObjectKind::Network, "site_hello"),
        (ObjectKind::Database, "wp_hello"),
        (ObjectKind::Route, "hello.caddy"),
    ];
    assert_eq!(names(&running.app.orphans()), all, "all of it is reported");
    running.scan(1).await;
    assert_eq!(newest(&running).await.record.operation, OperationName::Destroy, "two scans are too few");
    running.scan(1).await;
    let collect = newest(&running).await;
    assert_eq!((collect.record.operation, collect.record.state), (OperationName::Collect, JobState::Completed));
    running.scan(1).await;
    let data = [
        (ObjectKind::Volume, "nginx_hello"),
        (ObjectKind::Volume, "php_hello"),
        (ObjectKind::Volume, "wp_hello"),
        (ObjectKind::Database, "wp_hello"),
    ];
    running.scan(5).await;
    assert_eq!(names(&running.app.orphans()), data);
    assert_eq!(newest(&running).await.record.id, collect.record.id, "nothing more goes by itself");

    for (what, name) in data {
        removed(&running, what, name).await;
    }
    running.scan(1).await;
    assert_eq!(names(&running.app.orphans()), []);
    assert_eq!(harness.state(), before);
    running.active("hello").await;
    running.stop().await;
}

#[tokio::test]
async fn a_volume_that_is_removed_by_hand_takes_along_what_stands_in_its_way() {
    let (_harness, running) = with_orphans(Duration::ZERO).await;
    running.scan(1).await;
    removed(&running, ObjectKind::Volume, "wp_hello").await;
    running.scan(1).await;
    let left =
        [(ObjectKind::Volume, "nginx_hello"), (ObjectKind::Volume, "php_hello"), (ObjectKind::Database, "wp_hello")];
    assert_eq!(names(&running.app.orphans()), left);
    running.stop().await;
}

#[tokio::test]
async fn a_pass_that_would_remove_much_stops_and_asks() {
    let harness = new_harness(Duration::ZERO).await;
    let running = harness.start().await;
    let mut made = Vec::new();
    for site in ["one", "two"] {
        made.push((site, destroyed(&harness, &running, site).await));
    }
    for (site, made) in &made {
        plant(&harness, made, site);
    }
    running.scan(5).await;
    assert_eq!(newest(&running).await.record.operation, OperationName::Destroy, "nothing goes");
    let held = running.app.orphans();
    assert_eq!(held.len(), 16);
    assert!(held.iter().any(|orphan| orphan.detail.contains("too many orphans")), "{held:?}");
    // By hand it does.
    removed(&running, ObjectKind::Container, "php_one").await;
    running.scan(1).await;
    assert_eq!(running.app.orphans().len(), 12, "with it went what holds no data of its site");
    running.stop().await;
}

#[tokio::test]
async fn of_a_large_installation_more_may_go_at_once() {
    let harness = new_harness(Duration::ZERO).await;
    let running = harness.start().await;
    // With the sixteen things below 152, of which a twentieth are seven.
    for nth in 0..17 {
        running.active(&format!("s{nth}")).await;
    }
    for site in ["one", "two"] {
        let made = destroyed(&harness, &running, site).await;
        plant(&harness, &made, site);
    }
    running.scan(5).await;
    assert_eq!(newest(&running).await.record.operation, OperationName::Destroy, "eight would go, and seven may");
    running.active("s17").await;
    running.scan(1).await;
    assert_eq!(newest(&running).await.record.operation, OperationName::Collect);
    running.stop().await;
}

#[tokio::test]
async fn nothing_goes_by_itself_before_its_time() {
    let (_harness, running) = with_orphans(Duration::from_hours(1)).await;
    running.scan(5).await;
    assert_eq!(newest(&running).await.record.operation, OperationName::Destroy);
    let reported = running.app.orphans();
    assert_eq!(reported.len(), 8);
    assert!(reported.iter().any(|orphan| orphan.detail.contains("over 60 minutes")), "{reported:?}");
    running.stop().await;
}

#[tokio::test]
async fn copied_labels_are_reported_and_left_alone() {
    let harness = new_harness(Duration::ZERO).await;
    let running = harness.start().await;
    running.active("hello").await;
    {
        let mut state = harness.world.state();
        let copy = state.containers.volumes["wp_hello"].clone();
        state.containers.volumes.insert("mine".to_owned(), copy);
    }
    running.scan(5).await;
    let found = running.app.orphans();
    assert_eq!(names(&found), [(ObjectKind::Volume, "mine")]);
    assert_eq!(found[0].reason, OrphanReason::Misnamed);
    let stays = running.app.remove_orphan(&found[0].id).await.unwrap_err();
    assert!(matches!(&stays, AppError::OrphanStays(why) if why.contains("docker volume rm")), "{stays}");
    assert!(harness.world.state().containers.volumes.contains_key("mine"));
    let unknown = running.app.remove_orphan(&"0123456789ab".parse().unwrap()).await.unwrap_err();
    assert!(matches!(unknown, AppError::NoOrphan), "{unknown}");
    running.stop().await;
}

#[tokio::test]
async fn what_no_job_is_known_to_have_made_stops_everything_and_goes_only_by_hand() {
    let harness = new_harness(Duration::ZERO).await;
    let running = harness.start().await;
    running.active("hello").await;
    let made = destroyed(&harness, &running, "late").await;
    plant(&harness, &made, "late");
    let stranger = {
        let mut state = harness.world.state();
        let mut labels = state.containers.volumes["wp_hello"].labels.clone();
        labels.insert(LABEL_OPERATION.to_owned(), Uuid::from_u128(77).to_string());
        labels.insert("hostplane.site".to_owned(), "stranger".to_owned());
        labels.insert("hostplane.site-id".to_owned(), Uuid::from_u128(78).to_string());
        state.containers.volumes.insert("wp_stranger".to_owned(), FakeVolume::new(labels.clone()));
        labels.insert(LABEL_INSTANCE.to_owned(), InstanceId::new(Uuid::from_u128(79)).to_string());
        state.containers.volumes.insert("wp_another".to_owned(), FakeVolume::new(labels));
        state.containers.container_mut("php_hello").unwrap().state =
            hostplane_infra::containers::ContainerState::Exited;
        "wp_stranger"
    };
    for _ in 0..5 {
        running.scan_deeply().await;
    }
    assert_eq!(newest(&running).await.record.operation, OperationName::Destroy, "nothing is collected or repaired");
    let drift = running.app.drift();
    assert_eq!(drift.sites.len(), 1, "it is reported all the same");

    assert!(running.app.remove_orphan(&id_of(&running, ObjectKind::Volume, stranger)).await.unwrap().is_none());
    assert!(!harness.world.state().containers.volumes.contains_key(stranger));
    assert!(harness.world.state().containers.volumes.contains_key("wp_another"), "another installation's");
    running.scan(1).await;
    let repaired = newest(&running).await;
    assert!(matches!(repaired.record.operation, OperationName::Repair | OperationName::Collect), "now it goes on");
    running.stop().await;
}

#[tokio::test]
async fn what_belongs_to_a_site_that_is_there_is_not_removed_by_hand() {
    let harness = new_harness(Duration::ZERO).await;
    let running = harness.start().await;
    running.active("hello").await;
    let job = Uuid::from_u128(77).to_string();
    harness.world.state().containers.container_mut("php_hello").unwrap().labels.insert(LABEL_OPERATION.to_owned(), job);
    running.scan(1).await;
    let stays = running.app.remove_orphan(&id_of(&running, ObjectKind::Container, "php_hello")).await.unwrap_err();
    assert!(matches!(&stays, AppError::OrphanStays(why) if why.contains("newer copy")), "{stays}");
    assert!(harness.world.state().containers.container("php_hello").is_some());
    running.stop().await;
}

#[tokio::test]
async fn an_object_of_a_pruned_job_is_left_over() {
    let harness = new_harness(Duration::ZERO).await;
    let running = harness.start().await;
    let made = destroyed(&harness, &running, "hello").await;
    running.stop().await;
    harness
        .spoil(
            "UPDATE jobs SET finished_at = 1;
             WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 9)
             INSERT INTO jobs (id, site_id, operation, state, direction, run_at, created_at, finished_at)
             SELECT 'ffffffff-0000-7000-8000-00000000000' || n, sites.id, 'collect', 'completed', 'forward', 1, 1, 1
             FROM n, sites",
        )
        .await;
    let store = harness.store().await;
    assert_eq!(
        store.prune_jobs(harness.now(), NonZeroU32::new(10).unwrap()).await.unwrap(),
        2,
        "provision and destroy"
    );
    store.close().await;
    plant(&harness, &made, "hello");
    let running = harness.start().await;
    running.scan(1).await;
    let found = running.app.orphans();
    assert_eq!(found.len(), 8);
    assert!(found.iter().all(|orphan| orphan.reason == OrphanReason::LeftOver), "{found:?}");
    running.stop().await;
}
