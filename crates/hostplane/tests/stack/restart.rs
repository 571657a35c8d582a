//! Stopped in order, started again: everything is back, and a second start changes nothing.

use crate::browser::Browser;
use crate::docker::{docker, inspect};
use crate::instance::Instance;

#[tokio::test]
async fn down_stops_everything_and_up_brings_it_back() {
    let mut instance = Instance::up();
    let site = instance.site("back");
    instance.create(&site);
    let started = |name: &str| inspect("container", name)["State"]["StartedAt"].clone();
    let names = [format!("php_{site}"), format!("nginx_{site}"), format!("{}-mariadb", instance.tag)];
    let before: Vec<_> = names.iter().map(|name| started(name)).collect();
    instance.stop();
    instance.start();
    let after: Vec<_> = names.iter().map(|name| started(name)).collect();
    assert_eq!(after, before, "a second start touches nothing that runs");

    let busy = instance.run(&["down"]);
    assert_eq!(busy.code, 1, "the home is in use: {}", busy.stderr);
    instance.stop();
    instance.done(&["down"]);
    let filter = format!("name={}", instance.tag);
    assert_eq!(docker(&["ps", "--quiet", "--filter", &filter]), "", "nothing runs");
    instance.start();
    // Everything is as it should be, as far as it can be seen after a restart.
    instance.site_when(&site, |site| {
        let resources = site["resources"].as_array().expect("resources");
        resources.iter().all(|resource| resource["state"] == "present")
    });
    let front = Browser::new(instance.http_port).get(&site, "/").await;
    assert!(front.status == 200 && front.body.contains("Hello world!"));
}
