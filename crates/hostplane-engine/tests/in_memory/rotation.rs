//! The installation's secret and its rotation.

use std::sync::Arc;

use hostplane_domain::ids::SiteId;
use hostplane_domain::job::{JobState, OperationName};
use hostplane_domain::secret::{Keyring, MasterSecret, Purpose, mariadb_hash};
use hostplane_engine::app::{App, SecretView};
use hostplane_engine::secrets::Secrets;
use hostplane_engine::store::{JobFilter, StoreError};
use hostplane_infra::error::Dependency;
use hostplane_testing::fake::State;
use hostplane_testing::harness::{ControlPlane, name};
use secrecy::ExposeSecret;

use crate::harness::Harness;

fn hash(state: &State, site: &str) -> String {
    state.databases.users[&format!("wp_{site}")].password_hash.clone()
}

async fn id_of(running: &ControlPlane, site: &str) -> SiteId {
    running.site(site).await.record.site.id
}

/// Waits until no site is behind, asking after each change.
async fn is_through(running: &ControlPlane) -> SecretView {
    let mut changes = running.app.changes();
    loop {
        changes.mark_unchanged();
        let view = running.app.secret().await.unwrap();
        if view.sites_behind == 0 {
            return view;
        }
        changes.changed().await.unwrap();
    }
}

async fn admin_password(running: &ControlPlane, site: &str) -> String {
    running.app.credentials(&name(site)).await.unwrap().password.expose_secret().to_owned()
}

#[tokio::test]
async fn every_site_gets_passwords_from_the_new_secret_and_keeps_its_administrator_s() {
    let harness = Harness::new().await;
    let running = harness.start().await;
    for site in ["one", "two", "three"] {
        running.active(site).await;
    }
    let (before, admin) = (harness.state(), admin_password(&running, "one").await);
    let view = running.app.rotate_secret().await.unwrap();
    assert_eq!(view, SecretView { generation: 2, sites_behind: 3 });
    assert_eq!(is_through(&running).await, SecretView { generation: 2, sites_behind: 0 });
    let after = harness.state();
    for site in ["one", "two", "three"] {
        let id = id_of(&running, site).await;
        let derived = MasterSecret::new([2; 32]).site_password(Purpose::SiteDatabase, id, 2);
        assert_eq!(hash(&after, site), mariadb_hash(&derived));
        assert_ne!(hash(&after, site), hash(&before, site));
        running.assert_whole(site).await;
    }
    assert_eq!(admin_password(&running, "one").await, admin, "it is WordPress's own");
    // What is made from now on is derived from the new one alone.
    running.active("four").await;
    let derived = MasterSecret::new([2; 32]).site_password(Purpose::SiteAdmin, id_of(&running, "four").await, 1);
    assert_eq!(admin_password(&running, "four").await, derived.expose_secret());
    running.stop().await;
}

#[tokio::test]
async fn a_rotation_goes_on_after_a_restart() {
    let harness = Harness::new().await;
    let running = harness.start().await;
    running.active("one").await;
    harness.gate.cut_off(Dependency::DOCKER);
    assert_eq!(running.app.rotate_secret().await.unwrap().sites_behind, 1);
    assert_eq!(running.app.rotate_secret().await.unwrap(), SecretView { generation: 3, sites_behind: 1 });
    running.stop().await;
    harness.gate.reconnect(Dependency::DOCKER);
    let running = harness.start().await;
    running.app.settle_routes().await.unwrap();
    assert_eq!(is_through(&running).await, SecretView { generation: 3, sites_behind: 0 });
    running.stop().await;
}

