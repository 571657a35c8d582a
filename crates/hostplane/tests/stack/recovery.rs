//! What no site explains: the remains of a provision that was cancelled, what lands after its job had ended,
//! and a control database that is older than what there is outside.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::docker::{docker, inspect};
use crate::instance::{Instance, images};
use crate::probe::Probe;

/// The look for what landed late is once a minute; what it finds is removed at once.
const LOOK_PATIENCE: Duration = Duration::from_mins(2);

/// What the database is accused of.
const OLDER: &str = "database is stale";

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no text {key} in {value:#}"))
}

fn steps(job: &Value) -> impl Iterator<Item = &Value> {
    job["steps"].as_array().expect("steps").iter()
}

/// Orders a site and cancels its job in the middle, when WordPress is being unpacked. The job as it ended.
fn cancelled_in_the_middle(instance: &Instance, site: &str) -> Value {
    instance.done(&["site", "create", site]);
    let job = instance.job_when(site, |job| steps(job).any(|step| step["resource"] == "wordpress_files"));
    let job = instance.done(&["job", "cancel", text(&job, "id"), "--wait", "--json"]).json();
    assert_eq!(job["state"], "cancelled", "{job:#}");
    job
}

fn status(instance: &Instance, site: &str) -> String {
    text(&instance.done(&["site", "show", site, "--json"]).json(), "status").to_owned()
}

#[test]
fn a_provision_cancelled_in_the_middle_leaves_nothing_and_can_be_begun_anew() {
    let instance = Instance::up();
    let site = instance.site("cancelled");
    let job = cancelled_in_the_middle(&instance, &site);
    let of = |action: &str| -> BTreeSet<&str> {
        steps(&job).filter(|step| step["action"] == action).map(|step| text(step, "resource")).collect()
    };
    assert!(of("ensure").contains("php_container") && !of("ensure").contains("serving"), "{job:#}");
    assert!(of("remove").contains("php_container") && of("remove").contains("database"), "{job:#}");
    assert_eq!(status(&instance, &site), "FAILED");
    assert_eq!(instance.traces_of(&site), Vec::<String>::new());

    let retried = instance.done(&["job", "retry", text(&job, "id"), "--wait", "--json"]).json();
    assert_eq!(retried["state"], "completed", "{retried:#}");
    assert_ne!(retried["id"], job["id"]);
    instance.expect_whole(&site);
}

/// The labels of a thing.
fn labels(what: &str, name: &str) -> BTreeMap<String, String> {
    let found = inspect(what, name);
    let labels = if what == "container" { &found["Config"]["Labels"] } else { &found["Labels"] };
    serde_json::from_value(labels.clone()).expect("labels")
}

/// Makes something with labels.
fn plant(make: &[&str], labels: &BTreeMap<String, String>, rest: &[&str]) {
    let labels: Vec<String> = labels.iter().map(|(key, value)| format!("--label={key}={value}")).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    docker(&[make, &labels, rest].concat());
}

/// Makes the container that fills a site's volumes, as a call of a job would that has ended since.
fn plant_writer(site: &str, job: &Value) {
    let mut labels = labels("container", &format!("php_{site}"));
    labels.insert("hostplane.operation".to_owned(), text(job, "id").to_owned());
    labels.insert("hostplane.resource".to_owned(), "settings".to_owned());
    let name = format!("writer_{site}");
    let mount = format!("type=volume,src=wp_{site},dst=/hostplane/files,volume-nocopy");
    plant(&["create", "--name", &name, "--mount", &mount], &labels, &[&images()["PHP_IMAGE"], "true"]);
}

/// Nothing that a site is made of was made anew, changed or stopped as long as this is the same.
fn as_it_is(instance: &Instance, site: &str) -> Vec<String> {
    let mut facts = instance.traces_of(site);
    facts.retain(|fact| *fact != format!("container writer_{site}"));
    for name in [format!("php_{site}"), format!("nginx_{site}")] {
        let found = inspect("container", &name);
        facts.push(format!("{name} {} {}", found["Id"], found["State"]["StartedAt"]));
    }
    facts.push(inspect("network", &format!("site_{site}"))["Id"].to_string());
    for name in ["wp", "php", "nginx"].map(|kind| format!("{kind}_{site}")) {
        // The job that made it. The time is that of its directory, which changes with the files in it.
        facts.push(format!("{name} {}", inspect("volume", &name)["Labels"]));
    }
    facts
}

/// The jobs of a site that collected something, as they ended, and what they removed.
fn collections(instance: &Instance, site: &str) -> BTreeSet<String> {
    let jobs = instance.done(&["job", "list", "--site", site, "--json"]).json();
    let jobs = jobs["items"].as_array().expect("jobs");
    let mut removed = BTreeSet::new();
    for job in jobs.iter().filter(|job| job["operation"] == "collect") {
        let job = instance.done(&["job", "show", text(job, "id"), "--json"]).json();
        assert_eq!(job["state"], "completed", "{job:#}");
        for step in steps(&job) {
            assert_eq!((&step["action"], &step["state"]), (&"remove".into(), &"done".into()), "{job:#}");
            removed.insert(text(step, "resource").to_owned());
        }
    }
    removed
}

