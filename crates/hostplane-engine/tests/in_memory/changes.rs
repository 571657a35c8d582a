//! Site → site': what is changed, and what stays.

use std::collections::BTreeMap;

use hostplane_domain::job::JobState;
use hostplane_domain::naming::ResourceKind;
use hostplane_domain::site_change::{LimitsPatch, PhpPatch, SettingsPatch, SiteChange};
use hostplane_domain::status::SiteStatus;
use hostplane_domain::wordpress::{MailRelay, MailTls, SiteImages};
use hostplane_engine::app::{AppError, JobView};
use hostplane_engine::pace::STEP_TRIES;
use hostplane_infra::containers::ArchiveEntry;
use hostplane_infra::error::{Dependency, EffectError, Rejection};
use hostplane_infra::gate::Verdict;
use hostplane_infra::probe::{Page, SiteProbe};
use hostplane_testing::fake::State;
use hostplane_testing::harness::{ControlPlane, NGINX_IMAGE, PHP_IMAGE, name};

use crate::harness::{Harness, failure, with_hello};

/// Orders of this module.
trait Order {
    async fn changed(&self, change: &SiteChange) -> JobView;
}

impl Order for ControlPlane {
    async fn changed(&self, change: &SiteChange) -> JobView {
        let job = self.change("hello", change).await;
        self.ended(job).await
    }
}

fn limits(patch: LimitsPatch) -> SiteChange {
    SiteChange::Settings(SettingsPatch { limits: patch, ..SettingsPatch::default() })
}

fn images(php: &str) -> SiteChange {
    SiteChange::Upgrade { images: SiteImages { php: php.to_owned(), nginx: NGINX_IMAGE.to_owned() }, mail: None }
}

/// The site's own files.
fn files(state: &mut State) -> &mut BTreeMap<String, ArchiveEntry> {
    &mut state.containers.volumes.get_mut("wp_hello").unwrap().files
}

fn id_of(state: &State, container: &str) -> String {
    state.containers.container(container).expect("it is there").0.to_owned()
}

async fn front_page(harness: &Harness, running: &ControlPlane) -> Page {
    harness.world.get(&running.site("hello").await.url, "/").await.unwrap()
}

#[tokio::test]
async fn a_change_of_limits_replaces_what_depends_on_them_and_nothing_else() {
    let (harness, running) = with_hello().await;
    let before = harness.state();
    let job = running.changed(&limits(LimitsPatch { database_connections: Some(30), ..Default::default() })).await;
    assert_eq!(job.record.state, JobState::Completed, "{:?}", job.record.error);
    let steps: Vec<ResourceKind> = job.steps.iter().map(|step| step.resource).collect();
    assert_eq!(steps, [ResourceKind::Database, ResourceKind::Serving]);
    assert_eq!(harness.state().databases.users["wp_hello"].max_connections, 30);
    assert_eq!(harness.state().containers, before.containers);

    let job = running.changed(&limits(LimitsPatch { php_workers: Some(7), ..Default::default() })).await;
    assert_eq!(job.record.state, JobState::Completed, "{:?}", job.record.error);
    let after = harness.state();
    assert_eq!(id_of(&after, "nginx_hello"), id_of(&before, "nginx_hello"));
    assert_ne!(id_of(&after, "php_hello"), id_of(&before, "php_hello"));
    // It is confirmed only after the new container is there.
    let place = |kind| job.steps.iter().find(|step| step.resource == kind).expect("it has a step");
    assert!(place(ResourceKind::Serving).started_at >= place(ResourceKind::PhpContainer).finished_at.unwrap());
    let shown = running.site("hello").await;
    assert_eq!(shown.record.status, SiteStatus::Active);
    let limits = shown.record.spec.unwrap().limits;
    assert_eq!((limits.php_workers, limits.database_connections), (7, 30));
    running.assert_whole("hello").await;
    running.stop().await;
}

#[tokio::test]
async fn an_upgrade_to_an_image_that_is_missing_changes_nothing() {
    let (harness, running) = with_hello().await;
    let before = harness.state();
    let job = running.changed(&images("hostplane/php:missing")).await;
    assert_eq!(job.record.state, JobState::Failed);
    let (step, message) = failure(&job);
    assert_eq!(step, Some("php_container"));
    assert!(message.contains("hostplane/php:missing"), "{message}");
    assert_eq!(harness.state(), before, "what served was not taken away");
    assert_eq!(running.status("hello").await, SiteStatus::Active);
    running.stop().await;
}

