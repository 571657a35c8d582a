//! The path on which sites reach their databases is closed: one cause, one finding, and no site's job fails for it.

use std::time::Duration;

use hostplane_domain::job::JobState;
use hostplane_domain::site_change::SiteChange;
use hostplane_engine::app::{Finding, Severity};
use hostplane_infra::database_path::{ClosedPath, PathFault};
use hostplane_infra::error::Dependency;
use hostplane_testing::fake::FakePath;
use hostplane_testing::harness::ControlPlane;

use crate::drift::{known, new_in_service, repaired, repairs, scan_finds, stop_php};
use crate::harness::{Harness, until};

const SITES: [&str; 4] = ["hello", "second", "third", "fourth"];

fn closed() -> FakePath {
    FakePath::Closed(ClosedPath {
        fault: PathFault::Dropped,
        on_host: Some([172, 17, 0, 1].into()),
        server: "host.docker.internal:3306".to_owned(),
        bridges: "hpabcde".to_owned(),
    })
}

fn set(harness: &Harness, path: FakePath) {
    harness.world.state().database_path = path;
}

/// Four sites in service.
async fn in_service() -> (Harness, ControlPlane) {
    let (harness, running) = new_in_service().await;
    for site in &SITES[1..] {
        running.active(site).await;
    }
    (harness, running)
}

async fn findings(running: &ControlPlane, severity: Severity) -> Vec<Finding> {
    let mut findings = running.app.examine().await.unwrap();
    findings.retain(|finding| finding.severity == severity);
    findings
}

#[tokio::test]
async fn a_job_waits_for_it_and_burns_no_attempt() {
    let harness = Harness::new().await;
    set(&harness, closed());
    let running = harness.start().await;
    let job = running.create("hello").await;
    let waits = running.waiting(job).await;
    assert_eq!(waits.record.waiting_for.as_deref(), Some("database_path"));
    assert!(waits.steps.iter().all(|step| step.action == "ensure"), "nothing was rolled back");
    set(&harness, FakePath::Open);
    assert_eq!(running.completed(job).await.record.attempt, 1);
    running.stop().await;
}

#[tokio::test]
async fn it_is_one_finding_however_many_sites_there_are() {
    let (harness, running) = in_service().await;
    set(&harness, closed());
    let found = findings(&running, Severity::Error).await;
    assert_eq!(found.iter().map(|finding| finding.check).collect::<Vec<_>>(), ["database path"], "{found:#?}");
    assert!(found[0].message.contains("a firewall of the host keeps the sites out"), "{}", found[0].message);
    assert!(found[0].hint.as_ref().unwrap().starts_with("ufw allow in on hpabcde+"), "{:?}", found[0].hint);
    let report = running.app.drift();
    assert!(report.sites.is_empty(), "{report:#?}");
    assert!(report.trouble.unwrap().contains("no site reaches the database server at 172.17.0.1:3306"));
    assert!(!running.app.readiness().await.is_ready());
    set(&harness, FakePath::Open);
    scan_finds(&running, &[]).await;
    assert_eq!(running.app.drift().trouble, None);
    assert_eq!(findings(&running, Severity::Error).await.len(), 0);
    assert_eq!(repairs(&running).await.len(), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_page_that_fails_behind_it_blames_no_site() {
    let (harness, running) = in_service().await;
    let world = harness.world.clone();
    // The scan has found the path open.
    harness.gate.before("probe.get", move || world.state().database_path = closed());
    running.scan_deeply().await;
    assert_eq!(harness.world.state().database_path, closed(), "a page was requested, and failed");
    assert_eq!(known(&running), []);
    set(&harness, FakePath::Open);
    harness.world.state().containers.write_file("wp_hello", "wp-content/plugins/answers", "/ 500");
    running.scan_deeply().await;
    assert_eq!(known(&running).len(), 1, "a page that fails by itself is its site's");
    running.stop().await;
}

#[tokio::test]
async fn no_change_and_no_repair_fails_for_it() {
    let (harness, running) = new_in_service().await;
    set(&harness, closed());
    stop_php(&harness);
    running.scan(1).await;
    let repair = until("the repair", async || repairs(&running).await.first().map(|job| job.record.id)).await;
    running
        .app
        .job_when(repair, |job| job.record.waiting_for.is_some() || job.record.finished_at.is_some())
        .await
        .unwrap();
    set(&harness, FakePath::Open);
    let repaired = repaired(&running, 1).await.record;
    assert_eq!((repaired.state, repaired.attempt), (JobState::Completed, 1));
    set(&harness, closed());
    let suspend = running.change("hello", &SiteChange::Suspended(true)).await;
    running.completed(suspend).await;
    running.stop().await;
}

#[tokio::test]
async fn due_events_are_run_once_it_is_open() {
    let mut harness = Harness::new().await;
    harness.settings.pace.wp_cron_tick = Duration::from_millis(5);
    harness.settings.pace.wp_cron_backoff = Duration::from_millis(5);
    let running = harness.start().await;
    running.active("hello").await;
    set(&harness, closed());
    let due = harness.now();
    harness.world.state().databases.databases.get_mut("wp_hello").unwrap().next_event = Some(due);
    let calls = |name: &str| harness.gate.calls().iter().filter(|call| call.name == name).count();
    let before = calls("mariadb.next_events");
    until("three scans for due events", async || (calls("mariadb.next_events") > before + 3).then_some(())).await;
    assert_eq!(calls("wordpress.run_events"), 0);
    set(&harness, FakePath::Open);
    let has_run = || harness.world.state().databases.databases["wp_hello"].next_event.is_none();
    until("the run", async || has_run().then_some(())).await;
    running.stop().await;
}

#[tokio::test]
async fn a_path_that_nothing_watches_is_named_and_holds_nothing_up() {
    let (harness, running) = new_in_service().await;
    set(&harness, FakePath::Unwatched("the container hostplane_probe doesn't run".to_owned()));
    let warned = findings(&running, Severity::Warning).await;
    let named = warned.iter().find(|finding| finding.check == "database path").expect("it is named");
    assert!(named.message.contains("hostplane_probe doesn't run") && named.hint.as_ref().unwrap().contains("up"));
    assert!(running.app.readiness().await.is_ready());
    running.active("second").await;
    running.stop().await;
}

/// A server that is down is out of the sites' reach, too.
#[tokio::test]
async fn a_server_that_is_down_is_named_alone() {
    let (harness, running) = new_in_service().await;
    set(&harness, closed());
    harness.gate.cut_off(Dependency::Mariadb);
    let found = findings(&running, Severity::Error).await;
    let checks: Vec<&str> = found.iter().map(|finding| finding.check).collect();
    assert!(checks.contains(&"mariadb") && !checks.contains(&"database path"), "{checks:?}");
    running.stop().await;
}
