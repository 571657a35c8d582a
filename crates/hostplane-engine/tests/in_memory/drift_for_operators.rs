//! Drift that is left to an operator: what would lose data, what isn't ours, and what no repair has cured.

use std::time::Duration;

use hostplane_domain::drift::Remediation;
use hostplane_domain::job::JobState;
use hostplane_domain::mark::{LABEL_SPEC, Labels};
use hostplane_domain::naming::ResourceKind;
use hostplane_domain::observed::Reason;
use hostplane_domain::render::caddy::MAINTENANCE_PAGE;
use hostplane_domain::site_change::SiteChange;
use hostplane_domain::spec_hash::SpecHash;
use hostplane_testing::fake::{DatabaseState, FakeVolume, State};
use hostplane_testing::harness::name;

use crate::drift::{
    Wreck, in_service, new_in_service, php, repair_completes, repaired, repairs, scan_finds, shape, stop_php,
    until_known,
};
use crate::harness::{Harness, failure};

#[tokio::test]
async fn a_failing_or_blank_front_page_needs_an_operator() {
    let (harness, running) = new_in_service().await;
    let titled = |title: &str| {
        let mut state = harness.world.state();
        let tables = &mut state.databases.databases.get_mut("wp_hello").unwrap().tables;
        tables.insert("wp_options".to_owned(), title.to_owned())
    };
    let title = titled("").unwrap();
    scan_finds(&running, &[(ResourceKind::Serving, Reason::Page, Remediation::Operator)]).await;
    assert_eq!(repairs(&running).await.len(), 0);
    titled(&title);
    scan_finds(&running, &[]).await;
    running.stop().await;
}

#[tokio::test]
async fn data_that_is_gone_is_never_made_anew_and_visitors_get_a_maintenance_page() {
    type Loss = (ResourceKind, Wreck, fn(&mut State, &State));
    let losses: [Loss; 4] = [
        (
            // Whatever a page says: neither files nor a core are where they belong.
            ResourceKind::WordpressFiles,
            |state| state.containers.volumes.get_mut("wp_hello").unwrap().files.clear(),
            |state, before| {
                state.containers.volumes.insert("wp_hello".to_owned(), before.containers.volumes["wp_hello"].clone());
            },
        ),
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
        let (harness, running) = new_in_service().await;
        let (before, whole) = (harness.state(), shape(&harness));
        lose(&mut harness.world.state());
        running.scan_deeply().await;
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
            running.scan_deeply().await;
        }
        assert_eq!(repairs(&running).await.len(), 1, "it is said once");

        bring_back(&mut harness.world.state(), &before);
        running.retried(held.record.id).await;
        assert_eq!(shape(&harness), whole, "{kind}");
        until_known(&running, &[]).await;
        running.stop().await;
    }
}

#[tokio::test]
async fn what_an_earlier_release_made_waits_for_an_upgrade() {
    let (harness, running) = new_in_service().await;
    php(&mut harness.world.state()).labels.insert(LABEL_SPEC.to_owned(), SpecHash::of(&"earlier").to_string());
    scan_finds(&running, &[(ResourceKind::PhpContainer, Reason::Release, Remediation::Upgrade)]).await;
    assert_eq!(repairs(&running).await.len(), 0);
    let upgrade = running.app.upgrade_site(&name("hello")).await.unwrap();
    running.completed(upgrade.record.id).await;
    scan_finds(&running, &[]).await;
    running.stop().await;
}

#[tokio::test]
async fn a_foreign_object_under_a_site_s_name_stays() {
    let (harness, running) = new_in_service().await;
    {
        let mut state = harness.world.state();
        state.containers.containers.clear();
        state.containers.volumes.insert("nginx_hello".to_owned(), FakeVolume::new(Labels::new()));
    }
    running.scan(1).await;
    let failed = repaired(&running, 1).await;
    assert_eq!(failed.record.state, JobState::Failed);
    assert!(failure(&failed).1.contains("nginx_hello"), "{:?}", failure(&failed));
    assert_eq!(harness.world.state().containers.volumes["nginx_hello"].labels, Labels::new());
    running.stop().await;
}

#[tokio::test]
async fn what_breaks_again_and_again_is_repaired_ever_less_often_and_locks_nothing() {
    let mut harness = Harness::new().await;
    harness.settings.pace.repair_backoff = Duration::from_millis(1);
    let running = in_service(&harness).await;
    for nth in 1..=7 {
        stop_php(&harness);
        running.scan(1).await;
        repair_completes(&running, nth).await;
        until_known(&running, &[]).await;
    }
    assert_eq!(running.app.site(&name("hello")).await.unwrap().view.active_job, None);
    running.assert_whole("hello").await;
    running.stop().await;
}

#[tokio::test]
async fn a_repair_that_fails_locks_nothing_and_is_ordered_again() {
    let mut harness = Harness::new().await;
    harness.settings.pace.repair_backoff = Duration::from_millis(1);
    let running = in_service(&harness).await;
    let image = php(&mut harness.world.state()).spec.image.clone();
    harness.world.state().containers.images.remove(&image);
    harness.world.state().containers.containers.retain(|_, container| container.spec.name != "php_hello");
    running.scan(1).await;
    let failed = repaired(&running, 1).await;
    assert_eq!(failed.record.state, JobState::Failed);
    assert!(failure(&failed).1.contains(&image), "{:?}", failure(&failed));
    // Orders go on, ...
    let change = SiteChange::Suspended(true);
    let stuck = running.change("hello", &change).await;
    assert_eq!(running.ended(stuck).await.record.state, JobState::NeedsOperator, "it can't be turned back either");
    running.app.cancel_job(stuck).await.unwrap();
    // ... and once the cause is gone, the next repair comes by itself, or at once when it is retried.
    harness.world.state().containers.images.insert(image);
    let next = running.app.retry_job(failed.record.id).await.unwrap().record.id;
    assert_ne!(next, failed.record.id);
    running.completed(next).await;
    running.assert_whole("hello").await;
    running.stop().await;
}

#[tokio::test]
async fn no_change_of_a_site_makes_anything_in_the_place_of_data_that_is_gone() {
    for change in [SiteChange::Secrets { generation: 1 }, SiteChange::Suspended(true)] {
        let (harness, running) = new_in_service().await;
        let before = harness.state();
        {
            let mut state = harness.world.state();
            state.containers.containers.clear();
            state.containers.volumes.remove("wp_hello").unwrap();
        }
        let job = running.change("hello", &change).await;
        let stuck = running.ended(job).await;
        assert_eq!(stuck.record.state, JobState::NeedsOperator);
        assert!(failure(&stuck).1.contains("gone"), "{:?}", failure(&stuck));
        assert!(!harness.world.state().containers.volumes.contains_key("wp_hello"));
        let kept = before.containers.volumes["wp_hello"].clone();
        harness.world.state().containers.volumes.insert("wp_hello".to_owned(), kept);
        running.app.retry_job(job).await.unwrap();
        running.ended(job).await;
        running.assert_whole("hello").await;
        running.stop().await;
    }
}
