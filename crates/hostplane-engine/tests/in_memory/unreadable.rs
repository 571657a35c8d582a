//! A row of the control database that can't be read: every loop and every list goes on with the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hostplane_domain::job::JobState;
use hostplane_engine::app::{App, Severity};
use hostplane_engine::store::{Commit, JobFilter, Permit, SiteFilter, Store, StoreGate};
use hostplane_infra::clock::Clock;
use hostplane_infra::containers::ContainerState;
use hostplane_infra::error::{Dependency, Rejection};
use hostplane_infra::gate::Verdict;
use hostplane_testing::fake::{FakeClock, State};

use crate::drift::repairs;
use crate::harness::{Harness, until};
use hostplane_testing::harness::{ControlPlane, name, new_site};

/// Spoilt rows, each with the table that `doctor` names: a site's, an ended job's, and that of a job that holds its site.
const SPOILT: [(&str, &str); 3] = [
    ("UPDATE sites SET spec = '{' WHERE name = 'broken'", "sites"),
    ("UPDATE jobs SET operation = 'nonsense' WHERE site_id = (SELECT id FROM sites WHERE name = 'broken')", "jobs"),
    (
        "INSERT INTO jobs (id, site_id, operation, state, direction, run_at, created_at)
         SELECT 'ffffffff-0000-7000-8000-000000000000', id, 'nonsense', 'needs_operator', 'forward', 1, 1
         FROM sites WHERE name = 'broken'",
        "jobs",
    ),
];

/// Two sites in service, of which a row of one is spoilt.
async fn spoilt(statement: &'static str) -> (Harness, ControlPlane) {
    let mut harness = Harness::new().await;
    harness.settings.pace.wp_cron_tick = Duration::from_millis(5);
    harness.settings.pace.wp_cron_backoff = Duration::from_millis(5);
    let running = harness.start().await;
    for site in ["broken", "whole"] {
        running.active(site).await;
    }
    harness.spoil(statement).await;
    (harness, running)
}

#[tokio::test]
async fn due_events_of_the_others_run() {
    for (statement, _) in SPOILT {
        let (harness, running) = spoilt(statement).await;
        let due = harness.now();
        for site in ["wp_broken", "wp_whole"] {
            harness.world.state().databases.databases.get_mut(site).unwrap().next_event = Some(due);
        }
        let has_run = || harness.world.state().databases.databases["wp_whole"].next_event.is_none();
        until(statement, async || has_run().then_some(())).await;
        running.stop().await;
    }
}

#[tokio::test]
async fn the_others_are_repaired() {
    for (statement, _) in SPOILT {
        let (harness, running) = spoilt(statement).await;
        let php =
            |state: &mut State, site| state.containers.container_mut(site).unwrap().state = ContainerState::Exited;
        for site in ["php_broken", "php_whole"] {
            php(&mut harness.world.state(), site);
        }
        running.scan(1).await;
        let repair = until(statement, async || {
            repairs(&running).await.into_iter().find(|job| job.site == name("whole")).map(|job| job.record.id)
        });
        running.completed(repair.await).await;
        running.stop().await;
    }
}

/// The Engine, the site's own PHP, or its page answers for one site with an error, or with nonsense.
#[tokio::test]
async fn a_site_that_cannot_be_observed_holds_up_no_other() {
    for call in ["docker.tuning", "docker.download", "wordpress.facts", "probe.get"] {
        let harness = Harness::new().await;
        let running = harness.start().await;
        for site in ["broken", "whole"] {
            running.active(site).await;
            harness.world.state().containers.write_file(&format!("php_{site}"), "wp-config.php", "changed");
        }
        let refused = Rejection::Invalid { by: Dependency::DOCKER, message: "no such thing".to_owned() };
        harness.gate.next(call, Verdict::Fail(refused.into()));
        running.scan_deeply().await;
        until(call, async || (!repairs(&running).await.is_empty()).then_some(())).await;
        // What could not be read now is read by a later scan.
        running.scan_deeply().await;
        until(call, async || (repairs(&running).await.len() == 2).then_some(())).await;
        for repair in repairs(&running).await {
            running.completed(repair.record.id).await;
        }
        running.stop().await;
    }
}

#[tokio::test]
async fn the_others_are_rotated() {
    for (statement, _) in SPOILT {
        let (_harness, running) = spoilt(statement).await;
        let mut changes = running.app.changes();
        running.app.rotate_secret().await.unwrap();
        loop {
            changes.mark_unchanged();
            let spec = running.site("whole").await.record.spec.unwrap();
            if spec.secret_generation == 2 {
                break;
            }
            changes.changed().await.unwrap();
        }
        running.stop().await;
    }
}

#[tokio::test]
async fn pages_show_the_others_and_doctor_names_it() {
    for (statement, table) in SPOILT {
        let (_harness, running) = spoilt(statement).await;
        let sites = running.app.sites(&SiteFilter { limit: 10, ..SiteFilter::default() }).await.unwrap().rows;
        assert_eq!(sites.len(), if table == "sites" { 1 } else { 2 }, "{statement}");
        assert!(running.all_jobs().await.iter().any(|job| job.site == name("whole")), "{statement}");
        if table == "sites" {
            running.app.rotate_secret().await.unwrap();
            assert!(
                running.app.secret().await.unwrap().sites_behind > 0,
                "its passwords are not from the newest secret"
            );
        }
        let findings = running.app.examine().await.unwrap();
        let named = findings.iter().find(|finding| finding.message.contains(&format!("of {table} can't be read")));
        let named = named.unwrap_or_else(|| panic!("{statement}: {findings:?}"));
        assert_eq!((named.severity, named.site.clone()), (Severity::Error, Some(name("broken"))));
        assert!(named.hint.as_ref().unwrap().contains("sqlite3"));
        running.stop().await;
    }
}

/// Counts calls to the control database.
#[derive(Default)]
struct Calls(AtomicUsize);

impl StoreGate for Calls {
    fn enter(&self) -> std::pin::Pin<Box<dyn Future<Output = Permit> + Send>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::ready(Box::new(()) as Permit))
    }

    fn commit(&self, _: &'static str) -> Commit {
        Commit::Run
    }
}

#[tokio::test]
async fn a_page_costs_one_call_however_long() {
    let harness = Harness::new().await;
    let home = tempfile::TempDir::new().unwrap();
    let (calls, now) = (Arc::new(Calls::default()), FakeClock::default().now());
    let store = Store::open_behind(calls.clone(), &home.path().join("test.db"), Duration::ZERO, now).await.unwrap();
    let (app, _background) =
        App::new(store, harness.gated(), harness.secrets.clone(), harness.settings.clone()).await.unwrap();
    let mut costs = Vec::new();
    for sites in [1, 20] {
        for nth in 0..sites {
            app.create_site(&new_site(&format!("s{sites}-{nth}"))).await.unwrap();
        }
        let before = calls.0.load(Ordering::Relaxed);
        let found = app.sites(&SiteFilter { limit: 100, ..SiteFilter::default() }).await.unwrap().rows;
        let between = calls.0.load(Ordering::Relaxed);
        let jobs = app.jobs(None, &JobFilter { limit: 100, ..JobFilter::default() }).await.unwrap().rows;
        assert!(found.len() == jobs.len() && jobs.iter().all(|job| job.record.state == JobState::Pending));
        costs.push((between - before, calls.0.load(Ordering::Relaxed) - between));
    }
    assert_eq!(costs, [(1, 1), (1, 1)]);
}
