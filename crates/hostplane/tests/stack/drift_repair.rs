//! Drift on a real installation: the test stops, kills, removes, edits and adds objects of every kind. In the end
//! every site serves, foreign objects are untouched, every orphan is reported, and the log has the whole story.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::docker::{docker, inspect};
use crate::instance::{Instance, images};
use crate::probe::Probe;

/// Longest time for a repair. On an idle machine it takes a second or two.
const PATIENCE: Duration = Duration::from_mins(1);
/// More than the time after which PHP notices a changed file.
const OPCACHE_PATIENCE: Duration = Duration::from_secs(6);

struct Sabotage<'a> {
    instance: &'a Instance,
    /// Repairs of each site so far.
    repairs: BTreeMap<String, usize>,
}

impl Sabotage<'_> {
    fn caddy(&self) -> String {
        format!("{}-caddy", self.instance.tag)
    }

    fn repairs_of(&self, site: &str) -> Vec<Value> {
        let list = ["job", "list", "--site", site, "--operation", "repair", "--json"];
        self.instance.done(&list).json()["items"].as_array().expect("jobs").clone()
    }

    /// Damages a site, and waits until Hostplane repairs it for this reason.
    fn harm(&mut self, site: &str, reason: (&str, &str), what: &str, act: impl FnOnce()) {
        let before = self.repairs.get(site).copied().unwrap_or_default();
        let begun = Instant::now();
        act();
        self.instance.until(&format!("the repair of: {what}"), PATIENCE, |_| {
            let repairs = self.repairs_of(site);
            let has_reason = |job: &Value| {
                let why = job["why"].as_array().expect("why");
                why.iter().any(|why| (&why["resource"], &why["reason"]) == (&reason.0.into(), &reason.1.into()))
            };
            let new = &repairs[..repairs.len() - before];
            new.iter().any(has_reason) && repairs.iter().all(|job| job["state"] == "completed")
        });
        self.repairs.insert(site.to_owned(), self.repairs_of(site).len());
        // PHP asks once in two seconds (`opcache.revalidate_freq`) whether a file has changed: a program that it compiled
        // from a damaged file answers that long after the repair.
        self.instance.until(&format!("the front page after: {what}"), OPCACHE_PATIENCE, |instance| {
            instance.front_page(site).is_some_and(|page| page.contains("Hello world!"))
        });
        self.instance.expect_whole(site);
        println!("drift repair: {what}: whole again after {:?}", begun.elapsed());
    }

    /// Does the same with damage of which no event comes: the operator requests a scan.
    fn harm_unseen(&mut self, site: &str, reason: (&str, &str), what: &str, act: impl FnOnce()) {
        let instance = self.instance;
        self.harm(site, reason, what, || {
            act();
            instance.done(&["reconcile", "--deep"]);
        });
    }
}

/// Does damage of several commands before the control plane can repair the first.
fn at_one_blow(instance: &Instance, act: impl FnOnce()) {
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, &instance.process().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    };
    signal("-STOP");
    act();
    signal("-CONT");
}

/// Runs a program as root, with volumes, in a container that is gone afterwards.
fn as_root(volumes: &[&str], argv: &[&str]) {
    let run = ["run", "--rm", "--user", "0", "--network", "none", "--entrypoint", argv[0]];
    let mounts: Vec<&str> = volumes.iter().flat_map(|volume| ["--volume", volume]).collect();
    docker(&[run.as_slice(), &mounts, &[&images()["PHP_IMAGE"]], &argv[1..]].concat());
}

/// Things of others, of every kind, and how they are.
fn others(instance: &Instance) -> Vec<String> {
    let name = |what: &str| format!("{}x{what}", instance.tag);
    let of = |what: &str, field: &str| inspect(what, &name(what))[field].to_string();
    let caddy = format!("{}-caddy", instance.tag);
    let file = format!("/etc/caddy/sites/zz-{}.caddy", instance.tag);
    vec![
        of("container", "Id"),
        inspect("container", &name("container"))["State"]["StartedAt"].to_string(),
        of("volume", "CreatedAt"),
        of("network", "Id"),
        instance.sql(&format!("SELECT * FROM `{}`.precious", name("database"))),
        instance.sql(&format!("SHOW GRANTS FOR {}@'%'", name("user"))),
        docker(&["exec", &caddy, "cat", &file]),
    ]
}

