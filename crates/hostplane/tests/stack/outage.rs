//! A dependency that is down pauses work.

use crate::docker::docker;
use crate::instance::Instance;

#[test]
fn a_job_waits_for_a_server_that_is_down_and_says_so() {
    let instance = Instance::up();
    for (server, name) in [("mariadb", "mariadb"), ("caddy", "caddy")] {
        let container = format!("{}-{server}", instance.tag);
        docker(&["stop", &container]);
        let site = instance.site(name);
        instance.done(&["site", "create", &site]);
        let job = instance.job_when(&site, |job| !job["waiting_for"].is_null());
        assert_eq!(job["waiting_for"], name);
        assert_eq!(job["attempt"], 1);
        docker(&["start", &container]);
        let job = instance.job_when(&site, |job| job["state"] == "completed" || job["state"] == "failed");
        assert_eq!(job["state"], "completed", "{job:#}");
        instance.destroy(&site);
    }
}

#[test]
fn a_server_that_stops_in_the_middle_rolls_nothing_back() {
    let instance = Instance::up();
    let site = instance.site("middle");
    let container = format!("{}-mariadb", instance.tag);
    instance.done(&["site", "create", &site]);
    instance.job_when(&site, |job| job["steps"].as_array().is_some_and(|steps| steps.len() > 5));
    docker(&["kill", &container]);
    let job = instance.job_when(&site, |job| !job["waiting_for"].is_null() || job["state"] == "completed");
    assert_eq!(job["waiting_for"], "mariadb", "{job:#}");
    docker(&["start", &container]);
    let job = instance.job_when(&site, |job| job["state"] == "completed" || job["state"] == "failed");
    assert_eq!(job["state"], "completed", "{job:#}");
    let removed = job["steps"].as_array().expect("steps").iter().any(|step| step["action"] == "remove");
    assert!(!removed, "{job:#}");
}