#[tokio::test]
async fn a_site_that_does_not_serve_keeps_its_passwords() {
    let harness = Harness::new().await;
    let running = harness.start().await;
    for site in ["broken", "whole"] {
        running.active(site).await;
    }
    let before = harness.state();
    let page = before.containers.volumes["wp_broken"].files["index.php"].clone();
    // It breaks while its container is made again.
    for _ in 0..4 {
        let world = harness.world.clone();
        harness.gate.before("docker.create_container", move || {
            let mut state = world.state();
            if state.containers.container("php_broken").is_none() {
                state.containers.delete_file("wp_broken", "index.php");
            }
        });
    }
    running.app.rotate_secret().await.unwrap();
    let of = async |site: &str| {
        let asked = JobFilter { operation: Some(OperationName::Rotate), limit: 10, ..JobFilter::default() };
        let found = running.app.jobs(Some(&name(site)), &asked).await.unwrap().rows;
        found.first().map(|job| job.record.state)
    };
    let mut changes = running.app.changes();
    loop {
        changes.mark_unchanged();
        match [of("broken").await, of("whole").await] {
            [Some(JobState::Failed), Some(JobState::Completed)] => break,
            _ => changes.changed().await.unwrap(),
        }
    }
    assert_eq!(running.app.secret().await.unwrap(), SecretView { generation: 2, sites_behind: 1 });
    harness.world.state().containers.volumes.get_mut("wp_broken").unwrap().files.insert("index.php".to_owned(), page);
    assert_eq!(hash(&harness.state(), "broken"), hash(&before, "broken"), "from the older generation, as before");
    running.assert_whole("broken").await;
    running.stop().await;
}

#[tokio::test]
async fn a_database_that_is_older_than_the_world_has_nothing_rotated() {
    let harness = Harness::new().await;
    let running = harness.start().await;
    running.active("one").await;
    running.stop().await;
    let copy = harness.copy_database();
    let running = harness.start().await;
    running.app.settle_routes().await.unwrap();
    running.app.rotate_secret().await.unwrap();
    is_through(&running).await;
    running.active("later").await;
    running.stop().await;
    harness.restore_database(&copy);
    let before = harness.state();
    let running = harness.start().await;
    running.app.settle_routes().await.unwrap();
    assert_eq!(running.app.secret().await.unwrap(), SecretView { generation: 2, sites_behind: 1 });
    // A site that is made is through long after a pass could have begun.
    running.active("another").await;
    assert_eq!(running.jobs_of(OperationName::Rotate).await.len(), 0);
    assert_eq!(hash(&harness.state(), "one"), hash(&before, "one"));
    running.stop().await;
}

#[tokio::test]
async fn a_site_that_is_busy_has_its_turn() {
    let harness = Harness::new().await;
    let running = harness.start().await;
    running.active("one").await;
    // A job that stays where it is while Docker is away.
    harness.gate.cut_off(Dependency::DOCKER);
    let first = running.app.rotate_site(&name("one")).await.unwrap().record.id;
    running.waiting(first).await;
    running.app.rotate_secret().await.unwrap();
    harness.gate.reconnect(Dependency::DOCKER);
    is_through(&running).await;
    running.completed(first).await;
    assert_eq!(running.jobs_of(OperationName::Rotate).await.len(), 2, "the order before, and ours");
    running.stop().await;
}

#[tokio::test]
async fn a_secret_that_can_t_be_kept_changes_nothing() {
    let mut harness = Harness::new().await;
    let keep = |_: &Keyring| Err(std::io::Error::other("disk full"));
    harness.secrets = Secrets::new(Keyring::new(MasterSecret::new([7; 32])), Arc::new(keep));
    let running = harness.start().await;
    running.active("one").await;
    let before = harness.state();
    let error = running.app.rotate_secret().await.unwrap_err();
    assert!(error.to_string().contains("disk full"), "{error}");
    assert_eq!(running.app.secret().await.unwrap(), SecretView { generation: 1, sites_behind: 0 });
    assert_eq!(harness.state(), before);
    running.stop().await;
}

#[tokio::test]
async fn without_a_generation_that_sites_need_nothing_starts() {
    let mut harness = Harness::new().await;
    let running = harness.start().await;
    running.active("one").await;
    running.app.rotate_secret().await.unwrap();
    is_through(&running).await;
    running.stop().await;
    // An older copy of the file: the first generation alone.
    harness.secrets = hostplane_testing::harness::secrets([7; 32]);
    let refused =
        App::new(harness.store().await, harness.gated(), harness.secrets.clone(), harness.settings.clone()).await;
    let Err(error) = refused else { panic!("it starts") };
    assert!(matches!(error, StoreError::NoGeneration(2)), "{error}");
    assert!(error.to_string().contains("restore"), "{error}");
}