fn plant_others(instance: &Instance) {
    let (label, tag) = (instance.label(), &instance.tag);
    docker(&[
        "run",
        "--detach",
        "--name",
        &format!("{tag}xcontainer"),
        "--label",
        &label,
        "--network",
        "none",
        "--entrypoint",
        "sleep",
        &images()["PHP_IMAGE"],
        "infinity",
    ]);
    docker(&["volume", "create", "--label", &label, &format!("{tag}xvolume")]);
    docker(&["network", "create", "--label", &label, &format!("{tag}xnetwork")]);
    instance.sql(&format!(
        "CREATE DATABASE {tag}xdatabase; CREATE TABLE {tag}xdatabase.precious AS SELECT 42 AS n; \
         CREATE USER {tag}xuser@'%' IDENTIFIED BY 'theirs'"
    ));
    let snippet = format!("http://{tag}-theirs.localhost {{\n\trespond \"theirs\"\n}}\n");
    let script =
        format!("printf '{}' > /etc/caddy/sites/zz-{tag}.caddy", snippet.replace('\n', "\\n").replace('\t', "\\t"));
    docker(&["exec", &format!("{tag}-caddy"), "sh", "-c", &script]);
}

#[test]
fn drift_of_every_kind_is_repaired_or_reported() {
    let begun = Instant::now();
    let instance = Instance::up();
    let [one, two, lost, gone, bystander] = ["one", "two", "lost", "gone", "bystander"].map(|name| instance.site(name));
    for site in [&one, &two, &lost, &gone, &bystander] {
        instance.create(site);
    }
    plant_others(&instance);
    let others_before = others(&instance);
    let visitor = Probe::of(&instance, &bystander);
    let mut sabotage = Sabotage { instance: &instance, repairs: BTreeMap::new() };
    let [php, nginx] = ["php", "nginx"].map(|kind| move |site: &str| format!("{kind}_{site}"));
    let (php, nginx) = (&php, &nginx);

    // Damage that an event reports.
    sabotage.harm(&one, ("nginx_container", "stopped"), "nginx was killed", || drop(docker(&["kill", &nginx(&one)])));
    sabotage.harm(&one, ("php_container", "stopped"), "PHP was stopped", || drop(docker(&["stop", &php(&one)])));
    sabotage
        .harm(&one, ("php_container", "absent"), "PHP was removed", || drop(docker(&["rm", "--force", &php(&one)])));
    sabotage.harm(&two, ("php_container", "stopped"), "PHP was frozen", || drop(docker(&["pause", &php(&two)])));
    sabotage.harm(&two, ("php_container", "limits"), "PHP was given more memory", || {
        docker(&["update", "--memory", "1g", "--memory-swap", "1g", &php(&two)]);
    });
    sabotage.harm(&two, ("nginx_container", "network"), "nginx was cut off", || {
        docker(&["network", "disconnect", &format!("site_{two}"), &nginx(&two)]);
    });
    sabotage.harm(&one, ("php_container", "absent"), "both containers and the network were removed", || {
        at_one_blow(&instance, || {
            docker(&["rm", "--force", &php(&one), &nginx(&one)]);
            docker(&["network", "rm", &format!("site_{one}")]);
        });
    });
    sabotage.harm(&two, ("nginx_container", "absent"), "a volume of settings was removed with its container", || {
        at_one_blow(&instance, || {
            docker(&["rm", "--force", &nginx(&two)]);
            docker(&["volume", "rm", &format!("nginx_{two}")]);
        });
    });

    // Damage that no event reports.
    sabotage.harm_unseen(&two, ("php_container", "network"), "PHP was put on the shared network", || {
        docker(&["network", "connect", &instance.tag, &php(&two)]);
    });
    let volume = format!("php_{one}:/volume");
    let edit = ["sed", "-i", "s/define/# define/", "/volume/wp-config.php"];
    let (caddy, file) = (sabotage.caddy(), format!("/etc/caddy/sites/{one}.caddy"));
    let edit = || as_root(&[&volume], &edit);
    sabotage.harm_unseen(&one, ("settings", "configuration"), "wp-config.php was edited", edit);
    sabotage.harm_unseen(&one, ("route", "absent"), "the route's file was removed", || {
        docker(&["exec", &caddy, "rm", &file]);
    });
    sabotage.harm_unseen(&one, ("route", "configuration"), "the route was edited", || {
        docker(&["exec", &caddy, "sed", "-i", "$ d", &file]);
    });
    sabotage.harm_unseen(&two, ("database", "grants"), "the database's user was dropped", || {
        instance.sql(&format!("DROP USER `wp_{two}`@'%'"));
    });
    sabotage.harm_unseen(&one, ("database", "grants"), "the database's user was given more", || {
        instance.sql(&format!("GRANT ALL ON *.* TO `wp_{one}`@'%'"));
    });

    lose_data_and_bring_it_back(&sabotage, &lost);
    let orphans = leave_orphans(&instance, &gone);

    for site in [&one, &two, &lost, &bystander] {
        instance.expect_whole(site);
    }
    assert_eq!(others(&instance), others_before, "what is another's is untouched");
    visitor.end().assert_unharmed(100);
    expect_story(&instance, &sabotage, &[&one, &two, &lost]);
    let doctor = instance.run(&["doctor", "--json"]);
    assert_eq!(doctor.code, 0, "{}", doctor.stdout);
    println!("drift repair: all undone, {orphans} orphans reported, in {:?}", begun.elapsed());
}