#[test]
fn what_lands_after_its_job_had_ended_is_collected_and_nothing_else() {
    let mut instance = Instance::new(&[("RECONCILE_INTERVAL", "2"), ("ORPHAN_GRACE", "0")]);
    instance.start();
    let [gone, living] = ["gone", "living"].map(|name| instance.site(name));
    instance.create(&living);
    let visitor = Probe::of(&instance, &living);
    let living_before = as_it_is(&instance, &living);

    instance.create(&gone);
    let [volume, network, container] = [format!("wp_{gone}"), format!("site_{gone}"), format!("php_{gone}")];
    let of_volume = labels("volume", &volume);
    let of_network = labels("network", &network);
    let of_container = labels("container", &container);
    instance.destroy(&gone);
    assert_eq!(instance.traces_of(&gone), Vec::<String>::new());

    // Somebody else's, under names that the site had or almost had.
    let foreign = [format!("nginx_{gone}"), format!("php_{gone}"), format!("site_{gone}-else")];
    let label = instance.label();
    let image = &images()["PHP_IMAGE"];
    docker(&["create", "--name", &foreign[0], "--label", &label, image, "true"]);
    docker(&["volume", "create", "--label", &label, &foreign[1]]);
    docker(&["network", "create", "--label", &label, &foreign[2]]);
    let look = || [inspect("container", &foreign[0]), inspect("volume", &foreign[1]), inspect("network", &foreign[2])];
    let foreign_before = look();

    plant(&["create", "--name", &container, "--network", "none"], &of_container, &[image, "true"]);
    plant(&["volume", "create"], &of_volume, &[&volume]);
    plant(&["network", "create"], &of_network, &[&network]);
    plant_writer(&living, &instance.job(&living));
    assert_eq!(instance.traces_of(&gone).len(), 6);

    let only_foreign =
        [format!("container {}", foreign[0]), format!("volume {}", foreign[1]), format!("network {}", foreign[2])];
    let with_volume = [&only_foreign[..1], &[format!("volume {volume}")], &only_foreign[1..]].concat();
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    let writer = format!("container writer_{living}");
    instance.until("the collection", LOOK_PATIENCE, |instance| {
        let left = sorted(instance.names_with(&gone));
        left == sorted(with_volume.clone()) && !instance.names_with(&living).contains(&writer)
    });
    // The last one's job ends after its last removal.
    instance.job_when(&gone, |job| job["operation"] == "collect" && job["state"] == "completed");
    instance.job_when(&living, |job| job["operation"] == "repair" && job["state"] == "completed");
    let removed = || collections(&instance, &gone).into_iter().collect::<Vec<_>>();
    assert_eq!(removed(), ["network", "php_container"]);
    // What may hold data goes by hand alone.
    instance.done(&["reconcile"]);
    let orphans = instance.done(&["orphan", "list", "--json"]).json();
    let orphans = orphans["items"].as_array().expect("orphans");
    assert_eq!(orphans.iter().map(|orphan| text(orphan, "name")).collect::<Vec<_>>(), [volume.as_str()]);
    instance.done(&["orphan", "remove", text(&orphans[0], "id"), "--yes", "--wait"]);
    assert_eq!(removed(), ["files_volume", "network", "php_container"]);
    assert_eq!(instance.traces_of(&gone), only_foreign);
    assert_eq!(look(), foreign_before);
    assert_eq!(instance.run(&["site", "show", &gone]).code, 1, "it is DESTROYED still");

    assert_eq!(as_it_is(&instance, &living), living_before);
    instance.expect_whole(&living);
    visitor.end().assert_unharmed(100);
}

/// The control database as it was at a time when no control plane ran.
struct Backup(TempDir);

/// The files of a database, each if it is there.
fn files_of(database: &std::path::Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|end| PathBuf::from(format!("{}{end}", database.display())))
}

impl Backup {
    fn take(instance: &Instance) -> Self {
        let backup = Self(TempDir::new().expect("a directory"));
        let (from, to) = (files_of(&instance.database()), backup.files());
        assert!(from[0].exists());
        for (from, to) in from.iter().zip(to).filter(|(from, _)| from.exists()) {
            fs::copy(from, to).expect("a copy");
        }
        backup
    }

    fn restore(&self, instance: &Instance) {
        for (from, to) in self.files().iter().zip(files_of(&instance.database())) {
            if to.exists() {
                fs::remove_file(&to).expect("it can be removed");
            }
            if from.exists() {
                fs::copy(from, to).expect("a copy");
            }
        }
    }

    fn files(&self) -> [PathBuf; 3] {
        files_of(&self.0.path().join("copy.db"))
    }
}