#[tokio::test]
async fn an_upgrade_that_does_not_serve_is_taken_back() {
    let harness = Harness::new().await;
    harness.world.state().containers.images.insert("hostplane/php:bad".to_owned());
    let running = harness.start().await;
    running.active("hello").await;
    let before = harness.state();
    // Its front page is broken from then on.
    let world = harness.world.clone();
    harness.gate.before("docker.create_container", move || drop(files(&mut world.state()).remove("index.php")));
    let order = running.change("hello", &images("hostplane/php:bad")).await;
    let job = running.ended(order).await;
    assert_eq!(job.record.state, JobState::Failed);
    assert_eq!(failure(&job).0, Some("serving"));
    let after = harness.state();
    let image = |state: &State| state.containers.container("php_hello").unwrap().1.spec.image.clone();
    assert_eq!((image(&after), image(&before)), (PHP_IMAGE.to_owned(), PHP_IMAGE.to_owned()));
    running.assert_whole("hello").await;
    running.stop().await;
}

#[tokio::test]
async fn other_images_of_new_sites_are_an_upgrade_pending_and_no_drift() {
    let (mut harness, running) = with_hello().await;
    assert!(!running.site("hello").await.upgrade_pending);
    running.stop().await;
    harness.settings.images.php = "hostplane/php:next".to_owned();
    harness.world.state().containers.images.insert("hostplane/php:next".to_owned());
    let running = harness.start().await;
    running.app.settle_routes().await.unwrap();
    assert!(running.site("hello").await.upgrade_pending);
    running.assert_whole("hello").await;
    let job = running.app.upgrade_site(&name("hello")).await.unwrap().record.id;
    running.completed(job).await;
    assert!(!running.site("hello").await.upgrade_pending);
    assert_eq!(harness.state().containers.container("php_hello").unwrap().1.spec.image, "hostplane/php:next");
    running.stop().await;
}

#[tokio::test]
async fn another_mail_server_for_new_sites_is_an_upgrade_pending_too() {
    let (mut harness, running) = with_hello().await;
    running.stop().await;
    let relay = MailRelay { host: "mail".to_owned(), port: 25, tls: MailTls::None, user: None, from: None };
    harness.settings.mail = Some(relay.clone());
    let running = harness.start().await;
    assert!(running.site("hello").await.upgrade_pending);
    let job = running.app.upgrade_site(&name("hello")).await.unwrap().record.id;
    running.completed(job).await;
    let site = running.site("hello").await;
    assert_eq!((site.upgrade_pending, site.record.spec.unwrap().wordpress().mail.clone()), (false, Some(relay)));
    running.assert_whole("hello").await;
    running.stop().await;
}

#[tokio::test]
async fn other_settings_of_php_are_what_its_container_reads_from_then_on() {
    let (harness, running) = with_hello().await;
    let file = |name: &str| {
        String::from_utf8(harness.state().containers.read_file("php_hello", name).unwrap().into()).unwrap()
    };
    assert!(file("php-fpm.conf").contains("php_value[memory_limit] = 256M"));
    assert!(file("wp-config.php").contains("DISALLOW_FILE_EDIT', true"));
    let before = harness.state();
    let php = PhpPatch { memory_mib: Some(128), disallow_file_edit: Some(false), ..PhpPatch::default() };
    let job = running.changed(&SiteChange::Settings(SettingsPatch { php, ..SettingsPatch::default() })).await;
    assert_eq!(job.record.state, JobState::Completed, "{:?}", job.record.error);
    assert!(file("php-fpm.conf").contains("php_value[memory_limit] = 128M"));
    assert!(!file("wp-config.php").contains("DISALLOW_FILE_EDIT', true"));
    let after = harness.state();
    assert_ne!(id_of(&after, "php_hello"), id_of(&before, "php_hello"), "PHP reads them when it starts");
    assert_eq!(id_of(&after, "nginx_hello"), id_of(&before, "nginx_hello"));
    running.assert_whole("hello").await;
    running.stop().await;
}

#[tokio::test]
async fn a_suspended_site_shows_a_maintenance_page_until_it_is_resumed() {
    let (harness, running) = with_hello().await;
    let before = harness.state();
    for _ in 0..2 {
        assert_eq!(running.changed(&SiteChange::Suspended(true)).await.record.state, JobState::Completed);
        let page = front_page(&harness, &running).await;
        assert_eq!(page.status, 503);
        assert!(String::from_utf8_lossy(&page.body).contains("maintenance"));
        running.assert_whole("hello").await;
    }
    assert_eq!(harness.state().containers, before.containers);
    assert_eq!(running.changed(&SiteChange::Suspended(false)).await.record.state, JobState::Completed);
    assert_eq!(front_page(&harness, &running).await.status, 200);
    running.changed(&SiteChange::Suspended(true)).await;
    running.destroyed("hello").await;
    running.stop().await;
}

