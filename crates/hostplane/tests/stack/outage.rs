//! A dependency that is down pauses work.

use crate::docker::docker;
use crate::instance::Instance;
use crate::relay::Relay;

#[test]
fn a_job_names_the_server_it_waits_for() {
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
fn without_docker_the_api_serves_and_jobs_wait() {
    let dir = tempfile::TempDir::new().expect("a directory");
    let relay = Relay::new(dir.path());
    let mut instance = Instance::new(&[("DOCKER_HOST", &relay.docker_host())]);
    // Unreachable from the start: the order is taken all the same.
    instance.spawn();
    instance.wait_until_served();
    let site = instance.site("docker");
    instance.done(&["site", "create", &site]);
    let job = instance.job_when(&site, |job| !job["waiting_for"].is_null());
    assert_eq!(job["waiting_for"], "docker");
    relay.connect();
    instance.wait_until_ready();
    // Unreachable in the middle.
    instance.job_when(&site, |job| job["steps"].as_array().is_some_and(|steps| steps.len() > 6));
    relay.cut();
    let job = instance.job_when(&site, |job| !job["waiting_for"].is_null());
    assert_eq!((&job["waiting_for"], &job["attempt"]), (&"docker".into(), &1.into()), "{job:#}");
    relay.connect();
    let job = instance.job_when(&site, |job| job["state"] != "pending" && job["state"] != "running");
    assert_eq!(job["state"], "completed", "{job:#}");
    let removed = job["steps"].as_array().expect("steps").iter().any(|step| step["action"] == "remove");
    assert!(!removed, "nothing was rolled back: {job:#}");
    instance.destroy(&site);
    assert_eq!(instance.traces_of(&site), Vec::<String>::new());
}
