//! A release that generates things otherwise, on a real site: nothing of it changes before `site upgrade`.

use std::time::Duration;

use serde_json::Value;

use crate::docker::{docker, inspect};
use crate::instance::Instance;
use crate::probe::Probe;

const PATIENCE: Duration = Duration::from_mins(1);
/// The hash that this other release gives everything.
const EARLIER: &str = "v1-00000000000000000000000000000000";

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {value:#}"))
}

/// The labels of an object, as the other release would have made them.
fn labels(labels: &Value) -> Vec<String> {
    let labels = labels.as_object().expect("labels").iter().filter(|(key, _)| key.starts_with("hostplane."));
    let label = |(key, value): (&String, &Value)| {
        let value = if key == "hostplane.spec" { EARLIER } else { value.as_str().expect("a text") };
        ["--label".to_owned(), format!("{key}={value}")]
    };
    labels.flat_map(label).collect()
}

/// A container as the other release would have made it: with a volume more. Its networks are connected again.
fn remake(found: &Value, volume: &str) -> Vec<String> {
    let mut run = vec!["run".to_owned(), "--detach".to_owned()];
    let mut option = |name: &str, value: String| run.extend([format!("--{name}"), value]);
    option("name", text(found, "/Name").trim_start_matches('/').to_owned());
    option("user", text(found, "/Config/User").to_owned());
    option("restart", "always".to_owned());
    option("network", text(found, "/HostConfig/NetworkMode").to_owned());
    option("add-host", "host.docker.internal:host-gateway".to_owned());
    option("sysctl", "net.ipv4.ip_unprivileged_port_start=0".to_owned());
    option("mount", format!("type=volume,src={volume},dst=/earlier,readonly,volume-nocopy"));
    for mount in found["Mounts"].as_array().expect("mounts").iter().filter(|mount| mount["Type"] == "volume") {
        let read_only = if mount["RW"] == false { ",readonly" } else { "" };
        let (name, path) = (text(mount, "/Name"), text(mount, "/Destination"));
        option("mount", format!("type=volume,src={name},dst={path},volume-nocopy{read_only}"));
    }
    for (path, options) in found["HostConfig"]["Tmpfs"].as_object().expect("tmpfs") {
        option("tmpfs", format!("{path}:{}", options.as_str().expect("a text")));
    }
    for variable in found["Config"]["Env"].as_array().expect("environment") {
        option("env", variable.as_str().expect("a text").to_owned());
    }
    run.extend(labels(&found["Config"]["Labels"]));
    run.push(text(found, "/Config/Image").to_owned());
    let command = found["Config"]["Cmd"].as_array().expect("a command");
    run.extend(command.iter().map(|word| word.as_str().expect("a text").to_owned()));
    run
}

fn run(arguments: &[String]) {
    docker(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
}

/// Makes a site as the other release would have left it. No control plane runs meanwhile.
fn made_by_another_release(instance: &Instance, site: &str) {
    let [php, nginx, network] = [format!("php_{site}"), format!("nginx_{site}"), format!("site_{site}")];
    let (of_php, of_nginx) = (inspect("container", &php), inspect("container", &nginx));
    let of_network = inspect("network", &network);
    docker(&["rm", "--force", &php, &nginx]);
    docker(&["network", "rm", &network]);
    let subnet = text(&of_network, "/IPAM/Config/0/Subnet").to_owned();
    let create = ["network", "create", "--subnet", &subnet].map(str::to_owned);
    run(&[create.as_slice(), &labels(&of_network["Labels"]), std::slice::from_ref(&network)].concat());
    let volume = format!("wp_{site}");
    for found in [&of_php, &of_nginx] {
        run(&remake(found, &volume));
    }
    docker(&["network", "connect", &network, &nginx]);
    let caddy = format!("{}-caddy", instance.tag);
    let script = format!(
        "cd /etc/caddy/sites; sed -i '1s/spec=.*/spec={EARLIER}/' {site}.caddy; echo '# an earlier template' >> {site}.caddy"
    );
    docker(&["exec", &caddy, "sh", "-euc", &script]);
}

/// All that would be another after a change.
fn identity(instance: &Instance, site: &str) -> Vec<String> {
    let container = |name: String| {
        let found = inspect("container", &name);
        format!("{} {} {}", found["Id"], found["State"]["StartedAt"], found["RestartCount"])
    };
    vec![
        container(format!("php_{site}")),
        container(format!("nginx_{site}")),
        inspect("network", &format!("site_{site}"))["Id"].to_string(),
        docker(&["exec", &format!("{}-caddy", instance.tag), "cat", &format!("/etc/caddy/sites/{site}.caddy")]),
    ]
}

#[test]
fn a_release_changes_no_running_site_by_itself() {
    let mut instance = Instance::up();
    let [site, untouched] = ["old", "new"].map(|name| instance.site(name));
    for site in [&site, &untouched] {
        instance.create(site);
    }
    instance.stop();
    made_by_another_release(&instance, &site);
    instance.start();
    instance.until("it serves", PATIENCE, |instance| instance.front_page(&site).is_some());
    let visitor = Probe::of(&instance, &site);
    let before = identity(&instance, &site);
    for _ in 0..3 {
        instance.done(&["reconcile", "--deep"]);
    }
    assert_eq!(identity(&instance, &site), before);
    let drifts = instance.done(&["drift", "--json"]).json();
    let drifts = drifts["items"].as_array().expect("drifts");
    let found: Vec<(&str, &str)> =
        drifts.iter().map(|drift| (text(drift, "/resource"), text(drift, "/remediation"))).collect();
    let waits = ["network", "php_container", "nginx_container", "route"].map(|resource| (resource, "upgrade"));
    assert_eq!(found, waits, "{drifts:#?}");
    let jobs = instance.done(&["job", "list", "--operation", "repair", "--json"]).json();
    assert_eq!(jobs["items"], Value::Array(Vec::new()));
    visitor.end().assert_unharmed(20);
    let pending = |site: &str| instance.done(&["site", "show", site, "--json"]).json()["upgrade_pending"].clone();
    assert_eq!((pending(&site), pending(&untouched)), (true.into(), false.into()));

    // What is stopped is started as it is.
    docker(&["kill", &format!("nginx_{site}")]);
    instance.until("the repair", PATIENCE, |instance| instance.front_page(&site).is_some());
    assert_eq!(text(&inspect("container", &format!("nginx_{site}")), "/Config/Labels/hostplane.spec"), EARLIER);

    let bystander = identity(&instance, &untouched);
    instance.done(&["site", "upgrade", "--all"]);
    instance.expect_whole(&site);
    assert_ne!(identity(&instance, &site)[..3], before[..3]);
    assert_eq!(pending(&site), false);
    assert_eq!(identity(&instance, &untouched), bystander);
}
