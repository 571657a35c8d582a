//! MariaDB and Caddy go away in the middle of an operation: its job waits for the one that is missing, burns
//! no attempt, and ends once the server runs again.

use std::time::Instant;

use serde_json::Value;

use crate::docker::docker;
use crate::instance::Instance;
use crate::journal::Journal;
use crate::probe::Probe;

struct Case {
    name: &'static str,
    server: &'static str,
    /// The fault of its container.
    end: &'static str,
    /// It is gone from this write on, and what follows needs it.
    provision: &'static str,
    destroy: &'static str,
}

const CASES: [Case; 4] = [
    Case {
        name: "early",
        server: "mariadb",
        end: "kill",
        provision: "ensure database intended",
        destroy: "remove database intended",
    },
    Case {
        name: "late",
        server: "mariadb",
        end: "stop",
        provision: "ensure wordpress_install intended",
        destroy: "remove network intended",
    },
    Case {
        name: "route",
        server: "caddy",
        end: "kill",
        provision: "ensure route intended",
        destroy: "remove route intended",
    },
    Case {
        name: "serving",
        server: "caddy",
        end: "kill",
        provision: "ensure wordpress_install intended",
        destroy: "remove php_container intended",
    },
];

#[tokio::test]
async fn operations_wait_for_a_server_that_goes_away() {
    let begun = Instant::now();
    let instance = Instance::up();
    let bystander = instance.site("bystander");
    instance.create(&bystander);
    let probe = Probe::of(&instance, &bystander);
    for case in &CASES {
        let site = instance.site(case.name);
        let job = outlive(&instance, case, case.provision, &["site", "create", &site]).await;
        let steps = job["steps"].as_array().expect("steps");
        assert!(steps.iter().all(|step| step["action"] == "ensure"), "something was rolled back: {job:#}");
        instance.expect_whole(&site);
    }
    for case in &CASES {
        let site = instance.site(case.name);
        outlive(&instance, case, case.destroy, &["site", "destroy", &site, "--yes"]).await;
        assert_eq!(instance.traces_of(&site), Vec::<String>::new());
    }
    instance.expect_whole(&bystander);
    let seen = probe.end();
    let operations = 2 * CASES.len();
    println!("servers: {operations} operations outlived MariaDB or Caddy in {:?}", begun.elapsed());
    println!("servers: meanwhile {seen}");
}

/// Gives an order and ends the server at a moment of its job; gives the job as it ended.
async fn outlive(instance: &Instance, case: &Case, moment: &str, order: &[&str]) -> Value {
    let container = format!("{}-{}", instance.tag, case.server);
    let mut journal = Journal::open(&instance.database()).await;
    journal.order_up_to(instance, order, moment).await;
    docker(&[case.end, &container]);
    journal.release().await;
    journal.close().await;

    let id = instance.newest_job_when(|_| true)["id"].as_str().expect("an id").to_owned();
    let job = instance.job_of_id_when(&id, |job| !job["waiting_for"].is_null() || job["state"] == "completed");
    assert_eq!((&job["waiting_for"], &job["attempt"]), (&case.server.into(), &1.into()), "at {moment}: {job:#}");
    docker(&["start", &container]);
    let ended = instance.job_of_id_when(&id, |job| job["state"] != "pending" && job["state"] != "running");
    assert_eq!((&ended["state"], &ended["attempt"]), (&"completed".into(), &1.into()), "at {moment}: {ended:#}");
    ended
}
