//! Actions of an owner on his site: it is his, so no job undoes them, and none of them holds the site.

use std::collections::BTreeMap;
use std::time::Duration;

use hostplane_domain::drift::Remediation;
use hostplane_domain::ids::SiteId;
use hostplane_domain::job::JobState;
use hostplane_domain::naming::ResourceKind;
use hostplane_domain::observed::Reason;
use hostplane_domain::site_change::{LimitsPatch, PhpPatch, SettingsPatch, SiteChange};
use hostplane_domain::status::SiteStatus;
use hostplane_infra::containers::{ArchiveEntry, ContainerState};
use hostplane_infra::error::EffectError;
use hostplane_infra::gate::Verdict;
use hostplane_testing::fake::{ANSWERS, State};
use hostplane_testing::harness::{ControlPlane, name};

use crate::drift::{Wreck, in_service, new_in_service, php, repair_completes, repairs, scan_finds};
use crate::harness::Harness;

const MARKER: &str = ".hostplane-site";
const MAINTENANCE: &str = ".maintenance";
/// The text of that file after an update of WordPress that broke off.
const INTERRUPTED: &str = "<?php $upgrading = 1500000000; ?>";

/// The owner's files, without our marker and those that a repair has kept.
fn owned(state: &State) -> BTreeMap<String, ArchiveEntry> {
    let mut files = state.containers.volumes["wp_hello"].files.clone();
    files.retain(|path, _| !path.starts_with(".hostplane-"));
    files
}

fn more_memory() -> SiteChange {
    let php = PhpPatch { memory_mib: Some(128), ..PhpPatch::default() };
    SiteChange::Settings(SettingsPatch { php, limits: LimitsPatch::default() })
}

async fn changes(running: &ControlPlane, change: &SiteChange) {
    let job = running.change("hello", change).await;
    running.completed(job).await;
}

/// Each of our markers, lost or another site's.
const LOST: &[(ResourceKind, Wreck)] = &[
    (ResourceKind::WordpressFiles, |state| state.containers.delete_file("wp_hello", MARKER)),
    (ResourceKind::WordpressFiles, |state| {
        state.containers.write_file("wp_hello", MARKER, "01a229af-abb4-721e-b0f5-d92f28d0b64f");
    }),
    (ResourceKind::WordpressInstall, |state| {
        state.databases.databases.get_mut("wp_hello").unwrap().installed = None;
    }),
    (ResourceKind::WordpressInstall, |state| {
        let other: SiteId = "01a229af-abb4-721e-b0f5-d92f28d0b64f".parse().unwrap();
        state.databases.databases.get_mut("wp_hello").unwrap().installed = Some(other);
    }),
];

/// A restore by the owner: his own configuration, and the files of a newer core.
fn restore(state: &mut State) {
    state.containers.write_file("wp_hello", "wp-config.php", "<?php // theirs");
    state.containers.write_file("wp_hello", "wp-includes/newer.php", "<?php // of a newer core");
}

#[tokio::test]
async fn a_marker_is_put_back_and_nothing_of_the_owner_s_is_written() {
    for (kind, lose) in LOST {
        let (harness, running) = new_in_service().await;
        restore(&mut harness.world.state());
        let (before, tables) =
            (owned(&harness.state()), harness.state().databases.databases["wp_hello"].tables.clone());
        lose(&mut harness.world.state());
        running.scan_deeply().await;
        let repair = repair_completes(&running, 1).await;
        let why: Vec<_> = repair.record.why.iter().map(|why| (why.kind, why.reason, why.remediation)).collect();
        assert_eq!(why, [(*kind, Reason::Marker, Remediation::Repair)]);
        running.assert_whole("hello").await;
        assert_eq!(owned(&harness.state()), before, "{kind}");
        assert_eq!(harness.state().databases.databases["wp_hello"].tables, tables);
        running.stop().await;
    }
}

#[tokio::test]
async fn a_site_without_our_markers_is_changed_like_any_other() {
    for (kind, lose) in LOST {
        for change in [more_memory(), SiteChange::Suspended(true), SiteChange::Secrets { generation: 1 }] {
            let (harness, running) = new_in_service().await;
            restore(&mut harness.world.state());
            let before = owned(&harness.state());
            lose(&mut harness.world.state());
            changes(&running, &change).await;
            assert_eq!(owned(&harness.state()), before, "{kind} {change:?}");
            assert_eq!(running.status("hello").await, SiteStatus::Active);
            running.stop().await;
        }
    }
}

