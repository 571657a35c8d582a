//! Sites that are changed while visitors come.

use crate::docker::{docker, inspect};
use crate::instance::{Instance, images};
use crate::probe::Probe;

/// An image under another name, as long as the test runs.
struct Tagged(String);

impl Tagged {
    fn new(image: &str, name: String) -> Self {
        docker(&["tag", image, &name]);
        Self(name)
    }
}

impl Drop for Tagged {
    fn drop(&mut self) {
        docker(&["rmi", "--force", &self.0]);
    }
}

fn shown(instance: &Instance, site: &str) -> serde_json::Value {
    instance.done(&["site", "show", site, "--json"]).json()
}

/// The front page's status, and a part of the page that identifies it.
fn page(instance: &Instance, site: &str) -> (u16, bool) {
    let host = format!("Host: {}", instance.authority(site));
    let url = format!("http://127.0.0.1:{}/", instance.http_port);
    let asked = instance
        .within("curl")
        .args(["--silent", "--noproxy", "*", "--write-out", "\n%{http_code} %{content_type}", "--header", &host, &url])
        .output()
        .expect("curl runs");
    let text = String::from_utf8_lossy(&asked.stdout).into_owned();
    let (body, end) = text.rsplit_once('\n').expect("a last line");
    assert!(end.contains("text/html"), "{end}");
    (end.split(' ').next().unwrap().parse().expect("a status"), body.contains("under maintenance"))
}

/// Its repair fails and says why. Once the image is back, one succeeds that no person has ordered.
fn an_image_that_is_gone_for_a_while_locks_nothing(instance: &Instance, site: &str, image: &Tagged) {
    docker(&["rmi", "--force", &image.0]);
    docker(&["rm", "--force", &format!("php_{site}")]);
    let is_repair = |job: &serde_json::Value, state| job["operation"] == "repair" && job["state"] == state;
    let failed = instance.job_when(site, |job| is_repair(job, "failed"));
    let message = failed["error"]["message"].as_str().expect("a message");
    assert!(message.contains(&image.0) && message.contains("is not on the Docker host"), "{message}");
    assert_eq!(shown(instance, site)["status"], "ACTIVE");
    docker(&["tag", &images()["PHP_IMAGE"], &image.0]);
    instance.job_when(site, |job| is_repair(job, "completed"));
    instance.expect_whole(site);
}

#[test]
fn a_change_that_does_not_serve_is_rolled_back() {
    let mut instance = Instance::up();
    let [site, other] = ["changed", "other"].map(|name| instance.site(name));
    instance.create(&site);
    instance.create(&other);
    let bystander = Probe::of(&instance, &other);
    let visitor = Probe::of(&instance, &site);

    let editor = |instance: &Instance| {
        let program =
            "require 'wp-load.php'; echo var_export(defined('DISALLOW_FILE_EDIT') && DISALLOW_FILE_EDIT, true);";
        instance.done(&["site", "exec", &site, "--", "php", "-r", program]).stdout
    };
    assert_eq!(editor(&instance), "true");
    let limits = ["--php-memory", "300", "--php-workers", "3", "--upload", "32"];
    let php = ["--memory-limit", "128", "--max-execution-time", "45", "--disallow-file-edit", "false", "--wait"];
    instance.done(&[&["site", "update", &site][..], &limits, &php].concat());
    assert_eq!(editor(&instance), "false");
    let pool = docker(&["exec", &format!("php_{site}"), "cat", "/etc/hostplane/php-fpm.conf"]);
    assert!(pool.contains("[memory_limit] = 128M") && pool.contains("[max_execution_time] = 45"), "{pool}");
    let limits = &shown(&instance, &site)["limits"];
    assert_eq!((&limits["php"]["memory_mib"], &limits["upload_mib"]), (&300.into(), &32.into()));
    let memory = |site: &str| inspect("container", &format!("php_{site}"))["HostConfig"]["Memory"].clone();
    assert_eq!(memory(&site), 300 * 1024 * 1024);
    instance.expect_whole(&site);

    let password = |instance: &Instance| {
        let users = format!("SELECT Priv FROM mysql.global_priv WHERE User = 'wp_{site}'");
        instance.sql(&users)
    };
    let before = password(&instance);
    instance.done(&["site", "rotate", &site, "--wait"]);
    assert_ne!(password(&instance), before);
    instance.expect_whole(&site);
    println!("update and rotate: {}", visitor.end());

    instance.done(&["site", "suspend", &site, "--wait"]);
    assert_eq!(page(&instance, &site), (503, true));
    assert_eq!(page(&instance, &other), (200, false));
    instance.done(&["site", "resume", &site, "--wait"]);
    assert_eq!(page(&instance, &site), (200, false));

    // The same image under another name is another image; one that doesn't serve is nginx's in PHP's place.
    let (php, nginx) = (&images()["PHP_IMAGE"], &images()["NGINX_IMAGE"]);
    let next = Tagged::new(php, format!("hostplane-test/{}:next", instance.tag));
    let broken = Tagged::new(nginx, format!("hostplane-test/{}:broken", instance.tag));
    instance.stop();
    instance.set("PHP_IMAGE", &broken.0);
    instance.start();
    assert_eq!(shown(&instance, &site)["upgrade_pending"], true);
    instance.expect_whole(&site);
    let refused = instance.run(&["site", "upgrade", &site, &other, "--max-failures", "1"]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains(&format!("not started: {other}")), "{}", refused.stderr);
    assert_eq!(shown(&instance, &site)["upgrade_pending"], true);
    instance.expect_whole(&site);
    instance.stop();
    instance.set("PHP_IMAGE", &next.0);
    instance.start();
    instance.done(&["site", "upgrade", "--all", "--at-once", "2"]);
    for site in [&site, &other] {
        assert_eq!(shown(&instance, site)["upgrade_pending"], false);
        assert_eq!(inspect("container", &format!("php_{site}"))["Config"]["Image"], next.0);
        instance.expect_whole(site);
    }
    println!("upgrade of the other one: {}", bystander.end());
    an_image_that_is_gone_for_a_while_locks_nothing(&instance, &other, &next);
    for site in [&site, &other] {
        instance.destroy(site);
        assert_eq!(instance.traces_of(site), Vec::<String>::new());
    }
}