/// The volume with a site's files is gone: nothing is made in its place, visitors get a maintenance page, and once it is
/// brought back the site is as it was.
fn lose_data_and_bring_it_back(sabotage: &Sabotage<'_>, site: &str) {
    let instance = sabotage.instance;
    let (volume, backup) = (format!("wp_{site}"), format!("{}xbackup", instance.tag));
    docker(&["volume", "create", "--label", &instance.label(), &backup]);
    let copy = |from: &str, to: &str| {
        as_root(&[&format!("{from}:/from:ro"), &format!("{to}:/to")], &["cp", "-a", "/from/.", "/to/"]);
    };
    copy(&volume, &backup);
    at_one_blow(instance, || {
        docker(&["rm", "--force", &format!("php_{site}"), &format!("nginx_{site}")]);
        docker(&["volume", "rm", &volume]);
    });
    let held = instance.job_when(site, |job| job["operation"] == "repair" && job["state"] == "needs_operator");
    let message = held["error"]["message"].as_str().expect("a message");
    assert!(message.contains(&volume) && message.contains("backup"), "{message}");
    assert!(!instance.names_with(site).contains(&format!("volume {volume}")), "nothing is made in its place");
    let host = format!("Host: {}", instance.authority(site));
    let url = format!("http://{}:{}/", instance.caddy, instance.http_port);
    let asked =
        instance.within("curl").args(["--silent", "--noproxy", "*", "--include", "--header", &host, &url]).output();
    let page = String::from_utf8_lossy(&asked.expect("curl runs").stdout).into_owned();
    assert!(page.contains("503") && page.contains("maintenance"), "{page}");
    let doctor = instance.run(&["doctor", "--json"]);
    assert_eq!((doctor.code, doctor.stdout.contains(&volume)), (1, true), "{}", doctor.stdout);

    // As the message says.
    let (_, command) = message.split_once("`docker ").expect("what to type");
    let (command, _) = command.split_once('`').expect("what to type");
    docker(&command.split(' ').collect::<Vec<_>>());
    copy(&backup, &volume);
    instance.done(&["job", "retry", held["id"].as_str().expect("an id"), "--wait"]);
    instance.expect_whole(site);
}

