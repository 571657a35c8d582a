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
    for step in ["network", "settings", "php_container", "wordpress_files", "wordpress_install", "serving"] {
        let site = instance.site(&step.replace('_', "-"));
        instance.done(&["site", "create", &site]);
        instance.job_when(&site, |job| has_begun(job, step));
        instance.kill();
        assert_eq!(Browser::new(instance.http_port).get(&bystander, "/").await.status, 200, "no bystander notices");
        instance.start();
        let job = instance.job_when(&site, |job| job["state"] != "pending" && job["state"] != "running");
        assert_eq!(job["state"], "completed", "killed at {step}: {job:#}");
        let front = Browser::new(instance.http_port).get(&site, "/").await;
        assert!(front.status == 200 && front.body.contains("Hello world!"), "killed at {step}");
        let shown = instance.done(&["site", "show", &site, "--json"]).json();
        for resource in shown["resources"].as_array().expect("resources") {
            assert_eq!(resource["state"], "present", "killed at {step}: {resource}");
        }
        instance.destroy(&site);
        assert_eq!(instance.traces_of(&site), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_destroy_goes_on_after_a_kill() {
    let mut instance = Instance::up();
    for step in ["route", "nginx_container", "files_volume"] {
        let site = instance.site(&step.replace('_', "-"));
        instance.create(&site);
        instance.done(&["site", "destroy", &site, "--yes"]);
        instance.job_when(&site, |job| has_begun(job, step));
        instance.kill();
        instance.start();
        let listed = |answer: &Value| answer["items"].as_array().is_some_and(Vec::is_empty);
        let ended = |job: &Value| job["state"] != "pending" && job["state"] != "running";
        // The site is gone with its last job's end, so the job is looked for among all.
        let job = loop {
            let jobs = instance.done(&["job", "list", "--json"]).json();
            let job = jobs["items"][0].clone();
            if ended(&job) {
                break job;
            }
        };
        assert_eq!(job["state"], "completed", "killed at {step}: {job:#}");
        assert!(listed(&instance.done(&["site", "list", "--json"]).json()));
        assert_eq!(instance.traces_of(&site), Vec::<String>::new(), "killed at {step}");
    }
}
