//! SIGKILL in the middle: the next start goes on, without a hand.

use serde_json::Value;

use crate::browser::Browser;
use crate::instance::Instance;

fn has_begun(job: &Value, step: &str) -> bool {
    job["steps"].as_array().is_some_and(|steps| steps.iter().any(|found| found["resource"] == step))
}

#[tokio::test]
async fn a_provision_goes_on_after_a_kill() {
    let mut instance = Instance::up();
    let bystander = instance.site("bystander");
    instance.create(&bystander);
    let mut hits = 0;
    let mut sites = Vec::new();
    for step in ["network", "settings", "php_container", "wordpress_files", "wordpress_install", "serving"] {
        let site = instance.site(&step.replace('_', "-"));
        instance.done(&["site", "create", &site]);
        instance.job_when(&site, |job| has_begun(job, step));
        instance.kill();
        assert_eq!(Browser::new(instance.http_port).get(&bystander, "/").await.status, 200, "no bystander notices");
        instance.start();
        hits += u32::from(instance.took_up_jobs());
        let job = instance.job_when(&site, |job| job["state"] != "pending" && job["state"] != "running");
        assert_eq!(job["state"], "completed", "killed at {step}: {job:#}");
        let front = Browser::new(instance.http_port).get(&site, "/").await;
        assert!(front.status == 200 && front.body.contains("Hello world!"), "killed at {step}");
        let shown = instance.done(&["site", "show", &site, "--json"]).json();
        for resource in shown["resources"].as_array().expect("resources") {
            assert_eq!(resource["state"], "present", "killed at {step}: {resource}");
        }
        sites.push(site);
    }
    // Nothing was made twice, so that one removal leaves nothing.
    for site in &sites {
        instance.done(&["site", "destroy", site, "--yes"]);
    }
    for site in &sites {
        instance.gone(site);
        assert_eq!(instance.traces_of(site), Vec::<String>::new());
    }
    // A kill may come too late by chance, but not often.
    assert!(hits >= 4, "only {hits} of 6 kills hit a running job");
}

#[tokio::test]
async fn a_destroy_goes_on_after_a_kill() {
    let mut instance = Instance::up();
    let mut hits = 0;
    // Nothing is waited for: the earlier the kill, the more is left to be done.
    for name in ["first", "second", "third"] {
        let site = instance.site(name);
        instance.create(&site);
        instance.done(&["site", "destroy", &site, "--yes"]);
        instance.kill();
        instance.start();
        hits += u32::from(instance.took_up_jobs());
        // The site is gone with its job's end, so the job is looked for among all.
        let job = instance.newest_job_when(|job| job["state"] != "pending" && job["state"] != "running");
        assert_eq!((&job["operation"], &job["state"]), (&"destroy".into(), &"completed".into()), "{job:#}");
        let sites = instance.done(&["site", "list", "--json"]).json();
        assert_eq!(sites["items"], serde_json::json!([]));
        assert_eq!(instance.traces_of(&site), Vec::<String>::new());
    }
    assert!(hits >= 1, "no kill hit a running job");
}
