//! Scheduled events: run when they are due, by nobody's visit and in nobody's way.

use std::time::Duration;

use hostplane_domain::status::SiteStatus;
use hostplane_infra::clock::Timestamp;
use hostplane_infra::containers::{Containers, Scope};
use hostplane_infra::error::{Dependency, EffectError};
use hostplane_infra::gate::Verdict;

use crate::bed::Bed;
use crate::common::name;

const HOUR: Duration = Duration::from_hours(1);

/// A bed on which looks for events come at once.
async fn prompt() -> Bed {
    let mut bed = Bed::new().await;
    bed.settings.pace.events_tick = Duration::from_millis(5);
    bed.settings.pace.events_rest = Duration::from_millis(5);
    bed
}

impl Bed {
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
        let seen = async {
            while !seen(self) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), seen).await.unwrap_or_else(|_| panic!("{what} in time"));
    }

    /// Waits until so many looks were made after this moment.
    async fn looks(&self, more: usize) {
        let before = self.calls_of("mariadb.next_events");
        self.until("looks", |bed| bed.calls_of("mariadb.next_events") > before + more).await;
    }
}

#[tokio::test]
async fn what_is_due_is_run_and_what_is_not_waits_until_it_is() {
    let bed = prompt().await;
    let running = bed.start().await;
    running.active("due").await;
    running.active("later").await;
    bed.looks(2).await;
    assert_eq!(bed.runs(), 0, "nothing is scheduled");

    bed.schedule("later", bed.now().plus(HOUR));
    bed.schedule("due", bed.now());
    bed.until("the run", |bed| bed.scheduled("due").is_none()).await;
    bed.looks(2).await;
    assert_eq!(bed.runs(), 1);
    assert!(bed.scheduled("later").is_some());

    let soon = bed.now().plus(Duration::from_millis(50));
    bed.schedule("later", soon);
    bed.until("the later run", |bed| bed.scheduled("later").is_none()).await;
    assert!(bed.now() >= soon);
    running.stop().await;
}

#[tokio::test]
async fn a_site_that_a_job_holds_is_left_alone() {
    let bed = prompt().await;
    let running = bed.start().await;
    running.active("held").await;
    running.active("free").await;
    bed.gate.cut_off(Dependency::Caddy);
    let job = running.app.destroy_site(&name("held")).await.unwrap();
    running.app.job_when(job.record.id, |job| job.record.waiting_for.is_some()).await.unwrap();
    assert_eq!(running.status("held").await, SiteStatus::Destroying);

    bed.schedule("held", Timestamp(0));
    bed.schedule("free", bed.now());
    bed.until("the run", |bed| bed.scheduled("free").is_none()).await;
    bed.looks(2).await;
    assert_eq!((bed.runs(), bed.scheduled("held")), (1, Some(Timestamp(0))));
    running.kill().await;
}

#[tokio::test]
async fn while_the_database_server_is_down_nothing_runs_and_then_it_does() {
    let bed = prompt().await;
    let running = bed.start().await;
    running.active("site").await;
    bed.gate.cut_off(Dependency::Mariadb);
    bed.schedule("site", bed.now());
    bed.looks(3).await;
    assert_eq!(bed.runs(), 0);
    bed.gate.reconnect(Dependency::Mariadb);
    // What opens the breaker again is the dependency's own ping.
    bed.gated().ping(Dependency::Mariadb).await.unwrap();
    bed.until("the run", |bed| bed.scheduled("site").is_none()).await;
    running.stop().await;
}

#[tokio::test]
async fn a_site_without_its_container_is_passed_over_and_asked_ever_less_often() {
    let bed = prompt().await;
    let running = bed.start().await;
    running.active("gone").await;
    running.active("there").await;
    let found = bed.world.containers(&Scope::Names(vec!["php_gone".into()])).await.unwrap();
    bed.world.remove_container(&found[0].id).await.unwrap();
    bed.schedule("gone", Timestamp(0));
    bed.schedule("there", bed.now());
    bed.until("the run", |bed| bed.scheduled("there").is_none()).await;
    assert_eq!((bed.runs(), bed.scheduled("gone")), (1, Some(Timestamp(0))));
    running.stop().await;
}

#[tokio::test]
async fn events_that_hang_hold_up_no_other_site_and_are_not_run_twice_at_once() {
    let bed = prompt().await;
    let running = bed.start().await;
    running.active("hangs").await;
    running.active("works").await;
    bed.gate.next("wordpress.run_events", Verdict::Hang);
    bed.schedule("hangs", bed.now());
    bed.until("the run that hangs", |bed| bed.runs() == 1).await;
    bed.schedule("works", bed.now());
    bed.until("the other run", |bed| bed.scheduled("works").is_none()).await;
    bed.looks(3).await;
    assert_eq!(bed.runs(), 2);
    assert!(bed.scheduled("hangs").is_some());
    running.stop().await;
}

#[tokio::test]
async fn a_run_that_failed_is_tried_again() {
    let bed = prompt().await;
    let running = bed.start().await;
    running.active("site").await;
    bed.gate.next("wordpress.run_events", Verdict::RunThenLose);
    let error = EffectError::transient_message("wordpress.run_events", "php ended with 255");
    bed.gate.next("wordpress.run_events", Verdict::Fail(error));
    bed.schedule("site", bed.now());
    bed.until("the first run", |bed| bed.scheduled("site").is_none()).await;
    bed.schedule("site", bed.now());
    bed.until("the run after the one that failed", |bed| bed.scheduled("site").is_none()).await;
    assert_eq!(bed.runs(), 3);
    running.stop().await;
}
