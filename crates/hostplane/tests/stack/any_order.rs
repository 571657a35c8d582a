//! Parts of an installation go away and come back in any order: all sites serve again without help.

use std::time::{Duration, Instant};

use crate::docker::docker;
use crate::instance::{Instance, images};
use crate::own_engine::OwnEngine;

/// Longest time until all sites serve again.
const PATIENCE: Duration = Duration::from_mins(2);

fn serves(instance: &Instance, site: &str) -> bool {
    let host = format!("Host: {}", instance.authority(site));
    let url = format!("http://{}:{}/", instance.caddy, instance.http_port);
    let asked = instance
        .within("curl")
        .args(["--silent", "--noproxy", "*", "--max-time", "5", "--header", &host, &url])
        .output();
    String::from_utf8_lossy(&asked.expect("curl runs").stdout).contains("Hello world!")
}

fn until_all_serve(instance: &Instance, sites: &[String], what: &str) {
    let begun = Instant::now();
    for site in sites {
        instance.until(&format!("{what}: {site} serves"), PATIENCE, |instance| serves(instance, site));
    }
    println!("any order: {what}: all serve after {:?}", begun.elapsed());
}

#[test]
fn a_rebooted_host_s_servers_return_in_any_order() {
    let images: Vec<String> = images().into_values().collect();
    let mut engine = OwnEngine::with(&images);
    let mut instance = Instance::on(&engine, &[]);
    instance.start();
    let sites = ["one", "two"].map(|name| instance.site(name));
    for site in &sites {
        instance.create(site);
    }
    let server = |name: &str| format!("{}-{name}", instance.tag);
    let (mariadb, caddy) = (server("mariadb"), server("caddy"));

    engine.end("TERM");
    engine.start();
    until_all_serve(&instance, &sites, "the host was rebooted under a control plane that goes on");

    // As good as an hour late: nothing of it runs while the host boots.
    instance.kill();
    engine.end("KILL");
    engine.start();
    until_all_serve(&instance, &sites, "the host was rebooted without a control plane");
    instance.start();
    for site in &sites {
        instance.expect_whole(site);
    }

    instance.docker(&["stop", &mariadb]);
    for site in &sites {
        instance.docker(&["restart", "--time", "1", &format!("php_{site}"), &format!("nginx_{site}")]);
    }
    instance.docker(&["restart", "--time", "1", &caddy]);
    instance.docker(&["start", &mariadb]);
    until_all_serve(&instance, &sites, "MariaDB came last");

    instance.docker(&["stop", "--time", "1", &caddy]);
    for site in &sites {
        instance.docker(&["stop", "--time", "1", &format!("php_{site}"), &format!("nginx_{site}")]);
    }
    instance.docker(&["restart", &mariadb]);
    instance.docker(&["start", &caddy]);
    until_all_serve(&instance, &sites, "MariaDB came first, and the sites were stopped");
    for site in &sites {
        instance.expect_whole(site);
    }
}

#[test]
fn caddy_comes_back_with_an_empty_volume() {
    let mut instance = Instance::up();
    let sites = ["one", "two"].map(|name| instance.site(name));
    for site in &sites {
        instance.create(site);
    }
    instance.stop();
    let caddy = format!("{}-caddy", instance.tag);
    docker(&["rm", "--force", "--volumes", &caddy]);
    let volumes: Vec<String> = instance
        .names_with(&instance.tag)
        .into_iter()
        .filter(|name| name.starts_with("volume ") && name.contains("caddy"))
        .collect();
    assert!(!volumes.is_empty(), "{:?}", instance.names_with(&instance.tag));
    for volume in &volumes {
        docker(&["volume", "rm", volume.trim_start_matches("volume ")]);
    }
    instance.start();
    until_all_serve(&instance, &sites, "Caddy came back with an empty volume");
    for site in &sites {
        instance.expect_whole(site);
    }
}

/// The Engine gives a free address to the next container: a request that still goes there is refused by the wrong
/// site.
#[test]
fn no_request_is_answered_by_the_wrong_site() {
    let instance = Instance::up();
    let [one, two] = ["one", "two"].map(|name| instance.site(name));
    instance.create(&one);
    instance.create(&two);
    let address = |site: &str| {
        let format = format!("{{{{(index .NetworkSettings.Networks {:?}).IPAddress}}}}", instance.tag);
        docker(&["inspect", "--format", &format, &format!("nginx_{site}")])
    };
    // What Caddy would do that still has the other's address: it says for whom it asks.
    let id =
        |site: &str| instance.done(&["site", "show", site, "--json"]).json()["id"].as_str().expect("an id").to_owned();
    let ask = |at: &str, site: &str| {
        let header = format!("X-Hostplane-Site: {}", id(site));
        let host = format!("Host: {}", instance.authority(site));
        let url = format!("http://{at}/");
        let write = ["--silent", "--noproxy", "*", "--output", "/dev/null", "--write-out", "%{http_code}"];
        let asked = instance.within("curl").args(write).args(["--header", &header, "--header", &host, &url]).output();
        String::from_utf8_lossy(&asked.expect("curl runs").stdout).into_owned()
    };
    assert_eq!(ask(&address(&one), &one), "200");
    assert_eq!(ask(&address(&two), &one), "421", "the other's address");
    assert_eq!(ask(&address(&one), &two), "421");
}