#[tokio::test]
async fn rotated_secrets_are_new_and_the_administrator_s_password_stays() {
    use secrecy::ExposeSecret;
    let (harness, running) = with_hello().await;
    let password = async || running.app.credentials(&name("hello")).await.unwrap().password.expose_secret().to_owned();
    let (admin, before) = (password().await, harness.state());
    assert_eq!(running.changed(&SiteChange::Secrets { generation: 1 }).await.record.state, JobState::Completed);
    let after = harness.state();
    let hash = |state: &State| state.databases.users["wp_hello"].password_hash.clone();
    assert_ne!(hash(&after), hash(&before));
    let config = |state: &State| state.containers.read_file("php_hello", "wp-config.php").unwrap();
    assert_ne!(config(&after), config(&before));
    assert_eq!(front_page(&harness, &running).await.status, 200, "WordPress logs in with the new password");
    assert_eq!(password().await, admin);
    running.stop().await;
}

#[tokio::test]
async fn a_cancelled_change_is_taken_back() {
    let (harness, running) = with_hello().await;
    let spec = running.site("hello").await.record.spec;
    harness.gate.cut_off(Dependency::DOCKER);
    let change = limits(LimitsPatch { php_workers: Some(7), ..Default::default() });
    let job = running.change("hello", &change).await;
    running.waiting(job).await;
    let busy = running.app.change_site(&name("hello"), &change).await.unwrap_err();
    assert!(matches!(busy, AppError::Busy { .. }), "{busy}");
    running.app.cancel_job(job).await.unwrap();
    harness.gate.reconnect(Dependency::DOCKER);
    assert_eq!(running.ended(job).await.record.state, JobState::Cancelled);
    assert_eq!(running.site("hello").await.record.spec, spec);
    running.assert_whole("hello").await;
    running.stop().await;
}

#[tokio::test]
async fn what_can_not_be_changed_says_why() {
    let harness = Harness::new().await;
    let running = harness.start().await;
    let change = limits(LimitsPatch { php_workers: Some(7), ..Default::default() });
    let refused = running.app.change_site(&name("hello"), &change).await.unwrap_err();
    assert!(matches!(refused, AppError::NoSite(_)), "{refused}");
    harness.gate.next("wordpress.install", Verdict::Fail(Rejection::WouldLoseData("x".into()).into()));
    let job = running.create("hello").await;
    running.ended(job).await;
    let refused = running.app.change_site(&name("hello"), &change).await.unwrap_err();
    assert!(matches!(refused, AppError::WrongStatus { status: SiteStatus::Failed, .. }), "{refused}");
    assert!(refused.to_string().contains("ACTIVE"), "{refused}");
    running.retried(job).await;
    let jobs = running.all_jobs().await.len();
    let bad = limits(LimitsPatch { php_workers: Some(0), ..Default::default() });
    let refused = running.app.change_site(&name("hello"), &bad).await.unwrap_err();
    assert!(
        matches!(&refused, AppError::RefusedSetting(refused) if refused.field == "limits.php_workers"),
        "{refused}"
    );
    assert_eq!(running.all_jobs().await.len(), jobs, "nothing was begun");
    running.stop().await;
}

#[tokio::test]
async fn a_rollback_that_is_tried_twice_keeps_the_first_error() {
    let (harness, running) = with_hello().await;
    let refused = Rejection::Invalid { by: Dependency::DOCKER, message: "the cause".to_owned() };
    harness.gate.next("docker.start_container", Verdict::Fail(refused.into()));
    for _ in 0..STEP_TRIES {
        let passing = EffectError::transient_message("docker.start_container", "reset by peer");
        harness.gate.next("docker.start_container", Verdict::Fail(passing));
    }
    let job = running.changed(&limits(LimitsPatch { php_workers: Some(7), ..Default::default() })).await;
    assert_eq!((job.record.state, job.record.attempt), (JobState::Failed, 2));
    assert!(failure(&job).1.contains("the cause"), "{:?}", failure(&job));
    running.assert_whole("hello").await;
    running.stop().await;
}