/// States that only the owner can end: they are reported, and hinder nothing.
const THEIRS: &[(&[(ResourceKind, Reason)], Wreck)] = &[
    (&[(ResourceKind::WordpressFiles, Reason::HalfUpdate)], |state| {
        state.containers.write_file("wp_hello", MAINTENANCE, INTERRUPTED);
    }),
    // WordPress redirects to its installer.
    (&[(ResourceKind::WordpressInstall, Reason::Data), (ResourceKind::Serving, Reason::Page)], |state| {
        let config = "<?php $table_prefix = 'theirs_'; require '/etc/hostplane/wp-config.php';";
        state.containers.write_file("wp_hello", "wp-config.php", config);
    }),
    // Another program, or static pages, in WordPress's place.
    (&[(ResourceKind::WordpressFiles, Reason::Marker)], |state| {
        state.containers.delete_file("wp_hello", "wp-includes/version.php");
        state.containers.delete_file("wp_hello", MARKER);
    }),
];

#[tokio::test]
async fn what_only_the_owner_can_end_is_reported_and_hinders_no_change() {
    for (found, wreck) in THEIRS {
        let (harness, running) = new_in_service().await;
        wreck(&mut harness.world.state());
        let before = owned(&harness.state());
        let found: Vec<_> = found.iter().map(|(kind, reason)| (*kind, *reason, Remediation::Operator)).collect();
        scan_finds(&running, &found).await;
        assert!(repairs(&running).await.is_empty());
        for change in [more_memory(), SiteChange::Suspended(true), SiteChange::Suspended(false)] {
            changes(&running, &change).await;
        }
        assert_eq!(owned(&harness.state()), before);
        running.stop().await;
    }
}

#[tokio::test]
async fn a_core_that_was_half_updated_is_made_whole() {
    let (harness, running) = new_in_service().await;
    let whole = owned(&harness.state());
    {
        let mut state = harness.world.state();
        state.containers.write_file("wp_hello", "index.php", "<?php // of the next version");
        state.containers.write_file("wp_hello", MAINTENANCE, INTERRUPTED);
    }
    running.scan_deeply().await;
    repair_completes(&running, 1).await;
    assert_eq!(owned(&harness.state()), whole);
    scan_finds(&running, &[]).await;
    running.stop().await;
}

#[tokio::test]
async fn no_job_ends_an_update_that_runs() {
    for change in [Some(more_memory()), Some(SiteChange::Suspended(true)), None] {
        let (harness, running) = new_in_service().await;
        harness.world.state().containers.write_file("wp_hello", MAINTENANCE, "running");
        let before = harness.state();
        let job = match &change {
            Some(change) => running.change("hello", change).await,
            None => running.destroy("hello").await,
        };
        assert_eq!(running.waiting(job).await.record.waiting_for.as_deref(), Some("site"));
        assert_eq!(harness.state(), before, "nothing was begun");
        harness.world.state().containers.delete_file("wp_hello", MAINTENANCE);
        running.completed(job).await;
        running.stop().await;
    }
}

#[tokio::test]
async fn an_update_is_not_waited_for_for_ever() {
    let mut harness = Harness::new().await;
    harness.settings.pace.update_patience = Duration::from_millis(20);
    let running = in_service(&harness).await;
    harness.world.state().containers.write_file("wp_hello", MAINTENANCE, "running");
    changes(&running, &more_memory()).await;
    running.destroyed("hello").await;
    running.stop().await;
}

#[tokio::test]
async fn a_repair_that_ends_nothing_waits_for_no_update() {
    let (harness, running) = new_in_service().await;
    harness.world.state().containers.write_file("wp_hello", MAINTENANCE, "running");
    let nginx = |state: &mut State, to| state.containers.container_mut("nginx_hello").unwrap().state = to;
    nginx(&mut harness.world.state(), ContainerState::Exited);
    running.scan(1).await;
    repair_completes(&running, 1).await;
    // PHP that is frozen is made again, and with it goes what runs in it.
    php(&mut harness.world.state()).state = ContainerState::Paused;
    running.scan(1).await;
    let repair = repair_completes(&running, 2).await;
    assert_eq!((repair.record.state, repair.site), (JobState::Completed, name("hello")));
    running.stop().await;
}

/// Pages as owners make them: a hidden login, a redirect to a language, members only, coming soon, a plugin that
/// fails.
const PAGES: &[&str] = &[
    "/wp-login.php 404",
    "/ 302",
    "/ 401\n/wp-login.php 401",
    "/ 403",
    "/ 503\n/wp-login.php 503",
    "/ 500\n/wp-login.php 500",
];