/// Says that a job stands still because of the database's age, and has changed nothing.
fn expect_stuck_by_age(instance: &Instance, site: &str, order: &[&str]) {
    let answer = instance.run(order);
    assert_eq!(answer.code, 1, "{order:?}: {}", answer.stderr);
    assert!(answer.stderr.contains(OLDER), "{order:?}: {}", answer.stderr);
    let job = instance.job(site);
    assert_eq!(job["state"], "needs_operator", "{job:#}");
    assert!(text(&job["error"], "message").contains(OLDER), "{job:#}");
    assert_eq!(steps(&job).count(), 0, "no step is begun: {job:#}");
}

#[test]
fn a_database_that_is_older_than_the_world_harms_no_site() {
    let mut instance = Instance::up();
    let [revived, second] = ["revived", "second"].map(|name| instance.site(name));
    let failed = cancelled_in_the_middle(&instance, &revived);
    instance.stop();
    let older = Backup::take(&instance);
    instance.start();
    instance.create(&second);
    instance.done(&["job", "retry", text(&failed, "id"), "--wait"]);
    instance.expect_whole(&revived);
    instance.stop();
    let newer = Backup::take(&instance);
    let before = [&revived, &second].map(|site| as_it_is(&instance, site));
    let visitors = [&revived, &second].map(|site| Probe::of(&instance, site));

    older.restore(&instance);
    instance.spawn();
    instance.wait_until_served();
    let sites = instance.done(&["site", "list", "--json"]).json();
    assert_eq!(sites["items"].as_array().expect("sites").len(), 1, "{sites:#}");
    assert_eq!(status(&instance, &revived), "FAILED");
    let says_older = |instance: &Instance| {
        let found = instance.readiness();
        let journal = text(&found["checks"], "journal");
        let log_says = instance.log_text().contains(&format!("container php_{second}"));
        // Whoever asks needs no token, so only the log names anything.
        assert!(!journal.contains(&second), "{journal}");
        journal.contains(OLDER) && log_says && found["ready"] == false
    };
    instance.until("readiness that tells the age", LOOK_PATIENCE, says_older);
    // Of a job that this database knows and whose site, as far as it knows, has failed. It stays all the same.
    plant_writer(&revived, &failed);
    // The next look sees this too, and tells its log so.
    let mark = format!("mark_{}", instance.tag);
    plant(&["volume", "create"], &labels("volume", &format!("wp_{second}")), &[&mark]);
    instance.until("a second look", LOOK_PATIENCE, |instance| instance.log_text().contains(&mark));
    assert!(says_older(&instance), "{}", instance.readiness());
    docker(&["volume", "rm", &mark]);
    let writer = format!("container writer_{revived}");
    assert!(instance.names_with(&revived).contains(&writer));
    assert_eq!(instance.job(&revived)["id"], failed["id"], "nothing was begun by itself");

    expect_stuck_by_age(&instance, &second, &["site", "create", &second, "--wait"]);
    expect_stuck_by_age(&instance, &revived, &["site", "destroy", &revived, "--yes", "--wait"]);
    assert_eq!([&revived, &second].map(|site| as_it_is(&instance, site)), before);

    instance.stop();
    newer.restore(&instance);
    instance.start();
    instance.until("the repair", LOOK_PATIENCE, |instance| !instance.names_with(&revived).contains(&writer));
    instance.job_when(&revived, |job| job["operation"] == "repair" && job["state"] == "completed");
    let found = instance.readiness();
    assert_eq!((&found["ready"], &found["checks"]["journal"]), (&true.into(), &"ok".into()), "{found}");
    for site in [&revived, &second] {
        instance.expect_whole(site);
    }
    assert_eq!([&revived, &second].map(|site| as_it_is(&instance, site)), before);
    for visitor in visitors {
        visitor.end().assert_unharmed(50);
    }
}

#[test]
fn a_copy_from_the_middle_of_a_provision_rolls_nothing_back() {
    let mut instance = Instance::up();
    let site = instance.site("midway");
    instance.done(&["site", "create", &site]);
    let job = instance.job_when(&site, |job| steps(job).any(|step| step["resource"] == "wordpress_files"));
    instance.kill();
    let copy = Backup::take(&instance);
    instance.start();
    instance.job_when(&site, |job| job["state"] == "completed");
    let before = as_it_is(&instance, &site);
    instance.stop();

    let caddy = format!("{}-caddy", instance.tag);
    docker(&["stop", &caddy]);
    copy.restore(&instance);
    instance.spawn();
    instance.wait_until_served();
    instance.job_when(&site, |job| job["waiting_for"] == "caddy");
    instance.done(&["job", "cancel", text(&job, "id")]);
    docker(&["start", &caddy]);
    let stuck = instance.job_when(&site, |job| job["state"] == "needs_operator");
    assert!(text(&stuck["error"], "message").contains(OLDER), "{stuck:#}");
    assert!(steps(&stuck).all(|step| step["action"] == "ensure"), "{stuck:#}");
    assert_eq!(as_it_is(&instance, &site), before);
    instance.expect_front_page(&site);
    // What was decided stays decided, until somebody decides otherwise.
    instance.destroy(&site);
    assert_eq!(instance.traces_of(&site), Vec::<String>::new());
}
