//! Due events run without a visit and hold up no site.

use std::time::Duration;

use hostplane_domain::status::SiteStatus;
use hostplane_infra::clock::Timestamp;
use hostplane_infra::containers::{Containers, Scope};
use hostplane_infra::error::{Dependency, EffectError};
use hostplane_infra::gate::Verdict;
use hostplane_testing::harness::name;

use crate::harness::{Harness, until};

const HOUR: Duration = Duration::from_hours(1);

/// A harness on which scans for due events come at once.
async fn prompt() -> Harness {
    let mut harness = Harness::new().await;
    harness.settings.pace.wp_cron_tick = Duration::from_millis(5);
    harness.settings.pace.wp_cron_backoff = Duration::from_millis(5);
    harness
}

impl Harness {
    fn schedule(&self, site: &str, due: Timestamp) {
        let mut state = self.world.state();
        state.databases.databases.get_mut(&format!("wp_{site}")).unwrap().next_event = Some(due);
    }

    fn scheduled(&self, site: &str) -> Option<Timestamp> {
        self.world.state().databases.databases[&format!("wp_{site}")].next_event
    }

    fn calls_of(&self, call: &str) -> usize {
        self.gate.calls().iter().filter(|made| made.name == call).count()
    }

    fn runs(&self) -> usize {
        self.calls_of("wordpress.run_events")
    }

    async fn until(&self, what: &str, seen: impl Fn(&Self) -> bool) {
        until(what, async || seen(self).then_some(())).await;
    }

    /// Waits until this number of scans were made after this moment.
    async fn scans(&self, more: usize) {
        let before = self.calls_of("mariadb.next_events");
        self.until("scans", |harness| harness.calls_of("mariadb.next_events") > before + more).await;
    }
}

#[tokio::test]
async fn what_is_due_is_run_and_what_is_not_waits_until_it_is() {
    let harness = prompt().await;
    let running = harness.start().await;
    running.active("due").await;
    running.active("later").await;
    harness.scans(2).await;
    assert_eq!(harness.runs(), 0, "nothing is scheduled");

    harness.schedule("later", harness.now().plus(HOUR));
    harness.schedule("due", harness.now());
    harness.until("the run", |harness| harness.scheduled("due").is_none()).await;
    harness.scans(2).await;
    assert_eq!(harness.runs(), 1);
    assert!(harness.scheduled("later").is_some());

    let soon = harness.now().plus(Duration::from_millis(50));
    harness.schedule("later", soon);
    harness.until("the later run", |harness| harness.scheduled("later").is_none()).await;
    assert!(harness.now() >= soon);
    running.stop().await;
}

#[tokio::test]
async fn a_site_that_a_job_holds_is_left_alone() {
    let harness = prompt().await;
    let running = harness.start().await;
    running.active("held").await;
    running.active("free").await;
    harness.gate.cut_off(Dependency::CADDY);
    let job = running.app.destroy_site(&name("held")).await.unwrap();
    running.waiting(job.record.id).await;
    assert_eq!(running.status("held").await, SiteStatus::Destroying);

    harness.schedule("held", Timestamp(0));
    harness.schedule("free", harness.now());
    harness.until("the run", |harness| harness.scheduled("free").is_none()).await;
    harness.scans(2).await;
    assert_eq!((harness.runs(), harness.scheduled("held")), (1, Some(Timestamp(0))));
    running.kill().await;
}

#[tokio::test]
async fn while_the_database_server_is_down_nothing_runs_and_then_it_does() {
    let harness = prompt().await;
    let running = harness.start().await;
    running.active("site").await;
    harness.gate.cut_off(Dependency::Mariadb);
    harness.schedule("site", harness.now());
    harness.scans(3).await;
    assert_eq!(harness.runs(), 0);
    harness.gate.reconnect(Dependency::Mariadb);
    // What opens the breaker again is the dependency's own ping.
    harness.gated().ping(Dependency::Mariadb).await.unwrap();
    harness.until("the run", |harness| harness.scheduled("site").is_none()).await;
    running.stop().await;
}

#[tokio::test]
async fn a_site_without_its_container_is_passed_over_and_asked_ever_less_often() {
    let harness = prompt().await;
    let running = harness.start().await;
    running.active("gone").await;
    running.active("there").await;
    let found = harness.world.containers(&Scope::Names(vec!["php_gone".into()])).await.unwrap();
    harness.world.remove_container(&found[0].id).await.unwrap();
    harness.schedule("gone", Timestamp(0));
    harness.schedule("there", harness.now());
    harness.until("the run", |harness| harness.scheduled("there").is_none()).await;
    assert_eq!((harness.runs(), harness.scheduled("gone")), (1, Some(Timestamp(0))));
    running.stop().await;
}

#[tokio::test]
async fn events_that_hang_hold_up_no_other_site_and_are_not_run_twice_at_once() {
    let harness = prompt().await;
    let running = harness.start().await;
    running.active("hangs").await;
    running.active("works").await;
    harness.gate.next("wordpress.run_events", Verdict::Hang);
    harness.schedule("hangs", harness.now());
    harness.until("the run that hangs", |harness| harness.runs() == 1).await;
    harness.schedule("works", harness.now());
    harness.until("the other run", |harness| harness.scheduled("works").is_none()).await;
    harness.scans(3).await;
    assert_eq!(harness.runs(), 2);
    assert!(harness.scheduled("hangs").is_some());
    running.stop().await;
}

#[tokio::test]
async fn a_run_that_failed_is_tried_again() {
    let harness = prompt().await;
    let running = harness.start().await;
    running.active("site").await;
    harness.gate.next("wordpress.run_events", Verdict::RunThenLose);
    let error = EffectError::transient_message("wordpress.run_events", "php ended with 255");
    harness.gate.next("wordpress.run_events", Verdict::Fail(error));
    harness.schedule("site", harness.now());
    harness.until("the first run", |harness| harness.scheduled("site").is_none()).await;
    harness.schedule("site", harness.now());
    harness.until("the run after the one that failed", |harness| harness.scheduled("site").is_none()).await;
    assert_eq!(harness.runs(), 3);
    running.stop().await;
}
