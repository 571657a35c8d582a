//! The path on which sites reach MariaDB is closed by the machine: by its firewall, by the loss of the Engine's bridge.
//! Each is one finding, and what it says to type opens the path again.

use std::time::Duration;

use serde_json::Value;

use crate::instance::{Instance, images};
use crate::own_engine::OwnEngine;

const PATIENCE: Duration = Duration::from_mins(1);

/// The findings that `doctor` calls errors.
fn errors(instance: &Instance) -> Vec<Value> {
    let found = instance.run(&["doctor", "--json"]).json();
    let found = found["findings"].as_array().expect("findings").clone();
    found.into_iter().filter(|finding| finding["severity"] == "error").collect()
}

/// The only error: its message and what to type, without the remark.
fn only_error(instance: &Instance) -> (String, String) {
    let errors = errors(instance);
    assert_eq!(errors.len(), 1, "one cause, one finding: {errors:#?}");
    assert_eq!(errors[0]["check"], "database path", "{errors:#?}");
    let text = |field: &str| errors[0][field].as_str().expect("a text").to_owned();
    let hint = text("hint").split('#').next().expect("a command").trim().to_owned();
    (text("message"), hint)
}

/// The rule that `ufw` makes of its command: `ufw allow in on IF+ to IP port N proto tcp`.
fn as_iptables(hint: &str) -> Vec<String> {
    let words: Vec<&str> = hint.split(' ').collect();
    let ["ufw", "allow", "in", "on", interfaces, "to", address, "port", port, "proto", "tcp"] = words[..] else {
        panic!("no command of ufw: {hint}");
    };
    let rule = format!("iptables -I INPUT -i {interfaces} -d {address} -p tcp --dport {port} -j ACCEPT");
    rule.split(' ').map(str::to_owned).collect()
}

fn run(engine: &OwnEngine, command: &str) {
    engine.run(&command.split_whitespace().collect::<Vec<_>>());
}

/// The answer of a site's log-in page, which takes the database.
fn serves(instance: &Instance, site: &str) -> bool {
    let url = format!("http://{}/wp-login.php", instance.authority(site));
    let to = format!("{site}.localhost:{0}:127.0.0.1:{0}", instance.setting("HTTP_PORT"));
    let mut curl = instance.within("curl");
    curl.args(["--silent", "--fail", "--noproxy", "*", "--max-time", "10", "--connect-to", &to, &url]);
    curl.output().expect("curl runs").status.success()
}

fn opens(instance: &Instance, sites: &[&str]) {
    instance.until("an open path", PATIENCE, |instance| errors(instance).is_empty());
    for site in sites {
        assert!(serves(instance, site), "{site}");
    }
}

#[test]
fn each_cause_is_named_with_its_repair() {
    let images: Vec<String> = images().into_values().collect();
    let engine = OwnEngine::with(&images);
    let mut instance = Instance::on(&engine, &[]);
    instance.start();
    let sites = ["one", "two"].map(|name| instance.site(name));
    let sites = [sites[0].as_str(), sites[1].as_str()];
    for site in sites {
        instance.create(site);
    }
    opens(&instance, &sites);

    // A firewall that lets no site in, without a word or with one; a job waits the sooner for the latter.
    let packets = format!("INPUT -i hp+ -p tcp --dport {} -j", instance.setting("MARIADB_PORT"));
    run(&engine, &format!("iptables -A {packets} DROP"));
    let (message, dropped) = only_error(&instance);
    assert!(message.contains("a firewall of the host keeps the sites out"), "{message}");
    run(&engine, &format!("iptables -D {packets} DROP"));
    run(&engine, &format!("iptables -A {packets} REJECT --reject-with icmp-host-prohibited"));
    let site = instance.site("three");
    instance.done(&["site", "create", &site]);
    let job = instance.job_when(&site, |job| !job["waiting_for"].is_null());
    assert_eq!((&job["waiting_for"], &job["attempt"]), (&"database_path".into(), &1.into()), "{job:#}");
    let (_, hint) = only_error(&instance);
    assert_eq!(hint, dropped);
    assert!(sites.iter().all(|site| !serves(&instance, site)), "pages need the database");
    // `up` names it too, and starts what it can.
    instance.stop();
    instance.spawn();
    instance.until("the error of `up`", PATIENCE, |instance| instance.log_text().contains(&hint));
    let rule = as_iptables(&hint);
    engine.run(&rule.iter().map(String::as_str).collect::<Vec<_>>());
    let job = instance.job_when(&site, |job| job["state"] != "pending" && job["state"] != "running");
    assert_eq!(job["state"], "completed", "{job:#}");
    opens(&instance, &sites);

    run(&engine, "ip link delete docker0");
    let (message, hint) = only_error(&instance);
    assert!(message.contains("the Engine's default bridge is gone"), "{message}");
    for command in hint.split(';') {
        run(&engine, command);
    }
    opens(&instance, &sites);

    let repairs = instance.done(&["job", "list", "--json"]).json();
    let repairs = repairs["items"].as_array().expect("jobs").iter().filter(|job| job["operation"] == "repair").count();
    assert_eq!(repairs, 0, "no site was repaired for what all of them share");
}