/// Leaves objects of every kind of a destroyed site. All are reported, and those that may hold data stay until the
/// operator removes them.
fn leave_orphans(instance: &Instance, gone: &str) -> usize {
    let labels = |what: &str, name: &str| -> Vec<String> {
        let found = inspect(what, name);
        let labels = if what == "container" { &found["Config"]["Labels"] } else { &found["Labels"] };
        let labels = labels.as_object().expect("labels");
        let ours = labels.iter().filter(|(key, _)| key.starts_with("hostplane."));
        ours.flat_map(|(key, value)| ["--label".to_owned(), format!("{key}={}", value.as_str().expect("text"))])
            .collect()
    };
    let [container, volume, network] = [format!("php_{gone}"), format!("wp_{gone}"), format!("site_{gone}")];
    let (of_container, of_volume, of_network) =
        (labels("container", &container), labels("volume", &volume), labels("network", &network));
    let caddy = format!("{}-caddy", instance.tag);
    let (file, kept) = (format!("/etc/caddy/sites/{gone}.caddy"), format!("/etc/caddy/{gone}.kept"));
    docker(&["exec", &caddy, "cp", &file, &kept]);
    let ledger = instance.sql("SELECT table_name FROM information_schema.tables WHERE table_schema = 'wp__hostplane'");
    let ledger = ledger.lines().next().expect("a table").to_owned();
    let kept_rows = format!("{}_kept", instance.tag);
    instance.sql(&format!(
        "CREATE DATABASE {kept_rows}; CREATE TABLE {kept_rows}.r AS SELECT * FROM wp__hostplane.`{ledger}`"
    ));
    instance.destroy(gone);

    let plant = |arguments: &[&str], labels: &[String], rest: &[&str]| {
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        docker(&[arguments, &["--label", &instance.label()], &labels, rest].concat());
    };
    plant(&["create", "--name", &container, "--network", "none"], &of_container, &[&images()["PHP_IMAGE"], "true"]);
    plant(&["volume", "create"], &of_volume, &[&volume]);
    plant(&["network", "create"], &of_network, &[&network]);
    docker(&["exec", &caddy, "mv", &kept, &file]);
    instance.sql(&format!(
        "CREATE DATABASE `wp_{gone}`; CREATE USER `wp_{gone}`@'%' IDENTIFIED BY 'x'; \
         INSERT IGNORE INTO wp__hostplane.`{ledger}` SELECT * FROM {kept_rows}.r; DROP DATABASE {kept_rows}"
    ));
    instance.done(&["reconcile"]);
    let found = instance.done(&["orphan", "list", "--json"]).json();
    let found = found["items"].as_array().expect("orphans");
    let text = |orphan: &Value, key: &str| orphan[key].as_str().expect("a text").to_owned();
    let mut known: Vec<String> = found
        .iter()
        .map(|orphan| format!("{} {} {}", text(orphan, "kind"), text(orphan, "name"), text(orphan, "reason")))
        .collect();
    known.sort();
    let file_name = format!("{gone}.caddy");
    let expected = [
        ("container", &container),
        ("database", &volume),
        ("network", &network),
        ("route", &file_name),
        ("volume", &volume),
    ];
    assert_eq!(known, expected.map(|(kind, name)| format!("{kind} {name} left_over")));
    // The container that uses no volume blocks no removal. The volume's removal takes orphans without data along.
    for kind in ["volume", "database"] {
        let orphan = found.iter().find(|orphan| orphan["kind"] == kind).expect("it was there");
        instance.done(&["orphan", "remove", &text(orphan, "id"), "--yes", "--wait"]);
    }
    instance.done(&["reconcile"]);
    assert_eq!(instance.done(&["orphan", "list", "--json"]).json()["items"], Value::Array(Vec::new()));
    assert_eq!(instance.traces_of(gone), Vec::<String>::new());
    expected.len()
}

/// From the log alone: what was seen of which site, what was ordered, and how it ended.
fn expect_story(instance: &Instance, sabotage: &Sabotage<'_>, sites: &[&str]) {
    let log = instance.log_text();
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    for site in sites {
        let of_site = |message: &str| -> Vec<&Value> {
            lines.iter().filter(|line| line["message"] == message && line["site"] == **site).collect()
        };
        for repair in sabotage.repairs_of(site) {
            for why in repair["why"].as_array().expect("why") {
                let is_it = |line: &&&Value| (&line["resource"], &line["reason"]) == (&why["resource"], &why["reason"]);
                let drifts = of_site("drift detected");
                assert!(drifts.iter().any(|line| is_it(&line)), "no log line about {why} of {site}");
                let ends = of_site("drift resolved");
                assert!(ends.iter().any(|line| is_it(&line)), "no log line about the end of {why} of {site}");
            }
            let logged = |message: &str| of_site(message).iter().any(|line| line["job"] == repair["id"]);
            assert!(logged("repairing"), "no log line that {} was ordered", repair["id"]);
            assert!(logged("job completed"), "no log line about the end of {}", repair["id"]);
        }
    }
    let orphans = lines.iter().filter(|line| line["message"] == "found an orphan: its site is gone").count();
    assert_eq!(orphans, 5, "each orphan is reported once");
}
