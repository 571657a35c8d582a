//! Names that are held by another, on the real stack: the job fails, naming step and cause; the other's
//! thing stays as it is, and nothing of ours is left.

use hostplane_domain::mark::Owner;
use serde_json::Value;

use crate::docker::{docker, inspect};
use crate::instance::Instance;

/// Asks for a site, expects its job to fail in `step` with these words, and gives the site's traces.
fn expect_failure(instance: &Instance, site: &str, step: &str, words: &[&str]) -> Vec<String> {
    let answer = instance.run(&["site", "create", site, "--wait"]);
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    let job = instance.job(site);
    assert_eq!(job["state"], "failed", "{job:#}");
    assert_eq!(job["error"]["step"], step, "{job:#}");
    let message = job["error"]["message"].as_str().expect("a message");
    for word in words {
        assert!(message.contains(word), "{word:?} is not in {message:?}");
        assert!(answer.stderr.contains(word), "{word:?} is not in {:?}", answer.stderr);
    }
    let refused = instance.run(&["site", "create", site]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("FAILED") && refused.stderr.contains("destroy"), "{}", refused.stderr);
    let traces = instance.traces_of(site);
    instance.destroy(site);
    assert_eq!(instance.traces_of(site), traces, "destroying a FAILED site touches nothing of others");
    traces
}

/// A thing as the Engine knows it, without what changes by itself.
fn as_is(what: &str, name: &str) -> Value {
    inspect(what, name)
}

#[test]
fn what_another_holds_is_left_alone() {
    let instance = Instance::up();
    let label = instance.label();
    let php = docker(&["images", "--quiet", "hostplane/php"]);
    let image = php.lines().next().expect("the PHP image");

    for (name, step) in [("php", "php_container"), ("nginx", "nginx_container")] {
        let site = instance.site(&format!("c-{name}"));
        let container = format!("{name}_{site}");
        docker(&["create", "--name", &container, "--label", &label, image, "true"]);
        let before = as_is("container", &container);
        let traces = expect_failure(&instance, &site, step, &["container", &container, &Owner::Foreign.to_string()]);
        assert_eq!(traces, [format!("container {container}")]);
        assert_eq!(as_is("container", &container), before);
    }
    for (name, step) in [("wp", "files_volume"), ("php", "php_volume"), ("nginx", "nginx_volume")] {
        let site = instance.site(&format!("v-{name}"));
        let volume = format!("{name}_{site}");
        docker(&["volume", "create", "--label", &label, &volume]);
        let before = as_is("volume", &volume);
        let traces = expect_failure(&instance, &site, step, &["volume", &volume]);
        assert_eq!(traces, [format!("volume {volume}")]);
        assert_eq!(as_is("volume", &volume), before);
    }
    let site = instance.site("n");
    let network = format!("site_{site}");
    docker(&["network", "create", "--label", &label, &network]);
    let before = as_is("network", &network);
    let traces = expect_failure(&instance, &site, "network", &["network", &network]);
    assert_eq!(traces, [format!("network {network}")]);
    assert_eq!(as_is("network", &network), before);

    let site = instance.site("d");
    let database = format!("wp_{site}");
    instance.sql(&format!(
        "CREATE DATABASE `{database}`; CREATE TABLE `{database}`.t (x INT); INSERT INTO `{database}`.t VALUES (42)"
    ));
    let traces = expect_failure(&instance, &site, "database", &["database", &database]);
    assert_eq!(traces, [format!("database {database}")]);
    assert_eq!(instance.sql(&format!("SELECT x FROM `{database}`.t")), "42");

    let site = instance.site("u");
    let user = format!("wp_{site}");
    instance.sql(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'theirs'"));
    let before = instance.sql(&format!("SHOW CREATE USER '{user}'@'%'"));
    let traces = expect_failure(&instance, &site, "database", &[&user]);
    assert_eq!(traces, [format!("user {user}")]);
    assert_eq!(instance.sql(&format!("SHOW CREATE USER '{user}'@'%'")), before);

    let caddy = format!("{}-caddy", instance.tag);
    let plant = |file: &str, host: &str| {
        let script = format!("printf 'http://{host} {{\\n\\trespond \"mine\"\\n}}\\n' > /etc/caddy/sites/{file}");
        docker(&["exec", &caddy, "sh", "-c", &script]);
        docker(&["exec", &caddy, "caddy", "reload", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]);
    };
    let site = instance.site("s");
    plant(&format!("{site}.caddy"), "else.where");
    let traces = expect_failure(&instance, &site, "route", &[&format!("{site}.caddy")]);
    assert_eq!(traces, [format!("snippet {site}.caddy")]);
    docker(&["exec", &caddy, "rm", &format!("/etc/caddy/sites/{site}.caddy")]);

    let site = instance.site("h");
    plant("zz-shop.caddy", &format!("{site}.localhost"));
    let traces = expect_failure(&instance, &site, "route", &[&format!("{site}.localhost"), "zz-shop.caddy"]);
    assert_eq!(traces, Vec::<String>::new());
}

#[test]
fn missing_images_and_full_pools_fail_clearly() {
    let mut instance = Instance::new(&[("NGINX_IMAGE", "hostplane/no-such-image:1")]);
    instance.start();
    let site = instance.site("img");
    let words = ["hostplane/no-such-image:1", "not on the Docker host"];
    assert_eq!(expect_failure(&instance, &site, "nginx_container", &words), Vec::<String>::new());
    drop(instance);

    let tight = Instance::new(&[]).tight_pool();
    let mut instance = Instance::new(&[("SUBNET_POOL", &tight)]);
    instance.start();
    let first = instance.site("first");
    instance.create(&first);
    let second = instance.site("second");
    assert_eq!(expect_failure(&instance, &second, "network", &["SUBNET_POOL", &tight]), Vec::<String>::new());
    // A place that comes free is taken by the next.
    instance.destroy(&first);
    instance.create(&second);
}