#[tokio::test]
async fn what_an_owner_makes_of_his_pages_hinders_no_change() {
    for pages in PAGES {
        let (harness, running) = new_in_service().await;
        harness.world.state().containers.write_file("wp_hello", ANSWERS, *pages);
        let suspended = [SiteChange::Suspended(true), SiteChange::Suspended(false)];
        for change in [more_memory(), SiteChange::Secrets { generation: 1 }].iter().chain(&suspended) {
            changes(&running, change).await;
        }
        running.assert_whole("hello").await;
        running.stop().await;
    }
}

#[tokio::test]
async fn a_change_that_makes_pages_worse_is_taken_back_without_a_question() {
    for (before, after) in [("", "/ 500"), ("/ 302", "/ 404"), ("/ 503", "/ 500"), ("", "/wp-login.php 502")] {
        let (harness, running) = new_in_service().await;
        harness.world.state().containers.write_file("wp_hello", ANSWERS, before);
        let spec = running.site("hello").await.record.spec;
        // The new container brings the fault.
        let world = harness.world.clone();
        harness.gate.before("docker.create_container", move || {
            world.state().containers.write_file("wp_hello", ANSWERS, after);
        });
        let job = running.change("hello", &more_memory()).await;
        let job = running.ended(job).await;
        assert_eq!(job.record.state, JobState::Failed, "{before} {after}: {:?}", job.record.error);
        let message = job.record.error.expect("an error").message;
        assert!(message.contains("worse than before the change"), "{message}");
        // The page still fails, which is no reason not to end.
        assert_eq!(running.site("hello").await.record.spec, spec);
        running.assert_whole("hello").await;
        running.stop().await;
    }
}

#[tokio::test]
async fn a_site_that_does_not_say_what_is_there_is_changed_all_the_same() {
    let (harness, running) = new_in_service().await;
    for _ in 0..40 {
        let fails = EffectError::transient_message("wordpress.facts", "php ended with 255");
        harness.gate.next("wordpress.facts", Verdict::Fail(fails));
    }
    for change in [SiteChange::Suspended(true), SiteChange::Suspended(false), more_memory()] {
        changes(&running, &change).await;
    }
    running.stop().await;
}

/// The calls that write among the owner's data, each with the drift that leads to it.
const WRITES: &[(&str, Wreck)] = &[
    ("wordpress.mark_files", |state| state.containers.delete_file("wp_hello", MARKER)),
    ("wordpress.mark_tables", |state| {
        state.databases.databases.get_mut("wp_hello").unwrap().installed = None;
    }),
    ("wordpress.repair_core", |state| {
        state.containers.write_file("wp_hello", "index.php", "<?php // of the next version");
        state.containers.write_file("wp_hello", MAINTENANCE, INTERRUPTED);
    }),
];

#[tokio::test]
async fn a_change_writes_nothing_among_the_owner_s_data() {
    for (call, wreck) in WRITES {
        let (harness, running) = new_in_service().await;
        wreck(&mut harness.world.state());
        for change in [more_memory(), SiteChange::Secrets { generation: 1 }, SiteChange::Suspended(true)] {
            changes(&running, &change).await;
        }
        assert!(harness.gate.calls().iter().all(|made| made.name != *call), "{call}");
        running.stop().await;
    }
}

#[tokio::test]
async fn the_root_of_the_files_stays_as_it_is() {
    let (harness, running) = new_in_service().await;
    let root = |state: &mut State| {
        let volume = state.containers.volumes.get_mut("wp_hello").unwrap();
        (volume.mode, volume.uid)
    };
    assert_eq!(root(&mut harness.world.state()), (0o755, 33));
    harness.world.state().containers.volumes.get_mut("wp_hello").unwrap().mode = 0o550;
    for change in [more_memory(), SiteChange::Secrets { generation: 1 }] {
        changes(&running, &change).await;
    }
    assert_eq!(root(&mut harness.world.state()), (0o550, 33));
    running.stop().await;
}

#[tokio::test]
async fn a_mark_or_a_core_that_can_not_be_written_is_tried_again() {
    for (call, wreck) in WRITES {
        let (harness, running) = new_in_service().await;
        wreck(&mut harness.world.state());
        harness.gate.next(call, Verdict::Fail(EffectError::transient_message(call, "php ended with 70")));
        running.scan_deeply().await;
        repair_completes(&running, 1).await;
        let made = harness.gate.calls().iter().filter(|made| made.name == *call).count();
        assert_eq!(made, 2, "{call}");
        running.assert_whole("hello").await;
        scan_finds(&running, &[]).await;
        running.stop().await;
    }
}
